"""An organisation is erased: nothing of it is left in the database's file, on Redis's disk, or in the log of the erasure;
and nothing of another is touched."""

import signal
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography.fernet import Fernet
from redis.asyncio import Redis

from bankimport import BankImport, Settings, acting_as
from bankimport.errors import Conflict, NotOffered, Unavailable
from bankimport.models import AuditFilter, BankConnection
from bankimport.providers import BerlinGroup
from bankimport.redis.keys import KEYS
from bankimport.sandbox import create_app
from bankimport.service import erasing as service_erasing
from bankimport.service import purging
from bankimport.service.purging import ERASED, EXCUSED, Erasing
from bankimport.status import ConnectionStatus, JobState
from bankimport.stores import SqlStore
from bankimport.stores.sql import erasing as sql_erasing
from bankimport.stores.sql.schema import metadata
from bankimport.testing import FakeBank, MemoryStore, run_until_idle
from bankimport.web import RedisAnswers
from bankimport.web.given import Answer
from tests.crowded import own_time
from tests.migrated import upgraded
from tests.processes import Processes, Valkey, start_valkey
from tests.waiting import wait_until

pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")  # arq calls it
#: stands in every id, reason and credential of the organisation
CANARY = "canary7f3a9b"
ORG, GIRO, SAVINGS = f"{CANARY}-org", f"{CANARY}-giro", f"{CANARY}-savings"
TABLES = ("bank_connections", "bank_accounts", "bank_transactions", "bank_transaction_ids", "bank_balances")


