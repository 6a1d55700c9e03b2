"""Functions of a host's own, in the same worker: their jobs have records, events and an end as ours do."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from arq.cron import CronJob
from arq.worker import Function, Retry, RetryJob

from bankimport.errors import MalformedData, Permanent
from bankimport.queue.payloads import Undecodable, deserialize
from bankimport.queue.run import Run
from bankimport.worker.job_hooks import Work
from bankimport.worker.outcome import Outcome
from bankimport.worker.runner import Runner

#: arq's default for a function that says nothing.
_TRIES = 5
_UNREADABLE = "the worker could not run the job: its arguments can't be read"


class HostTimeout(Permanent):
    """A function of the host's own ran into its timeout, which is final, as in arq."""

    code = "timeout"

    def __init__(self, limit: timedelta) -> None:
        super().__init__(f"the function took longer than {limit.total_seconds():g} s")


class HostTriesExhausted(Permanent):
    """A function of the host's own asked for one more run than its `max_tries`."""

    code = "max-tries"

    def __init__(self, tries: int) -> None:
        super().__init__(f"the function asked for another run after {tries} tries")


class HostFunctions:
    """Runs what a host has beside our jobs; `limit` (s) is for a function that says none."""

    def __init__(self, runner: Runner, limit: timedelta) -> None:
        self._runner = runner
        self._limit = limit.total_seconds()

    def add(self, function: Function, *, tries: int | None, limit: float | None) -> None:
        """Serve a function. Its exceptions are arq's: `Retry` runs it again up to its `max_tries`; any other, and its
        `timeout`, is final. `tries` and `limit` (s) are the worker's, for a function that says nothing."""
        most = function.max_tries or tries or _TRIES
        seconds = function.timeout_s or limit or self._limit
        self._runner.serve(function.name, self._work(function.coroutine, most, seconds))

    def add_cron(self, job: CronJob) -> None:
        """Serve a cron job; it runs once a due time over all workers."""
        self._runner.serve(job.name, self._work(job.coroutine, job.max_tries or 1, job.timeout_s or self._limit))

    def _work(self, plain: Callable[..., Awaitable[Any]], tries: int, limit: float) -> Work:
        async def work(run: Run) -> Outcome:
            args, kwargs = _arguments(run)
            ctx = self._runner.job_hooks.context_of(run)
            try:
                async with asyncio.timeout(limit) as limited:
                    await plain(ctx, *args, **kwargs)
            except TimeoutError:
                if limited.expired():
                    raise HostTimeout(timedelta(seconds=limit)) from None
                raise
            except (Retry, RetryJob) as error:
                if ctx["job_try"] >= tries:
                    raise HostTriesExhausted(tries) from None
                raise error if isinstance(error, Retry) else Retry() from None
            return Outcome()

        return work


def _arguments(run: Run) -> tuple[list[Any], dict[str, Any]]:
    """Return a function's arguments as arq wrote them.

    Raises:
        MalformedData: they can't be read.
    """
    try:
        values = deserialize(run.claim.payload)
    except Undecodable:
        raise MalformedData(_UNREADABLE) from None
    return values["a"], values["k"]
