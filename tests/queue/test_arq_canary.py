"""The exact commands that stock arq 0.28 sends about a job, and through which methods of its pool.

The gate answers some of them itself (`bankimport.queue.gate`). When arq changes one of them, these tests fail before
a worker does: look at each answer of the gate anew, then write the new commands down here.
"""

import asyncio
from collections.abc import AsyncIterator
from importlib.metadata import version
from typing import Any

import pytest
from arq.connections import ArqRedis
from arq.constants import abort_jobs_ss, in_progress_key_prefix, job_key_prefix, retry_key_prefix
from arq.cron import cron
from arq.worker import Retry, Worker, create_worker, func
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline

from bankimport.redis.keys import ARQ_IN_PROGRESS, ARQ_JOB, ARQ_RETRY
from bankimport.settings import Settings
from bankimport.status import JobState
from bankimport.worker.stopping import stop
from tests.queue.driver import Driver
from tests.queue.lab import lab_settings_class
from tests.waiting import wait_until

pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")  # arq's own, as it stops
QUEUE = "canary"
HEALTH = f"{QUEUE}:health-check"
Sent = list[tuple[Any, ...]]


class Recorder(ArqRedis):
    """arq's pool that notes what is asked of it: the method and its arguments, then what its pipelines send."""

    sent: Sent

    async def zrangebyscore(self, name: Any, *args: Any, **kwargs: Any) -> Any:
        self.sent.append(("zrangebyscore", name, args, sorted(kwargs)))
        return await super().zrangebyscore(name, *args, **kwargs)

    async def enqueue_job(self, function: str, *args: Any, **kwargs: Any) -> Any:
        self.sent.append(("enqueue_job", function, args, kwargs["_job_id"].partition(":")[0], sorted(kwargs)))

    async def zcard(self, name: Any) -> Any:
        self.sent.append(("zcard", name))
        return await super().zcard(name)

    async def psetex(self, name: Any, time_ms: Any, value: Any) -> Any:
        self.sent.append(("psetex", name))
        return await super().psetex(name, time_ms, value)

    async def delete(self, *names: Any) -> Any:
        self.sent.append(("delete", *names))
        return await super().delete(*names)

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:
        return RecordingPipeline(self, transaction, shard_hint)


class RecordingPipeline(Pipeline):
    """A pipeline that notes what is asked at once, and what is sent together."""

    def __init__(self, pool: Recorder, transaction: bool, shard_hint: str | None) -> None:
        super().__init__(pool.connection_pool, pool.response_callbacks, transaction, shard_hint)
        self._sent = pool.sent

    async def watch(self, *names: Any) -> Any:  # type: ignore[override]  # redis-py's stub says None, it is awaited
        self._sent.append(("watch", *names))
        return await super().watch(*names)

    def execute_command(self, *args: Any, **kwargs: Any) -> Any:
        if args[0] != "WATCH" and self.watching and not self.explicit_transaction:
            self._sent.append(("ask", *args))
        return super().execute_command(*args, **kwargs)

    async def execute(self, raise_on_error: bool = True) -> Any:
        self._sent.append(("execute", *(command[0] for command in self.command_stack)))
        return await super().execute(raise_on_error)


async def succeeds(ctx: dict[Any, Any]) -> None:
    """End well."""


async def fails(ctx: dict[Any, Any]) -> None:
    """End badly."""
    raise ValueError


async def tries_again(ctx: dict[Any, Any]) -> None:
    """Ask arq for another run, long after this test."""
    raise Retry(defer=3600)


@pytest.fixture
async def recorder(redis_url: str) -> AsyncIterator[Recorder]:
    """A pool on the test's database."""
    pool = Recorder.from_url(redis_url)
    pool.sent = []
    yield pool
    await pool.aclose()


