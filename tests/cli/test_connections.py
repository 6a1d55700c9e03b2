"""`bankimport connections …` is like the other commands: data for programs, a rehearsal, a question, a reason that is kept."""

import json

import pytest

from tests.cli.conftest import Run

ADD = ("connections", "add", "--org", "acme", "--bank", "sandbox", "--consent-id", "c-1", "--valid-until", "2099-12-31")


def rows(operate: Run, *arguments: str) -> list[dict[str, object]]:
    """Return what a command prints for programs, which is the same as one list and as an object a line."""
    found: list[dict[str, object]] = json.loads(operate(*arguments, "-o", "json").stdout)
    assert [json.loads(line) for line in operate(*arguments, "-o", "jsonl").stdout.splitlines()] == found
    return found


@pytest.fixture
def giro(operate: Run) -> str:
    """A connection of acme."""
    operate("db", "upgrade")
    return operate(*ADD, "--id", "giro").stdout.strip()


def test_what_programs_read(operate: Run, giro: str) -> None:
    """Lists, one connection, and what was changed."""
    [listed] = rows(operate, "connections", "list")
    assert listed == {
        "id": giro,
        "org_id": "acme",
        "bank": "sandbox",
        "status": "ACTIVE",
        "reason": None,
        "consent_until": "2099-12-31",
        "last_sync_at": None,
        "next_sync_at": None,
    }
    assert rows(operate, "connections", "list", "--org", "globex") == []
    [shown] = rows(operate, "connections", "show", giro)
    assert (shown["id"], shown["accounts"]) == (giro, [])
    assert "explanation" in operate("connections", "show", giro).stdout
    [added] = json.loads(operate(*ADD, "--id", "second", "-o", "json").stdout)
    assert added["id"] == "second"
    renewal = ("--consent-id", "c-2", "--valid-until", "2100-01-01")
    [renewed] = rows(operate, "connections", "renew", giro, *renewal)
    assert renewed["consent_until"] == "2100-01-01"
    [cut] = json.loads(operate("connections", "disconnect", giro, "--yes", "-o", "json").stdout)
    assert cut["status"] == "DISCONNECTED"


def test_a_rehearsal_changes_nothing(operate: Run, giro: str) -> None:
    """It says what would be done, to standard error, and finds the same mistakes."""
    before = rows(operate, "connections", "list")
    renewal = ("--consent-id", "c-2", "--valid-until", "2100-01-01", "--dry-run")
    for arguments in (
        (*ADD, "--id", "second", "--dry-run"),
        ("connections", "renew", giro, *renewal),
        ("connections", "disconnect", giro, "--dry-run"),
        ("connections", "revoke", giro, "--dry-run"),
    ):
        answer = operate(*arguments)
        assert (answer.returncode, answer.stdout) == (0, "")
        assert "acme" in answer.stderr
    assert rows(operate, "connections", "list") == before
    assert operate(*ADD, "--id", giro, "--dry-run").returncode == 1
    for command in ("disconnect", "revoke", "show"):
        assert operate("connections", command, "nobody").returncode == 3
    assert operate("connections", "renew", "nobody", *renewal).returncode == 3


def test_what_can_not_be_undone_is_asked_for(operate: Run, giro: str) -> None:
    """Without a terminal it is refused; the reason is kept in the audit log, and a cut connection says what it needs."""
    for command in ("disconnect", "revoke"):
        assert operate("connections", command, giro).returncode == 2
    assert operate("connections", "disconnect", giro, "--yes", "--reason", "they left").returncode == 0
    audit = [json.loads(each) for each in operate("audit", "--action", "connection", "-o", "jsonl").stdout.splitlines()]
    assert [(each["action"], each["via"], each["org_id"], each["reason"]) for each in audit] == [
        ("connection.disconnect", "cli", "acme", "they left"),
        ("connection.add", "cli", "acme", None),
    ]
    shown = operate("connections", "show", giro)
    assert shown.returncode == 5
    assert shown.stderr


def test_it_is_withdrawn(operate: Run, giro: str) -> None:
    """Nothing is read from now on, and the reason is kept; a bank that nobody names can't be told, which is said."""
    answer = operate("connections", "revoke", giro, "--yes", "--reason", "asked for by mail")
    [left] = rows(operate, "connections", "list")
    assert left["status"] == "DISCONNECTED"
    assert (answer.returncode, "bank" in answer.stderr.splitlines()[-1]) == (2, True)


@pytest.mark.parametrize(
    "arguments", [("jobs", "show"), ("jobs", "watch"), ("budget",), ("connections", "accounts"), ("sync",)]
)
def test_an_id_that_begins_with_a_dash(operate: Run, arguments: tuple[str, ...]) -> None:
    """A host's own id may: the command says how to write it, and takes it so. Red before: no such option."""
    operate("db", "upgrade")
    answer = operate(*arguments, "-xyz")
    assert answer.returncode == 2
    assert f"is written after --: bankimport {' '.join(arguments)} -- ID" in answer.stderr
    assert operate(*arguments, "--", "-xyz").returncode == 3
    assert "written after" not in operate("workers", "-x").stderr