@pytest.fixture
async def bank() -> AsyncIterator[str]:
    """The sandbox bank."""
    runner = web.AppRunner(create_app(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@asynccontextmanager
async def imported(settings: Settings, bank: str, url: str) -> AsyncIterator[BankImport]:
    """Import two organisations, one of which is the canary's."""
    await upgraded(url)
    store = SqlStore(url, credentials_key=Fernet.generate_key().decode(), environment="development")
    made = settings.model_copy(update={"retry_delay_scale": 0.001, "rate_limit_max": 1000})
    provider = BerlinGroup(bank, name="sandbox", unattended_limit=None)
    async with BankImport(made, banks={"sandbox": provider}, store=store) as bank_import:
        until = datetime.now(UTC).date() + timedelta(days=80)
        await bank_import.webhooks.add(f"https://{CANARY}.invalid/hooks", org_id=ORG)
        await bank_import.webhooks.add("http://127.0.0.1:1/operator")
        for org_id, name in ((ORG, GIRO), (ORG, SAVINGS), ("globex", "other")):
            access = {"consent_id": f"consent-{name}", "valid_until": until, "credentials": {"token": f"{name}-t"}}
            await bank_import.connections.add(org_id=org_id, bank="sandbox", id=name, **access)
        await bank_import.schedule_org_sync(ORG, triggered_by=f"{CANARY}-person")
        await bank_import.schedule_immediate_sync("other")
        await run_until_idle(bank_import)
        yield bank_import


async def leave_traces(bank_import: BankImport) -> None:
    """Let the organisation stand wherever it can: jobs that wait and that failed, the audit log, kept answers, what
    could not be read."""
    with acting_as(f"{CANARY}-person", reason=f"{CANARY} asked"):
        job_id = await bank_import.schedule_immediate_sync(GIRO, triggered_by=f"{CANARY}-person")
        await bank_import.cancel_job(job_id)
    await bank_import.schedule_immediate_sync(SAVINGS)
    answers = RedisAnswers(bank_import.queue.client, bank_import.queue.keys)
    await answers.remember("0" * 32, "d", Answer(202, "{}", f"/api/organisations/{ORG}/bank-connections/jobs/x"))
    await bank_import.queue.transitions.quarantine_member(f"pickle of {GIRO}".encode(), "unreadable")


def rows_of(path: Path) -> dict[str, int]:
    """Return how many rows each table has."""
    with closing(sqlite3.connect(path)) as database:
        return {name: database.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in TABLES}


def holding(folder: Path) -> list[str]:
    """Return the files below a folder in which the canary stands."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path.name for path in files if CANARY.encode() in path.read_bytes()]


async def saved(client: "Redis[bytes]") -> None:
    """Wait until the server has written everything to its disk."""

    async def quiet() -> bool:
        said = await client.info("persistence")
        return not (said["aof_rewrite_in_progress"] or said["aof_rewrite_scheduled"] or said["rdb_bgsave_in_progress"])

    await wait_until(quiet, what="the append-only file is written anew")
    await client.save()


@pytest.fixture
def disk(processes: Processes, tmp_path: Path) -> tuple[Valkey, Path]:
    """A server of the test's own that keeps everything on disk, uncompressed."""
    folder = tmp_path / "redis"
    folder.mkdir()
    options = ("--dir", str(folder), "--appendonly", "yes", "--rdbcompression", "no", "--appenddirname", "aof")
    return start_valkey(processes, *options), folder


async def test_a_canary_is_nowhere(
    disk: tuple[Valkey, Path], bank: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """After the erasure it is in no file of the database and of Redis, and in no line of its log; before, it was in
    both. The other organisation has its rows, its job and its events."""
    valkey, folder = disk
    database = tmp_path / "database"
    database.mkdir()
    url = f"sqlite+aiosqlite:///{database}/bank.db"
    async with imported(Settings.load(redis_url=valkey.url()), bank, url) as bank_import:
        await leave_traces(bank_import)
        client = bank_import.queue.client
        await saved(client)
        assert holding(database)
        assert "dump.rdb" in holding(folder)
        others = [each.id async for each in events_of(bank_import, "globex")]
        capsys.readouterr()

        report = await bank_import.erase_organisation(ORG)

        printed = capsys.readouterr()
        assert CANARY not in printed.out + printed.err
        await saved(client)
        assert holding(folder) == []
        assert holding(database) == []
        assert [each.id async for each in events_of(bank_import, "globex")] == others
        [job] = (await bank_import.list_jobs(None)).jobs
        assert (job.org_id, job.state) == ("globex", JobState.COMPLETED)
        assert (report.revoked, report.not_revoked, report.disk_rewritten) == (2, (), True)
        assert report.entries["connections"] == 2
        assert report.entries["transactions"] > 100
        assert (report.entries["webhook_endpoints"], report.entries["webhooks"] > 4) == (1, True)
        [operators] = await bank_import.webhooks.list()
        assert operators.waiting > 0
        assert min(report.jobs, report.events, report.keys) > 0
        with closing(sqlite3.connect(database / "bank.db")) as opened:
            assert opened.execute("SELECT DISTINCT id FROM bank_connections").fetchall() == [("other",)]
            assert opened.execute("SELECT count(*) FROM bank_transactions").fetchone()[0] > 50
        [entry] = (await bank_import.audit.list(AuditFilter(action="organisation"))).entries
        assert (entry.org_id, entry.facts["legal_hold"]) == (None, False)
        again = await bank_import.erase_organisation(ORG)
        assert (again.revoked, again.jobs, again.events, again.keys) == (0, 0, 0, 0)
        await bank_import.schedule_immediate_sync("other")
        await run_until_idle(bank_import)


async def events_of(bank_import: BankImport, org_id: str) -> AsyncIterator[Any]:
    """Yield the events that are held of an organisation."""
    reader = await bank_import.subscribe(org_id=org_id, after="0", heartbeat=timedelta(milliseconds=200))
    async with reader as events:
        async for event in events:
            if event is None:
                return
            yield event


async def test_a_legal_hold_keeps_the_books(settings: Settings, bank: str, tmp_path: Path) -> None:
    """Rows, balances and the audit stay; the accesses are withdrawn, their credentials gone, Redis knows nothing."""
    path = tmp_path / "bank.db"
    async with imported(settings, bank, f"sqlite+aiosqlite:///{path}") as bank_import:
        before = rows_of(path)
        report = await bank_import.erase_organisation(ORG, legal_hold=True)
        assert rows_of(path) == before
        assert (report.legal_hold, report.revoked) == (True, 2)
        with closing(sqlite3.connect(path)) as database:
            query = "SELECT DISTINCT status, consent_id, credentials FROM bank_connections WHERE org_id = ?"
            assert database.execute(query, (ORG,)).fetchall() == [("DISCONNECTED", None, None)]
        assert (await bank_import.list_jobs(ORG)).jobs == ()
        assert (await bank_import.audit.list(AuditFilter(org_id=ORG))).entries
        final = await bank_import.erase_organisation(ORG)
        assert final.entries["connections"] == 2


async def test_a_bank_that_is_away_holds_up_nobody(settings: Settings, bank: str, tmp_path: Path) -> None:
    """What the bank was not told is in the report, by its code; everything else is gone."""
    path = tmp_path / "bank.db"
    async with imported(settings, bank, f"sqlite+aiosqlite:///{path}") as bank_import:
        monkey = BerlinGroup("http://127.0.0.1:1", name="sandbox")
        bank_import.banks["sandbox"] = monkey  # type: ignore[index]  # a read-only view to others, a dict here
        report = await bank_import.erase_organisation(ORG)
        assert report.revoked == 0
        assert {each.error_code for each in report.not_revoked} == {"unavailable"}
        assert rows_of(path)["bank_connections"] == 1
        await monkey.aclose()


async def test_a_consumer_goes_on(settings: Settings, bank: str, tmp_path: Path) -> None:
    """A group that has read some events hears of the others' and of no gap; what another consumer of it holds
    unacknowledged is still held, but for the erased organisation's."""
    async with imported(settings, bank, f"sqlite+aiosqlite:///{tmp_path}/bank.db") as bank_import:
        names = ["bank.job.completed", "bank.stream.gap"]
        client, stream = bank_import.queue.client, bank_import.queue.keys.events
        await client.xgroup_create(stream, "held", "0")
        await client.xreadgroup("held", "one", {stream: ">"}, count=1000)
        before = (await client.xpending(stream, "held"))["pending"]
        first = bank_import.consume("group", "one", names, start="0")
        await anext(first)
        report = await bank_import.erase_organisation(ORG)
        job_id = await bank_import.schedule_immediate_sync("other")
        await run_until_idle(bank_import)
        heard = []
        while not heard or heard[-1].job_id != job_id:
            heard.append(await anext(first))
        assert {each.name for each in heard} == {"bank.job.completed"}
        after = await client.xpending_range(stream, "held", "-", "+", 1000)
        assert 0 < len(after) < before
        assert report.events >= before - len(after)
        for each in after:
            [(_, fields)] = await client.xrange(stream, each["message_id"], each["message_id"])
            assert (fields[b"orgId"], each["consumer"]) == (b"globex", b"one")
        await first.aclose()  # type: ignore[attr-defined]  # an iterator to its callers, a generator here


async def test_a_job_that_runs_is_waited_for(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that doesn't stop in time ends the erasure with a sentence, before anything was removed."""
    store = MemoryStore(BankConnection("giro", ORG, "bank"))
    async with BankImport(settings, banks={"bank": FakeBank()}, store=store) as bank_import:
        job_id = await bank_import.schedule_immediate_sync("giro")
        claimed = await bank_import.queue.transitions.claim_jobs("worker-1", "1", 1, 0, ["sync-connection"])
        assert len(claimed.rows) == 1
        monkeypatch.setattr(service_erasing, "_PATIENCE", timedelta(milliseconds=200))
        with pytest.raises(Conflict, match="still run"):
            await bank_import.erase_organisation(ORG)
        assert (await bank_import.get_job_status(job_id)) is not None
        found = await store.connection("giro")
        assert found is not None
        assert found.status is ConnectionStatus.DISCONNECTED
        async with Erasing(bank_import.queue).turn():
            with pytest.raises(Conflict, match="another organisation"):
                await bank_import.erase_organisation("globex")


@pytest.mark.in_time
@pytest.mark.parametrize("step", ["turn", "stop", "purge", "rewrite_disk"])
async def test_redis_goes_away(processes: Processes, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """Frozen before it begins or in the middle, it ends within two seconds, and goes on as soon as Redis is back. Red
    before: it waited once more to give its turn back (3.4 s), and the turn was taken for a quarter of an hour."""
    valkey = start_valkey(processes)
    store = MemoryStore(BankConnection("giro", ORG, "bank"))
    real, frozen_at = getattr(Erasing, step), [0.0]
    monkeypatch.setattr(purging, "TURN", timedelta(seconds=1))

    def freezing(self: Erasing, *arguments: Any) -> Any:
        if not frozen_at[0]:
            valkey.running.signal(signal.SIGSTOP)
            frozen_at[0] = own_time()
        return real(self, *arguments)

    async with BankImport(
        Settings.load(redis_url=valkey.url()), banks={"bank": FakeBank()}, store=store
    ) as bank_import:
        await bank_import.schedule_immediate_sync("giro")
        monkeypatch.setattr(Erasing, step, freezing)
        with pytest.raises(Unavailable):
            await bank_import.erase_organisation(ORG)
        ended = own_time() - frozen_at[0]
        valkey.running.signal(signal.SIGCONT)

        async def done() -> bool:
            try:
                await bank_import.erase_organisation(ORG)
            except Conflict:
                return False
            return True

        await wait_until(done, what="the turn to be free again")
        assert await store.connection("giro") is None
    assert ended < 2.5


async def test_a_turn_is_kept(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it takes, the turn doesn't end while its process lives; and nothing of it is left then."""
    monkeypatch.setattr(purging, "TURN", timedelta(seconds=3))
    async with BankImport(settings, banks={}, store=MemoryStore()) as bank_import:
        queue, left = bank_import.queue, [3000]

        async def is_taken_anew() -> bool:
            with pytest.raises(Conflict):
                await bank_import.erase_organisation("globex")
            left.append(await queue.client.pttl(queue.keys.of("erasing")))
            return left[-1] > left[-2]

        async with Erasing(queue).turn():
            await wait_until(is_taken_anew)
        await bank_import.erase_organisation("globex")


async def test_a_store_that_can_not(settings: Settings) -> None:
    """A host's own store that knows no erasure is told so, and nothing was done."""

    class Plain:
        async def aclose(self) -> None: ...

    async with BankImport(settings, banks={}, store=Plain()) as bank_import:  # type: ignore[arg-type]  # it is no store, which is the test
        with pytest.raises(NotOffered):
            await bank_import.erase_organisation(ORG)


def missing(all_: Sequence[str], covered: Sequence[str]) -> set[str]:
    """Return what is not covered, and what is covered and doesn't exist."""
    return set(all_) ^ set(covered)


def test_every_table_and_every_key_is_covered() -> None:
    """A new table or family of keys is erased, or says why nothing of an organisation is in it."""
    assert missing([key.name for key in KEYS], [*ERASED, *EXCUSED]) == set()
    assert not ERASED & set(EXCUSED)
    assert missing(list(metadata.tables), list(sql_erasing.ERASED)) == set()