async def sent_for(pool: Recorder, function: str, *, payload: bool = True) -> Sent:
    """Let stock arq work off one job, and return what it sent from its first read to the end of the job."""
    plain = ArqRedis(pool.connection_pool)
    await plain.enqueue_job(function, _job_id="j", _queue_name=QUEUE)
    if not payload:
        await plain.delete(f"{job_key_prefix}j")
    functions = [func(each, keep_result=0, max_tries=1_000_000) for each in (succeeds, fails, tries_again)]
    worker = Worker(
        functions,
        queue_name=QUEUE,
        redis_pool=pool,
        keep_result=0,
        poll_delay=3600,  # one read: a second one may find the job in the queue still, and ask about it again
        handle_signals=False,
        health_check_interval=3600,
    )
    working = asyncio.create_task(worker.async_run())
    await wait_until(lambda: _ended(pool.sent))
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    first = next(index for index, call in enumerate(pool.sent) if call[0] == "zrangebyscore")
    about = [call for call in pool.sent[first:] if call[0] in ("watch", "ask", "execute")]
    return [pool.sent[first], *about]


def _ended(sent: Sent) -> bool:
    return any(call[0] == "execute" and any(command[0] == "DEL" for command in call[1:]) for call in sent)


READ = ("zrangebyscore", QUEUE, (), ["max", "min", "num", "start"])
IN_PROGRESS = f"{in_progress_key_prefix}j"
START: Sent = [
    ("watch", IN_PROGRESS),
    ("ask", "EXISTS", IN_PROGRESS),
    ("ask", "ZSCORE", QUEUE, "j"),
    ("execute", ("PSETEX", IN_PROGRESS, 310000, b"1")),
]
RETRY = f"{retry_key_prefix}j"
LOAD = ("execute", ("GET", f"{job_key_prefix}j"), ("INCRBY", RETRY, 1), ("EXPIRE", RETRY, 88400))
AWAY = (("ZREM", abort_jobs_ss, "j"), ("ZREM", QUEUE, "j"))
FINISH = ("execute", *AWAY, ("DEL", IN_PROGRESS, RETRY, f"{job_key_prefix}j"))
GIVE_UP = ("execute", ("DEL", RETRY, IN_PROGRESS, f"{job_key_prefix}j"), *AWAY)


def test_the_version_is_the_one_that_was_read() -> None:
    """These commands are those of arq 0.28 and of no other."""
    assert version("arq").startswith("0.28.")


def test_the_names_of_the_keys() -> None:
    """The keys that the gate looks for are arq's."""
    assert (job_key_prefix, in_progress_key_prefix, retry_key_prefix) == (ARQ_JOB, ARQ_IN_PROGRESS, ARQ_RETRY)


@pytest.mark.parametrize("function", ["succeeds", "fails"])
async def test_a_job_that_ends(recorder: Recorder, function: str) -> None:
    """arq reads, asks twice under WATCH, claims, loads, and takes everything away in the end."""
    assert await sent_for(recorder, function) == [READ, *START, LOAD, FINISH]


async def test_a_job_that_runs_again(recorder: Recorder) -> None:
    """For another run arq moves the job on in the queue and frees its key of progress."""
    read, *calls, last = await sent_for(recorder, "tries_again")
    assert [read, *calls] == [READ, *START, LOAD]
    word, (verb, name, delay, job_id), freed = last
    assert (word, verb, name, job_id, freed) == ("execute", "ZINCRBY", QUEUE, "j", ("DEL", IN_PROGRESS))
    assert 3_600_000 <= delay < 3_630_000


@pytest.mark.parametrize(("function", "payload"), [("unknown", True), ("succeeds", False)])
async def test_a_job_that_arq_gives_up(recorder: Recorder, function: str, payload: bool) -> None:
    """An unknown function or a vanished payload ends without our code, in another order of commands."""
    assert await sent_for(recorder, function, payload=payload) == [READ, *START, LOAD, GIVE_UP]


