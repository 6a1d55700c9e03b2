"""The exact commands that stock arq 0.28 sends beside its jobs, and through which methods of its pool.

The gate answers them itself (`bankimport.queue.gate`). When arq changes one of them, these tests fail before a worker
does: look at each answer of the gate anew, then write the new commands down here.
"""

import asyncio
from collections.abc import AsyncIterator
from importlib.metadata import version
from typing import Any

import pytest
from arq.connections import ArqRedis
from arq.constants import job_key_prefix
from arq.cron import cron
from arq.worker import Worker
from redis.asyncio import Redis

from bankimport.redis.keys import ARQ_JOB
from bankimport.settings import Settings
from bankimport.status import JobState
from bankimport.worker.stopping import working
from tests.queue.driver import Driver
from tests.queue.lab import lab_settings_class
from tests.waiting import wait_until

pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")  # arq's own, as it stops
QUEUE = "canary"
HEALTH = f"{QUEUE}:health-check"
Sent = list[tuple[Any, ...]]


class Recorder(ArqRedis):
    """arq's pool that notes what is asked of it: the method and its arguments."""

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


async def succeeds(ctx: dict[Any, Any]) -> None:
    """End well."""


@pytest.fixture
async def recorder(redis_url: str) -> AsyncIterator[Recorder]:
    """A pool on the test's database."""
    pool = Recorder.from_url(redis_url)
    pool.sent = []
    yield pool
    await pool.aclose()


async def sent_until(pool: Recorder, verb: str, **settings: Any) -> Sent:
    """Let stock arq work until it has sent a command, and return all that it sent till its end."""
    worker = Worker(queue_name=QUEUE, redis_pool=pool, poll_delay=0.01, handle_signals=False, **settings)
    working = asyncio.create_task(worker.async_run())
    await wait_until(lambda: any(call[0] == verb for call in pool.sent), what=verb)
    await worker.close()
    await asyncio.gather(working, return_exceptions=True)
    return pool.sent


def test_the_version_is_the_one_that_was_read() -> None:
    """These commands are those of arq 0.28 and of no other."""
    assert version("arq").startswith("0.28.")


def test_the_name_of_a_jobs_key() -> None:
    """The key that adoption reads is arq's."""
    assert job_key_prefix == ARQ_JOB


async def test_the_read_of_the_queue(recorder: Recorder) -> None:
    """arq starts what one method of its pool finds in its queue, and has no other way to find a job."""
    sent = await sent_until(recorder, "psetex", functions=[succeeds], health_check_interval=3600)
    assert ("zrangebyscore", QUEUE, (), ["max", "min", "num", "start"]) in sent
    assert {call[0] for call in sent} == {"zrangebyscore", "zcard", "psetex", "delete"}


async def test_a_due_cron_job(recorder: Recorder) -> None:
    """arq enqueues a due cron job under `<name>:<due time in ms>`, by name alone."""
    job = cron(succeeds, name="cron:tick", second=set(range(60)))
    sent = await sent_until(recorder, "enqueue_job", cron_jobs=[job])
    told = next(call for call in sent if call[0] == "enqueue_job")
    assert told == ("enqueue_job", "cron:tick", (), "cron", ["_defer_until", "_job_id", "_queue_name"])


async def test_the_health_line(recorder: Recorder) -> None:
    """arq counts its queue, writes one key, and deletes it as it stops."""
    sent = await sent_until(recorder, "psetex", functions=[succeeds])
    about = [call for call in sent if call[0] in ("zcard", "psetex", "delete")]
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


async def _ended_as(driver: Driver, job_id: str) -> JobState | None:
    state = await driver.state(job_id)
    return state if state is not None and state.is_terminal else None


@pytest.mark.parametrize("connection", ["plain", "permanent-a", "fail-1-a"])
async def test_arq_sends_nothing_about_a_claimed_job(
    settings: Settings, driver: Driver, redis_url: str, connection: str
) -> None:
    """With the gate, arq never hears of a job of ours: only our own scripts reach Redis."""
    made = settings.model_copy(update={"rate_limit_max": 1_000_000, "retry_delay_scale": 0.01})
    worker = working(lab_settings_class(made))
    async with worker, Redis.from_url(redis_url) as client, client.monitor() as monitor:
        job_id = await driver.ask(connection)
        await wait_until(lambda: _ended_as(driver, job_id), what="the end of the job")
        await driver.queue.client.echo("over")
        seen = []
        while not (command := await monitor.next_command())["command"].startswith("ECHO"):
            if command["client_type"] != "lua":
                seen.append(command["command"])
    assert any(text.startswith("EVALSHA") for text in seen)
    about = [text for text in seen if job_id in text and " bankimport:" not in text]  # the test itself looks at records
    assert [text for text in about if text.partition(" ")[0] in VERBS] == []
    assert [text for text in seen if text.startswith(("WATCH", "MULTI", "EXEC", "ZRANGEBYSCORE"))] == []
