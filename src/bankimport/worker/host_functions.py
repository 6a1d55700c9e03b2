"""Functions of a host's own, in the same worker: their jobs have records, events and an end as ours do."""

import asyncio
from datetime import timedelta
from typing import Any

from arq.worker import Function, Retry, func

from bankimport.errors import Permanent
from bankimport.queue.run import Run
from bankimport.worker.outcome import Outcome
from bankimport.worker.runner import BACKSTOP, MAX_TRIES, Runner

#: arq's default for a function that says nothing.
_HOST_TRIES = 5


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
    """Wraps what a host runs beside our jobs; `limit` (s) is for a function that says none."""

    def __init__(self, runner: Runner, limit: timedelta) -> None:
        self._runner = runner
        self._limit = limit.total_seconds()

    def function(self, function: Any, *, tries: int | None = None, limit: float | None = None) -> Function:
        """Return a function of the host's own, wrapped so that its jobs have records, events and an end as ours do.

        Its exceptions are arq's: `Retry` runs it again up to its `max_tries`; any other, and its `timeout`, is final.
        `tries` and `limit` (s) are the worker's, for a function that says nothing.
        """
        plain = func(function)
        most = plain.max_tries or tries or _HOST_TRIES
        seconds = plain.timeout_s or limit or self._limit
        code = self.coroutine(plain.coroutine, tries=most, limit=seconds)
        return func(code, name=plain.name, keep_result=0, timeout=seconds + BACKSTOP, max_tries=MAX_TRIES)

    def coroutine(self, plain: Any, *, tries: int, limit: float) -> Any:
        """Return a coroutine function of the host's own, wrapped likewise."""

        async def work(run: Run, ctx: dict[Any, Any], args: Any, kwargs: Any) -> Outcome:
            ctx["job_try"] = run.claim.attempts + 1  # arq counts pick-ups
            try:
                async with asyncio.timeout(limit) as limited:
                    await plain(ctx, *args, **kwargs)
            except TimeoutError:
                if limited.expired():
                    raise HostTimeout(timedelta(seconds=limit)) from None
                raise
            except Retry as error:
                if ctx["job_try"] >= tries:
                    raise HostTriesExhausted(tries) from None
                raise error from None
            return Outcome()

        async def run(ctx: dict[Any, Any], *args: Any, **kwargs: Any) -> None:
            await self._runner.attempt(ctx, lambda run: work(run, ctx, args, kwargs))

        return run
