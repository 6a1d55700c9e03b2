"""However much there is, one call of a script touches a bounded number of jobs: the server serves others in between."""

from typing import Any

import pytest

from bankimport.commands import SyncConnection
from bankimport.queue.adoption import foreign_row
from bankimport.queue.filters import JobFilter
from bankimport.queue.queue import Enqueue
from bankimport.status import JobState
from tests.queue.driver import Driver

#: No script of a claim or a heartbeat touches more jobs than this.
MOST = 100


async def strangers(driver: Driver, number: int) -> None:
    """Put jobs in line whose function is `tidy`."""
    await driver.do.enqueue_jobs([foreign_row("tidy", "{}", f"stranger-{n}", 0) for n in range(number)], "")


async def aside(driver: Driver) -> int:
    """Return how many jobs stand aside because no worker knew `tidy`."""
    found: int = await driver.queue.client.zcard(driver.queue.keys.of("unknown", "tidy"))
    return found


async def evaluated(driver: Driver) -> int:
    """Return how many scripts the server has been asked for."""
    stats: dict[str, Any] = await driver.queue.client.info("commandstats")
    return int(stats["cmdstat_evalsha"]["calls"])


async def test_a_claim_puts_aside_a_slice_at_a_time(driver: Driver) -> None:
    """Jobs that this worker can't do are put aside by the slice, and it is told to come again at once."""
    await strangers(driver, 350)
    await driver.do.enqueue_jobs([foreign_row("known", "{}", "last", 0)], "")
    claimed = await driver.do.claim_jobs("w", "1", 10, 0, ["known"])
    assert (claimed.rows, await aside(driver)) == ([], MOST)
    assert claimed.wait is not None
    assert claimed.wait.total_seconds() <= 0.001
    for _ in range(3):
        claims = await driver.claim(functions=["known"])
    assert ([claim.job_id for claim in claims], await aside(driver)) == (["last"], 350)


async def test_a_claim_cancels_a_slice_at_a_time(driver: Driver) -> None:
    """Children of a batch whose canceller has died are ended by claims, some at a time."""
    names = [f"c{number}" for number in range(350)]
    await driver.ask_all(*names)
    [batch] = await driver.claim()
    await driver.fan_out(batch, *names)
    assert await driver.do.cancel_job(batch.job_id) == "more"
    for _ in range(5):
        before = len(await driver.ids(JobState.CANCELLED))
        assert await driver.claim() == []
        assert len(await driver.ids(JobState.CANCELLED)) - before <= MOST
    assert len(await driver.ids(JobState.CANCELLED)) == 351


async def test_a_beat_hands_back_a_slice_at_a_time(driver: Driver) -> None:
    """A worker that knows a function at last takes back what stood aside by the slice, and hears whether there is more."""
    await strangers(driver, 250)
    for _ in range(3):
        await driver.claim()
    seen = [(await driver.beat(functions=["tidy"]), await aside(driver)) for _ in range(6)]
    assert seen == [(True, 200 - 50 * n) for n in range(4)] + [(True, 0), (False, 0)]
    assert await driver.queue.client.exists(driver.queue.keys.of("unknown_since")) == 0
    assert len(await driver.claim(250, functions=["tidy"])) == 100


async def test_a_beat_cancels_a_slice_at_a_time(driver: Driver) -> None:
    """However many batches were cancelled by somebody who died, a beat ends a slice of their children."""
    batches = []
    for org in ("one", "two", "three"):
        await driver.ask_all("all", org=org)
    for batch in await driver.claim():
        await driver.fan_out(batch, *(f"{batch.org_id}-{number}" for number in range(200)))
        batches.append(batch)
    for batch in batches:
        assert await driver.do.cancel_job(batch.job_id) == "more"
    more = True
    while more:
        before = len(await driver.ids(JobState.CANCELLED))
        more = await driver.beat()
        assert len(await driver.ids(JobState.CANCELLED)) - before <= MOST
    assert len(await driver.ids(JobState.CANCELLED)) == 603
    assert await driver.leftovers() == []


async def test_a_page_looks_at_so_many_entries(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A filter that few jobs meet is answered with what a few scripts found, and a cursor that goes on to the rest."""
    monkeypatch.setattr("bankimport.queue.records._SCAN", 5)
    for number in range(100):
        await driver.queue.cancel(await driver.ask(f"c{number}"))
    wanted = JobFilter(type="refresh-consents")
    cursor, pages = None, 0
    while pages == 0 or cursor is not None:
        before = await evaluated(driver)
        cursor = (await driver.queue.page(wanted, cursor=cursor, limit=50)).next_cursor
        assert await evaluated(driver) - before <= 15
        pages += 1
    assert pages >= 3


async def test_many_jobs_are_taken_in_by_slices(driver: Driver) -> None:
    """A thousand in one script would hold the server for 30 ms and more."""
    await driver.ask("first")
    before = await evaluated(driver)
    await driver.queue.enqueue_many([Enqueue(SyncConnection(org_id="o", connection_id=f"c{n}")) for n in range(1000)])
    assert await evaluated(driver) - before >= 4
