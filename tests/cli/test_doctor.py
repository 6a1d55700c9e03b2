"""`bankimport doctor` names what is wrong with a set-up, each of fifteen by its own name, and how to mend it."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from redis import Redis

from bankimport.cli.doctor.judging import BankFacts, Facts, findings
from bankimport.settings import Settings
from tests.cli.conftest import Run
from tests.processes import Processes, Valkey, free_port, start_valkey

SETTINGS = Settings.load(environment="development")
WELL = Facts(
    settings=SETTINGS, version=(7, 2), policy="noeviction", persistent=True, workers=1, banks={"b": BankFacts()}
)


def names(facts: Facts) -> list[str]:
    """Return the checks that are not well."""
    return [each.check for each in findings(facts) if each.state != "ok"]


def test_all_is_well() -> None:
    """A set-up without a fault has no finding but good ones."""
    assert names(WELL) == []


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"version": (6, 0)}, "redis-version"),
        ({"is_cluster": True}, "redis-cluster"),
        ({"skew": timedelta(seconds=-5)}, "clock"),
        ({"connections": 200_000, "organisations": 10}, "limiter"),
        ({"connections": 1000, "organisations": 1000}, "stagger"),
        ({"connections": 10_000, "organisations": 10, "maxmemory": 100 * 2**20}, "redis-memory"),
        ({"banks": {"b": BankFacts(certificate=timedelta(days=-1))}}, "certificate"),
        ({"banks": {"b": BankFacts(certificate=timedelta(days=10))}}, "certificate"),
        ({"banks": {}}, "banks"),
    ],
)
def test_what_can_not_be_broken_here(change: dict[str, Any], name: str) -> None:
    """By the facts alone: what no server of a test has."""
    assert name in names(replace(WELL, **change))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """A server that tests may break."""
    processes = Processes(tmp_path_factory.mktemp("doctor"))
    try:
        yield start_valkey(processes, databases=4)
    finally:
        processes.end()


def check(operate: Run, *arguments: str, **variables: str) -> dict[str, dict[str, str]]:
    """Return what the command finds, by the check's name."""
    answer = operate("doctor", "-o", "json", *arguments, **variables)
    rows: list[dict[str, str]] = json.loads(answer.stdout)
    assert answer.returncode == (1 if any(row["state"] == "bad" for row in rows) else 0)
    assert all(row["mend"] for row in rows if row["state"] != "ok")
    return {row["check"]: row for row in rows if row["state"] != "ok"}


def test_broken_settings(operate: Run) -> None:
    """A wrong value by its variable, a typo with the name that is meant, and no key in production."""
    assert "BANK_SYNC_CONCURRENCY" in check(operate, BANK_SYNC_CONCURRENCY="many")["settings"]["says"]
    operate("db", "upgrade")
    found = check(operate, BANK_SYNC_CONCURENCY="5")["settings-typo"]
    assert "BANK_SYNC_CONCURENCY" in found["says"]
    assert "BANK_SYNC_CONCURRENCY" in found["mend"]
    assert "credentials-key" in check(operate, BANK_SYNC_ENVIRONMENT="production")


def test_broken_redis(operate: Run, server: Valkey) -> None:
    """Away, an evicting policy, nothing persisted, a user who may not run scripts, nobody who works."""
    operate("db", "upgrade")
    found = check(operate, REDIS_URL=f"redis://127.0.0.1:{free_port()}")
    assert "redis" in found
    assert "workers" not in found
    with Redis.from_url(server.url()) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.acl_setuser("weak", enabled=True, passwords=["+p"], keys=["*"], commands=["+@all", "-eval", "-evalsha"])
        found = check(operate, REDIS_URL=server.url())
        assert {"redis-policy", "redis-persistence", "workers"} <= set(found)
        weak = f"redis://weak:p@127.0.0.1:{server.port}"
        assert "EVAL" in check(operate, REDIS_URL=weak)["redis-acl"]["says"]
        wrong = f"redis://weak:s3cret@127.0.0.1:{server.port}"
        found = check(operate, REDIS_URL=wrong)
        assert "AuthenticationError" in found["redis"]["says"]
        assert "s3cret" not in str(found)


def test_broken_database(operate: Run, tmp_path: Path) -> None:
    """Without tables, and with nobody there."""
    assert check(operate)["schema"]["mend"] == "bankimport db upgrade"
    away = f"postgresql+asyncpg://u:s3cret@127.0.0.1:{free_port()}/x"
    assert "s3cret" not in str(check(operate, BANK_SYNC_DATABASE_URL=away)["database"])


def test_broken_banks(operate: Run, tmp_path: Path) -> None:
    """A bank that nobody serves, a certificate that has ended, and one that is no certificate."""
    operate("db", "upgrade")
    authority = trustme.CA()
    ended = authority.issue_cert(
        "x", not_before=datetime(2020, 1, 1, tzinfo=UTC), not_after=datetime(2021, 1, 1, tzinfo=UTC)
    )
    ended.cert_chain_pems[0].write_to_path(tmp_path / "ended.pem")
    (tmp_path / "none.pem").write_text("none")

    def banks(**options: str) -> str:
        base = {"type": "berlin-group", "base_url": f"http://127.0.0.1:{free_port()}"}
        return json.dumps({"mine": {**base, **options}})

    assert "127.0.0.1 can't be reached" in check(operate, BANK_SYNC_BANKS=banks())["bank"]["says"]
    found = check(operate, "--no-banks", BANK_SYNC_BANKS=banks(client_cert=str(tmp_path / "ended.pem")))
    assert "has ended" in found["certificate"]["says"]
    assert "bank" not in found
    found = check(operate, "--no-banks", BANK_SYNC_BANKS=banks(client_cert=str(tmp_path / "none.pem")))
    assert "client_cert can't be read" in found["bank"]["says"]
