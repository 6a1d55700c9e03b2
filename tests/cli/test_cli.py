"""The command line: its words, its exit codes, its sentences."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from pkgutil import iter_modules
from types import FunctionType

import pytest
import structlog
import typer

from bankimport.cli import main
from bankimport.cli.lazily import COMMANDS
from tests.processes import clean_environment


@dataclass(frozen=True)
class Answer:
    """What a command printed, and how it ended."""

    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Answer]

ADD = ("connections", "add", "--org", "acme", "--bank", "sandbox", "--consent-id", "c-1", "--valid-until", "2099-12-31")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `bankimport` in this process, with an SQLite file of the test's own."""

    def run(*arguments: str, **variables: str) -> Answer:
        own = {"BANK_SYNC_DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path}/bank.db", "COLUMNS": "200", **variables}
        monkeypatch.setattr(sys, "argv", ["bankimport", *arguments])
        with monkeypatch.context() as environment:
            for name, value in own.items():
                environment.setenv(name, value)
            try:
                code = main()
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 0
            finally:
                structlog.reset_defaults()
        printed = capsys.readouterr()
        return Answer(code, printed.out, printed.err)

    return run


def test_it_is_a_command() -> None:
    """The installed command prints the installed version."""
    command = [str(Path(sys.executable).parent / "bankimport"), "--version"]
    answer = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, timeout=120, check=True)
    assert answer.stdout.strip() == version("bankimport")


@pytest.mark.parametrize("place", [place for place, _ in COMMANDS.values()])
def test_no_module_hides_a_command(place: str) -> None:
    """A command is found whatever was imported before. Red before: a module of one's own name stood in for `up`."""
    package, _, name = place.partition(":")
    for submodule in iter_modules(getattr(import_module(package), "__path__", [])):
        import_module(f"{package}.{submodule.name}")
    assert isinstance(getattr(import_module(package), name), FunctionType | typer.Typer)


def test_a_connection_is_added_listed_renewed_and_cut(run: Run, tmp_path: Path) -> None:
    """The words for connections do to the database what they say."""
    assert run("db", "upgrade").returncode == 0
    assert run(*ADD, "--id", "giro").stdout == "giro\n"
    listed = run("connections", "list", "--org", "acme").stdout
    assert all(word in listed for word in ("giro", "acme", "sandbox", "ACTIVE", "2099-12-31"))
    assert "giro" not in run("connections", "list", "--org", "globex").stdout
    assert run("connections", "renew", "giro", "--consent-id", "c-2", "--valid-until", "2100-01-01").returncode == 0
    assert run("connections", "disconnect", "giro", "--yes").returncode == 0
    with closing(sqlite3.connect(tmp_path / "bank.db")) as database:
        rows = database.execute("SELECT id, org_id, consent_id, consent_valid_until, status FROM bank_connections")
        assert rows.fetchall() == [("giro", "acme", "c-2", "2100-01-01", "DISCONNECTED")]
        entries = database.execute("SELECT action, via, org_id, subject FROM bank_audit ORDER BY id").fetchall()
    about = ("cli", "acme", "connection:giro")
    assert entries == [(f"connection.{done}", *about) for done in ("add", "set-consent", "disconnect")]


def test_upgrading_twice_changes_nothing(run: Run) -> None:
    """`bankimport db upgrade` can be part of every deployment."""
    assert run("db", "upgrade").stdout == run("db", "upgrade").stdout != ""


def test_an_old_schema_is_said_to_be_one(run: Run) -> None:
    """Without the tables it fails with the command that makes them."""
    answer = run(*ADD)
    assert answer.returncode == 1
    assert "run `bankimport db upgrade`" in answer.stderr


def test_an_id_that_is_taken_is_refused(run: Run) -> None:
    """A second connection with the same id fails with 1 and a sentence."""
    run("db", "upgrade")
    assert run(*ADD, "--id", "giro").returncode == 0
    answer = run(*ADD, "--id", "giro")
    assert (answer.returncode, answer.stderr) == (1, "bankimport: there is a connection giro already\n")


def test_an_id_that_no_address_can_have_is_refused(run: Run) -> None:
    """`…/bank-connections/jobs` is the list of jobs. Red before: such a connection could not be asked for."""
    run("db", "upgrade")
    answer = run(*ADD, "--id", "jobs")
    assert (answer.returncode, "none of events, jobs, page, queue, sync" in answer.stderr) == (2, True)


def test_a_bank_that_is_not_configured_is_refused(run: Run) -> None:
    """With BANK_SYNC_BANKS set, a connection names one of them."""
    answer = run(*ADD, BANK_SYNC_BANKS='{"other": {"type": "berlin-group", "base_url": "http://127.0.0.1:1"}}')
    assert answer.returncode == 2
    assert "BANK_SYNC_BANKS: other" in answer.stderr


def test_a_wrong_setting_is_named_and_never_shown(run: Run) -> None:
    """A wrong variable ends the command with 2 and its name, without its value."""
    answer = run("db", "upgrade", REDIS_PORT="s3cret")
    assert answer.returncode == 2
    assert "REDIS_PORT" in answer.stderr
    assert "s3cret" not in answer.stderr


def test_a_database_that_is_away_is_one_line(run: Run) -> None:
    """Without its database each command ends with 4 and one line. Red before: sixty lines of a traceback."""
    away = {"BANK_SYNC_DATABASE_URL": "postgresql+asyncpg://user:s3cret@127.0.0.1:1/x"}
    for arguments in (("db", "upgrade"), ("connections", "list"), ADD):
        answer = run(*arguments, **away)
        assert answer.returncode == 4
        [line] = answer.stderr.splitlines()
        assert "BANK_SYNC_DATABASE_URL" in line
        assert "s3cret" not in line


def test_a_consent_that_has_ended_is_refused(run: Run) -> None:
    """A last day in the past is a mistake. Red before: the first sync failed."""
    run("db", "upgrade")
    answer = run(*ADD[:-1], "2020-01-31")
    assert (answer.returncode, "in the past" in answer.stderr) == (2, True)


def test_a_table_cuts_nothing(run: Run) -> None:
    """However narrow the terminal, an id is printed whole. Red before: it ended in dots."""
    run("db", "upgrade")
    name = "a-connection-with-a-name-that-is-longer-than-the-screen-is-wide-by-far-and-further-0123456789"
    assert run(*ADD, "--id", name).returncode == 0
    assert name in run("connections", "list", COLUMNS="40").stdout
