"""A worker in this process: what a host adds by a subclass of its settings, arq's hooks, around its jobs and ours
alike; and records that somebody has spoilt."""

from datetime import UTC
from typing import Any

import pytest
from arq.connections import ArqRedis
from arq.worker import func

from bankimport.settings import Settings
from bankimport.status import JobState
from bankimport.worker.settings_class import WorkerSettingsBase
from bankimport.worker.stopping import working
from tests.queue.driver import Driver
from tests.queue.lab import lab_settings_class
from tests.waiting import wait_until

pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")  # arq's own, as it stops
Told = list[tuple[Any, ...]]


def hooked(base: type[WorkerSettingsBase], told: Told, *, fails: str = "") -> type[WorkerSettingsBase]:
    """Return a host's own settings, whose hooks tell that they were called; one of them fails."""

    def hook(name: str) -> Any:
        async def call(ctx: dict[Any, Any]) -> None:
            told.append((name, ctx.get("job_id"), ctx.get("session")))
            if name == "on_startup":
                ctx["database"] = "open"
            if name == "on_job_start":
                ctx["session"] = ctx["database"]
            if name == fails:
                raise ConnectionError(name)

        return call

    async def tidy(ctx: dict[Any, Any], text: str) -> None:
        told.append(("tidy", ctx["job_id"], ctx["session"], text, ctx["job_try"], ctx["enqueue_time"].tzinfo))

    names = ("on_startup", "on_shutdown", "on_job_start", "on_job_end", "after_job_end")
    return type(
        "Host",
        (base,),
        {"functions": [*base.functions, func(tidy, name="tidy")], **{name: hook(name) for name in names}},
    )


async def ended(driver: Driver, job_id: str) -> JobState | None:
    """Return a job's state if it is over."""
    state = await driver.state(job_id)
    return state if state is not None and state.is_terminal else None


async def test_a_hosts_hooks_and_ours(settings: Settings, driver: Driver) -> None:
    """`on_startup` makes what jobs need before the first one begins, and one context goes through a job's hooks and its
    code. Red before: a subclass with an `on_startup` of its own had a worker that claimed nothing."""
    told: Told = []
    async with working(hooked(lab_settings_class(settings), told)):
        ours = await driver.ask("plain")
        await wait_until(lambda: ended(driver, ours), what="our job")
        stranger = ArqRedis(driver.queue.client.connection_pool, default_queue_name=settings.queue_name)
        job = await stranger.enqueue_job("tidy", "up")
        assert job is not None
        await wait_until(lambda: ended(driver, job.job_id), what="the host's job")
        await wait_until(lambda: len([call for call in told if call[0] == "after_job_end"]) == 2, what="the last hook")
    around = [("on_job_start", None), ("on_job_end", "open"), ("after_job_end", "open")]
    assert told == [
        ("on_startup", None, None),
        *((name, ours, session) for name, session in around),
        ("on_job_start", job.job_id, None),
        ("tidy", job.job_id, "open", "up", 1, UTC),
        ("on_job_end", job.job_id, "open"),
        ("after_job_end", job.job_id, "open"),
        ("on_shutdown", None, None),
    ]


@pytest.mark.parametrize(
    ("fails", "state"),
    [("on_job_start", JobState.FAILED), ("on_job_end", JobState.COMPLETED), ("after_job_end", JobState.COMPLETED)],
)
async def test_a_hook_that_fails_ends_no_worker(
    settings: Settings, driver: Driver, fails: str, state: JobState, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the first raises is its job's error: what the job needs isn't there. What the others raise is logged."""
    made = settings.model_copy(update={"retry_delay_scale": 0.01})
    async with working(hooked(lab_settings_class(made), [], fails=fails)):
        first, second = await driver.ask("a"), await driver.ask("b")
        for job_id in (first, second):
            assert await wait_until(lambda job_id=job_id: ended(driver, job_id), what="the end of a job") is state
    assert ("worker.hook_failed" in capsys.readouterr().out) == (fails != "on_job_start")


async def test_a_subclass_of_a_subclass(settings: Settings) -> None:
    """Its hooks are called once each."""
    told: Told = []
    parent = hooked(lab_settings_class(settings), told)
    child: Any = type("Child", (parent,), {"max_jobs": 3})
    async with working(child):
        assert child.redis_pool.hooks.slots == 3
        assert {"sync-connection", "tidy"} <= child.redis_pool.hooks.functions
        await wait_until(lambda: told, what="its start")
    assert [name for name, *_ in told] == ["on_startup", "on_shutdown"]


async def test_a_record_that_can_not_be_read(settings: Settings, driver: Driver) -> None:
    """Its job fails, and says so; those that came with it run. Red before: all of its claim waited for their leases."""
    await driver.queue.pause()
    first, broken, last = [await driver.ask(connection) for connection in ("a", "broken", "b")]
    await driver.queue.client.hset(driver.queue.keys.job(broken), "data", "{")

    async def over() -> bool:
        return await driver.ids(JobState.FAILED) == {broken} and await driver.ids(JobState.COMPLETED) == {first, last}

    async with working(lab_settings_class(settings)):
        await driver.queue.resume()
        await wait_until(over, what="the end of all")
    assert [job_id for name, job_id in await driver.events("bank.job.failed")] == [broken]


async def test_arqs_health_line_counts_our_runs(settings: Settings, driver: Driver) -> None:
    """`arq --check -v` shows it, and arq itself has run none of them."""
    made = settings.model_copy(update={"retry_delay_scale": 0.01})
    settings_class: Any = lab_settings_class(made)
    settings_class.health_check_interval = 0
    async with working(settings_class):
        for connection in ("a", "fail-1-b", "permanent-c", "sleep-60000-d"):
            job_id = await driver.ask(connection)
            if "sleep" not in connection:
                await wait_until(lambda job_id=job_id: ended(driver, job_id), what="the end of a job")

        async def line() -> str:
            text = await driver.queue.client.get(settings_class.health_check_key) or b""
            return text.decode()

        async def counted() -> bool:
            return "j_complete=2 j_failed=1 j_retried=1 j_ongoing=1 queued=1" in await line()

        await wait_until(counted, what="the numbers")
