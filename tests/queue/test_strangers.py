"""What strangers put into arq's queue: jobs of plain arq are adopted, what can't be decoded is put aside."""

import asyncio
import json
import pickle
from collections.abc import AsyncIterator, Callable
from datetime import date, timedelta
from typing import Any

import pytest
from arq.connections import ArqRedis

from bankimport.queue.adoption import Adoption, foreign_row
from bankimport.queue.payloads import deserialize
from bankimport.status import JobState
from tests.queue.driver import FUNCTIONS, Driver

Dump = Callable[[dict[str, Any]], bytes]


def as_json(values: dict[str, Any]) -> bytes:
    """Write a payload as a host with arq's JSON recipe does."""
    return json.dumps(values).encode()


@pytest.fixture
async def stranger(driver: Driver) -> AsyncIterator[ArqRedis]:
    """Plain arq on the same queue, as a host has it; it pickles."""
    yield ArqRedis(driver.queue.client.connection_pool, default_queue_name=driver.queue.keys.queue)


async def adopt(driver: Driver, *functions: str) -> None:
    """Take the full look of a worker that knows these functions beside ours."""

    async def org_of(connection_id: str) -> str | None:
        return {"c": "acme"}.get(connection_id)

    adoption = Adoption(driver.queue, org_of)
    adoption.functions.update(functions)
    await adoption.run()


@pytest.mark.parametrize("dump", [as_json, pickle.dumps])
async def test_a_plain_arq_job_is_adopted(driver: Driver, stranger: ArqRedis, dump: Dump) -> None:
    """A sync enqueued with plain arq, in JSON or pickled, is a job of ours: record, organisation, event, one run."""
    stranger.job_serializer = dump
    job = await stranger.enqueue_job("sync-connection", connection_id="c", force_full_sync=True)
    assert job is not None
    assert await driver.claim() == []
    await adopt(driver)
    [claim] = await driver.claim()
    assert (claim.job_id, claim.org_id) == (job.job_id, "acme")
    assert claim.data == {"connectionId": "c", "forceFullSync": True}
    await driver.complete(claim)
    assert [name for name, _ in await driver.events()] == [
        "bank.job.queued",
        "bank.job.started",
        "bank.job.completed",
    ]
    assert await driver.leftovers() == []


async def test_a_deferred_job_keeps_its_time(driver: Driver, stranger: ArqRedis) -> None:
    """plain arq's `_defer_by` is kept: the job is delayed."""
    job = await stranger.enqueue_job("sync-connection", connection_id="c", _defer_by=timedelta(hours=1))
    assert job is not None
    await adopt(driver)
    assert await driver.state(job.job_id) is JobState.DELAYED


async def test_a_strangers_question_may_be_pending(driver: Driver, stranger: ArqRedis) -> None:
    """The same sync is waiting already: the stranger's goes, ours stays, and arq's queue is empty."""
    ours = await driver.ask("c")
    await stranger.enqueue_job("sync-connection", connection_id="c", org_id="acme")
    await adopt(driver)
    assert [claim.job_id for claim in await driver.claim()] == [ours]
    assert await driver.queue.client.zcard(driver.queue.keys.queue) == 0


async def test_a_worker_hears_of_strangers(driver: Driver, stranger: ArqRedis) -> None:
    """arq's queue is an inbox: a claim tells its length, and our own jobs never stand there."""

    async def inbox() -> int:
        driver.calls += 1
        claimed = await driver.do.claim_jobs("w", str(driver.calls), 10, 0, list(FUNCTIONS))
        return claimed.strangers

    await driver.ask("a")
    assert await inbox() == 0
    await stranger.enqueue_job("sync-connection", connection_id="c")
    assert await inbox() == 1
    await adopt(driver)
    assert await inbox() == 0


async def test_an_id_is_used_again(driver: Driver, stranger: ArqRedis) -> None:
    """A host enqueues under an id whose job has ended: it runs again; while it has not ended it is the same job."""
    stranger.job_serializer = as_json
    for _ in range(2):
        await stranger.enqueue_job("tidy", _job_id="mine")
        await adopt(driver, "tidy")
        [claim] = await driver.claim(functions=["tidy"])
        await stranger.enqueue_job("tidy", _job_id="mine")
        await adopt(driver, "tidy")
        assert await driver.claim(functions=["tidy"]) == []
        await driver.complete(claim)
    assert len(await driver.events("bank.job.completed")) == 2
    assert len(await driver.ids(JobState.COMPLETED)) == 1


async def test_who_comes_late_to_a_list_adopts_nothing_twice(driver: Driver, stranger: ArqRedis) -> None:
    """A worker has read arq's queue before another adopted its members; by now one of their jobs has ended. Red before:
    it ran again, and ended twice (the chaos found it)."""
    stranger.job_serializer = as_json
    await stranger.enqueue_job("tidy", _job_id="mine")
    row = foreign_row("tidy", "{}", "mine", 0)
    await driver.do.enqueue_jobs([row], "1")
    [claim] = await driver.claim(functions=["tidy"])
    await driver.complete(claim)
    assert await driver.do.enqueue_jobs([row], "1") == [("created", "mine")]
    assert await driver.claim(functions=["tidy"]) == []
    assert (await driver.watch.stats()).completed == 1


async def test_several_workers_adopt_one_list(driver: Driver, stranger: ArqRedis) -> None:
    """Whoever comes second finds a member gone, and takes it for no garbage."""
    stranger.job_serializer = as_json
    for number in range(300):
        await stranger.enqueue_job("tidy", number)
    await asyncio.gather(*(adopt(driver, "tidy") for _ in range(4)))
    assert await quarantined(driver) == []
    assert (await driver.watch.stats()).waiting == 300
    assert await driver.queue.client.zcard(driver.queue.keys.queue) == 0


