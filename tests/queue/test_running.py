"""How a worker runs what it has claimed, whatever the job's own code does. Each is what a review
proved by a script: red before."""

import asyncio
from typing import Any

import pytest
from arq.connections import ArqRedis
from arq.worker import RetryJob, func

from bankimport.queue.run import Run
from bankimport.settings import Settings
from bankimport.status import JobState
from bankimport.worker.stopping import end_runs, working
from tests.queue.driver import Driver
from tests.queue.lab import lab_settings_class
from tests.waiting import wait_until

pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")  # arq's own, as it stops


class Panic(BaseException):
    """No `Exception`, as what a library in Rust raises."""


def hosting(settings: Settings, function: Any, **more: Any) -> Any:
    """Return settings with a function of a host's own."""
    base = lab_settings_class(settings.model_copy(update={"retry_delay_scale": 0.01}))
    return type("Host", (base,), {"functions": [*base.functions, func(function, name="host")], **more})


async def asked(settings: Settings, driver: Driver) -> str:
    """Ask for it; return the job's id."""
    stranger = ArqRedis(driver.queue.client.connection_pool, default_queue_name=settings.queue_name)
    job = await stranger.enqueue_job("host")
    assert job is not None
    return job.job_id


async def ended(driver: Driver, job_id: str) -> JobState | None:
    """Return a job's state if it is over."""
    state = await driver.state(job_id)
    return state if state is not None and state.is_terminal else None


async def test_an_end_that_redis_refuses_is_said(
    settings: Settings, driver: Driver, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its lease will be over; until then somebody must be able to find out why."""
    key = driver.queue.keys.state(JobState.COMPLETED)

    async def host(ctx: dict[Any, Any]) -> None:
        await driver.queue.client.set(key, "no set")

    said = ""
    async with working(hosting(settings, host)):
        job_id = await asked(settings, driver)

        def is_said() -> bool:
            nonlocal said
            said += capsys.readouterr().out
            return any("job.run_broken" in line and job_id in line for line in said.splitlines())

        await wait_until(is_said, what="a line")
        await driver.queue.client.delete(key)
        await driver.ask("later")
        await wait_until(lambda: driver.ids(JobState.COMPLETED), what="another job")


async def test_what_is_no_exception_is_said(
    settings: Settings, driver: Driver, capsys: pytest.CaptureFixture[str]
) -> None:
    """It ends its run, and no worker."""

    async def host(ctx: dict[Any, Any]) -> None:
        raise Panic

    async with working(hosting(settings, host)):
        await asked(settings, driver)
        await wait_until(lambda: "Panic" in capsys.readouterr().out, what="a line")
        later = await driver.ask("later")
        await wait_until(lambda: ended(driver, later), what="another job")


async def test_a_job_that_was_cancelled_from_within_has_failed(settings: Settings, driver: Driver) -> None:
    """Something that it waited for was cancelled, and nobody stops the worker: it was given back, and run again for
    ever, without an attempt."""

    async def host(ctx: dict[Any, Any]) -> None:
        inner = asyncio.create_task(asyncio.sleep(60))
        inner.cancel()
        await inner

    async with working(hosting(settings, host)):
        job_id = await asked(settings, driver)
        assert await wait_until(lambda: ended(driver, job_id), what="its end") is JobState.FAILED


async def test_arqs_other_way_to_ask_for_another_run(settings: Settings, driver: Driver) -> None:
    """`RetryJob` is `Retry` without a wait."""
    tries: list[int] = []

    async def host(ctx: dict[Any, Any]) -> None:
        tries.append(ctx["job_try"])
        if len(tries) == 1:
            raise RetryJob

    async with working(hosting(settings, host)):
        job_id = await asked(settings, driver)
        assert await wait_until(lambda: ended(driver, job_id), what="its end") is JobState.COMPLETED
    assert tries == [1, 2]


async def test_the_last_hook_is_part_of_a_jobs_place(settings: Settings, driver: Driver) -> None:
    """Else `max_jobs` would bound nothing of what it does."""
    now, most, total = 0, 0, 0

    async def after(ctx: dict[Any, Any]) -> None:
        nonlocal now, most, total
        now, total = now + 1, total + 1
        most = max(most, now)
        await asyncio.sleep(0.02)
        now -= 1

    made = settings.model_copy(update={"rate_limit_max": 100_000})
    await driver.ask_all(*(f"c{number}" for number in range(40)))
    base: Any = lab_settings_class(made)
    async with working(type("Host", (base,), {"after_job_end": staticmethod(after), "max_jobs": 2})):
        for number in range(40):
            await driver.ask(f"d{number}")
        await wait_until(lambda: total >= 40, what="all of them")
    assert most <= 2


async def test_a_host_that_calls_our_hooks(settings: Settings, driver: Driver) -> None:
    """Whoever had an `on_startup` of their own had to. All that begins begins once, and ends."""
    base: Any = lab_settings_class(settings)

    async def on_startup(ctx: dict[Any, Any]) -> None:
        await base.on_startup(ctx)

    async def on_shutdown(ctx: dict[Any, Any]) -> None:
        await base.on_shutdown(ctx)

    before = asyncio.all_tasks()
    async with working(type("Host", (base,), {"on_startup": on_startup, "on_shutdown": on_shutdown})):
        job_id = await driver.ask("a")
        await wait_until(lambda: ended(driver, job_id), what="its end")
        names = [str(task.get_coro()) for task in asyncio.all_tasks() - before]
        assert len([name for name in names if "WakeUps.listen" in name]) == 1
    await wait_until(lambda: asyncio.all_tasks() <= before, what="the end of all tasks")


async def test_an_end_on_its_way_is_written_though_the_grace_is_over(settings: Settings, driver: Driver) -> None:
    """The job has done its work; its end waits in the line behind a slow trip."""
    at_its_end = asyncio.Event()
    made: Any = None

    async def host(ctx: dict[Any, Any]) -> None:
        await driver.queue.client.client_pause(400)
        made.redis_pool.queue.transitions.hear_claims.send([("nobody", "1")])  # a trip is under way
        at_its_end.set()

    made = hosting(settings, host)
    async with working(made):
        job_id = await asked(settings, driver)
        await at_its_end.wait()
        await wait_until(lambda: any(run.settled for run in runs(made)), what="an end on its way")
        await end_runs(made.redis_pool.claims)
        assert await driver.state(job_id) is JobState.COMPLETED


def runs(made: Any) -> list[Run]:
    """Return what a worker holds."""
    return list(made.redis_pool.claims.runs.values())