async def test_a_due_cron_job(recorder: Recorder) -> None:
    """arq enqueues a due cron job under `<name>:<due time in ms>`, by name alone."""
    job = cron(succeeds, name="cron:tick", second=set(range(60)))
    worker = Worker(cron_jobs=[job], queue_name=QUEUE, redis_pool=recorder, poll_delay=0.01, handle_signals=False)
    working = asyncio.create_task(worker.async_run())

    def due() -> tuple[Any, ...] | None:
        return next((call for call in recorder.sent if call[0] == "enqueue_job"), None)

    told = await wait_until(due)
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    assert told == ("enqueue_job", "cron:tick", (), "cron", ["_defer_until", "_job_id", "_queue_name"])


async def test_the_health_line(recorder: Recorder) -> None:
    """arq counts its queue, writes one key, and deletes it as it stops."""
    worker = Worker([succeeds], queue_name=QUEUE, redis_pool=recorder, poll_delay=0.01, handle_signals=False)
    working = asyncio.create_task(worker.async_run())
    await wait_until(lambda: ("psetex", HEALTH) in recorder.sent)
    await worker.close()
    await asyncio.gather(working, return_exceptions=True)
    about = [call for call in recorder.sent if call[0] in ("zcard", "psetex", "delete")]
    assert about == [("zcard", QUEUE), ("psetex", HEALTH), ("delete", HEALTH)]


# What the gate makes of it --------------------------------------------------------------------------------------

#: arq's verbs about a job; the gate's own scripts are one other
VERBS = {
    "ZRANGEBYSCORE",
    "WATCH",
    "EXISTS",
    "ZSCORE",
    "MULTI",
    "EXEC",
    "PSETEX",
    "GET",
    "INCRBY",
    "EXPIRE",
    "DEL",
    "ZINCRBY",
}


@pytest.fixture
async def working(settings: Settings, driver: Driver) -> AsyncIterator[Driver]:
    """A worker of the laboratory in this process, under stock arq, beside the driver of its queue."""
    made = settings.model_copy(update={"rate_limit_max": 1_000_000, "retry_delay_scale": 0.01})
    worker = create_worker(lab_settings_class(made), handle_signals=False)
    task = asyncio.create_task(worker.async_run())
    yield driver
    await stop(worker, task)


async def _ended_as(driver: Driver, job_id: str) -> JobState | None:
    state = await driver.state(job_id)
    return state if state is not None and state.is_terminal else None


@pytest.mark.parametrize("connection", ["plain", "permanent-a", "fail-1-a"])
async def test_arq_sends_nothing_about_a_claimed_job(working: Driver, redis_url: str, connection: str) -> None:
    """With the gate, arq's commands about a job are all answered from the claim: only our own scripts reach Redis."""
    async with Redis.from_url(redis_url) as client, client.monitor() as monitor:
        job_id = await working.ask(connection)
        await wait_until(lambda: _ended_as(working, job_id), what="the end of the job")
        await working.queue.client.echo("over")
        seen = []
        while not (command := await monitor.next_command())["command"].startswith("ECHO"):
            if command["client_type"] != "lua":
                seen.append(command["command"])
    assert any(text.startswith("EVALSHA") for text in seen)
    about = [text for text in seen if job_id in text and " bankimport:" not in text]  # the test itself looks at records
    assert [text for text in about if text.partition(" ")[0] in VERBS] == []
    assert [text for text in seen if text.startswith(("WATCH", "MULTI", "EXEC", "ZRANGEBYSCORE"))] == []


async def test_a_clock_behind_the_servers_holds_up_no_job(working: Driver) -> None:
    """arq leaves a job alone whose due time its own clock has not reached: the gate never answers such a time."""
    await working.queue.pause()
    job_id = await working.ask("plain")
    record = working.queue.keys.job(job_id)
    await working.queue.client.hincrby(record, "queued", 3_600_000)
    await working.queue.resume()
    assert await wait_until(lambda: _ended_as(working, job_id)) is JobState.COMPLETED