@pytest.mark.parametrize("due", [float("inf"), float("-inf"), 1e300])
async def test_a_member_whose_time_is_no_instant(driver: Driver, due: float) -> None:
    """It is put aside, and what stands behind it is adopted."""
    await driver.queue.client.set("arq:job:bad", as_json({"f": "tidy", "a": [], "k": {}, "et": 1, "t": None}))
    await driver.queue.client.set("arq:job:good", as_json({"f": "tidy", "a": [], "k": {}, "et": 1, "t": None}))
    await driver.queue.client.zadd(driver.queue.keys.queue, {"bad": due, "good": 1})
    await adopt(driver, "tidy")
    assert len(await quarantined(driver)) == 1
    assert [claim.job_id for claim in await driver.claim(functions=["tidy"])] == ["good"]


async def test_a_function_that_another_worker_knows(driver: Driver, stranger: ArqRedis) -> None:
    """In a rolling update a job waits for a worker that knows its function: in arq's queue, or once it is adopted."""
    stranger.job_serializer = as_json
    job = await stranger.enqueue_job("tidy")
    assert job is not None
    await adopt(driver)
    assert await quarantined(driver) == []
    await adopt(driver, "tidy")
    assert await driver.claim() == []
    assert await driver.state(job.job_id) is JobState.WAITING
    await driver.queue.client.hset(driver.queue.keys.of("unknown_since"), "tidy", 1)
    assert [alert.code for alert in (await driver.watch.health()).alerts] == ["unknown-function:tidy"]
    about = {"host": "h", "pid": 1, "version": "1", "lag": 0, "trouble": ""}
    await driver.do.beat_worker("new", timedelta(seconds=5), about, ["tidy"], [])
    assert [claim.job_id for claim in await driver.claim(functions=["tidy"])] == [job.job_id]
    assert await driver.queue.client.exists(driver.queue.keys.of("unknown_since")) == 0


async def quarantined(driver: Driver) -> list[str]:
    """Return the reasons of what was put aside."""
    return [
        json.loads(row)["reason"] for row in await driver.queue.client.lrange(driver.queue.keys.of("quarantine"), 0, -1)
    ]


GARBAGE: list[tuple[str, bytes, str]] = [
    ("no payload at all", b"", "expired"),
    ("neither JSON nor pickle", b"\x00\x01", "can't be read"),
    ("JSON of another shape", b'{"hello":1}', "none of arq's"),
    ("code in a pickle", pickle.dumps({"f": print, "a": (), "k": {}, "et": 1, "t": None}), "more than plain values"),
    ("too large", b"x" * 1_000_001, "larger than a megabyte"),
    ("no function's name", as_json({"f": "no body", "a": [], "k": {}, "et": 1, "t": None}), "name is none"),
    ("wrong arguments", as_json({"f": "sync-connection", "a": [], "k": {"x": 1}, "et": 1, "t": None}), "wrong"),
    ("positional ones", as_json({"f": "sync-connection", "a": ["c"], "k": {}, "et": 1, "t": None}), "must be named"),
]


@pytest.mark.parametrize(("what", "payload", "reason"), GARBAGE, ids=[row[0] for row in GARBAGE])
async def test_what_cannot_be_decoded_is_put_aside(driver: Driver, what: str, payload: bytes, reason: str) -> None:
    """It leaves arq's queue, is kept for an operator without its content, is a warning, and harms no job behind it."""
    await driver.queue.client.zadd(driver.queue.keys.queue, {"bad": 1})
    if payload:
        await driver.queue.client.set("arq:job:bad", payload)
    good = await driver.ask("c")
    await adopt(driver)
    [text] = await quarantined(driver)
    assert reason in text
    assert [claim.job_id for claim in await driver.claim()] == [good]
    assert await driver.queue.client.zscore(driver.queue.keys.queue, "bad") is None
    assert await driver.queue.client.exists("arq:job:bad") == 0
    assert any("put aside" in warning for warning in (await driver.watch.health()).warnings)
    assert await driver.queue.client.ttl(driver.queue.keys.of("quarantine")) > 0


async def test_a_member_that_is_no_text(driver: Driver) -> None:
    """One undecodable member would crash-loop every plain worker: here it is put aside."""
    await driver.queue.client.zadd(driver.queue.keys.queue, {b"\xff\xfe not utf-8": 1})
    await adopt(driver)
    assert len(await quarantined(driver)) == 1
    assert await driver.queue.client.zcard(driver.queue.keys.queue) == 0


async def test_a_function_of_the_hosts_own(driver: Driver, stranger: ArqRedis) -> None:
    """A job for a function beside ours is adopted with its payload, whatever plain values it has."""
    stranger.job_serializer = as_json
    job = await stranger.enqueue_job("tidy", 1, ["two"], three={"four": None})
    assert job is not None
    await adopt(driver, "tidy")
    [claim] = await driver.claim(functions=["tidy"])
    values = deserialize(claim.payload)
    assert (claim.job_id, claim.type) == (job.job_id, "tidy")
    assert (values["f"], values["a"], values["k"]) == ("tidy", [1, ["two"]], {"three": {"four": None}})


def test_a_pickle_of_plain_values_is_read() -> None:
    """Dates, numbers, texts, lists and dicts may come pickled."""
    values = {"t": None, "f": "f", "a": (1, date(2026, 1, 2)), "k": {"x": [1.5, "y", None, True]}, "et": 5}
    assert deserialize(pickle.dumps(values)) == values
