"""A call whose reply was lost is made again, and a server that refuses does so before anything is done."""

import asyncio

import pytest

from bankimport.errors import Unavailable
from bankimport.queue.run import Claim
from bankimport.queue.transitions import Ended, Transitions
from bankimport.settings import Settings
from bankimport.status import JobState
from tests.processes import Processes, start_valkey
from tests.queue.driver import FUNCTIONS, Driver


async def test_a_claim_whose_reply_was_lost(driver: Driver) -> None:
    """The same call again is given the same runs, those that have not ended; the next call others."""
    jobs = [await driver.ask(f"c{number}") for number in range(4)]
    words = ("w", "1", 2, 0, list(FUNCTIONS))
    first = [Claim.parse(row) for row in (await driver.do.claim_jobs(*words)).rows]
    again = [Claim.parse(row) for row in (await driver.do.claim_jobs.again(*words)).rows]
    assert sorted(claim.job_id for claim in again) == sorted(claim.job_id for claim in first) == sorted(jobs[:2])
    assert {claim.fence for claim in again} == {claim.fence for claim in first}
    await driver.complete(first[0])
    rows = (await driver.do.claim_jobs.again(*words)).rows
    assert [Claim.parse(row).job_id for row in rows] == [first[1].job_id]
    assert len(await driver.claim()) == 2


@pytest.mark.parametrize("what", ["complete", "fail", "give back", "retry later"])
async def test_an_end_whose_reply_was_lost(driver: Driver, what: str) -> None:
    """A run's last word again is answered as before, and told once."""
    await driver.ask("c")
    [claim] = await driver.claim()
    for _ in range(2):
        if what == "complete":
            assert await driver.complete(claim) is Ended.DONE
        elif what == "give back":
            await driver.give_back(claim)
        else:
            answer = await driver.fail(claim, delay=-1 if what == "fail" else 60_000)
            assert answer is (Ended.FAILED if what == "fail" else Ended.DELAYED)
    ends = await driver.events("bank.job.completed", "bank.sync.failed")
    assert len(ends) == (0 if what == "give back" else 1)


async def test_a_call_that_fails_among_those_that_travel_with_it(driver: Driver) -> None:
    """Its trouble is its own: what came before and after it is done, and done once."""
    runs = []
    for name in ("c1", "c2"):
        await driver.ask(name)
        runs += await driver.claim()
    send, scripts = driver.do.advance_progress.send, driver.queue.scripts
    step = '"stage":"syncing_accounts","message":"…","percent":25'
    answers = [
        send(runs[0].job_id, str(runs[0].fence), [step]),
        scripts.send(
            vars(Transitions)["advance_progress"], [runs[0].job_id.encode(), b"%d" % runs[0].fence, b"no list"], b""
        ),
        send(runs[1].job_id, str(runs[1].fence), [step]),
    ]
    first, broken, last = await asyncio.gather(*answers, return_exceptions=True)
    assert (first, last) == (b"ok", b"ok")
    assert isinstance(broken, RuntimeError)
    rows = await driver.queue.client.xrange(driver.queue.keys.progress)
    assert sorted(fields[b"jobId"].decode() for _, fields in rows) == sorted(run.job_id for run in runs)


async def test_a_full_server_refuses_before_anything_is_done(processes: Processes) -> None:
    """Out of memory in the middle of whatever it may be: each job stands where it stood, and goes on afterwards."""
    valkey = start_valkey(processes, databases=1)
    driver = Driver.of(Settings.load(redis_url=valkey.url(0)))
    for number in range(4):
        await driver.ask(f"c{number}")
    waiting = await driver.ask("w")
    await driver.queue.pause()
    await driver.queue.resume()
    claims = await driver.claim(4)
    client = driver.queue.client
    await client.config_set("maxmemory", "1")
    calls = (
        driver.complete(claims[0]),
        driver.fail(claims[1]),
        driver.fail(claims[2], delay=1000),
        driver.give_back(claims[3]),
        driver.queue.cancel(waiting),
        driver.claim(),
    )
    found = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(error) for error in found] == [Unavailable] * 6
    joined = await asyncio.gather(*(driver.complete(claim) for claim in claims), return_exceptions=True)
    assert [type(error) for error in joined] == [Unavailable] * 4, "calls that travel as one are refused as one"
    await client.config_set("maxmemory", "0")
    assert await driver.ids(JobState.ACTIVE) == {claim.job_id for claim in claims}
    assert await driver.ids(JobState.WAITING) == {waiting}
    for claim in claims:
        assert await driver.complete(claim) is Ended.DONE
    [last] = await driver.claim()
    await driver.complete(last)
    assert await driver.leftovers() == []
    await driver.aclose()
