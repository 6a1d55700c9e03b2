"""arq's context of a job and its hooks around one, for what a host adds to the worker."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import structlog

from bankimport.queue.run import Run
from bankimport.worker.outcome import Outcome

log = structlog.get_logger(__name__)

Hook = Callable[[dict[Any, Any]], Awaitable[None]]
Work = Callable[[Run], Awaitable[Outcome]]

NAMES: Final = ("on_job_start", "on_job_end", "after_job_end")


class JobHooks:
    """Those of one worker, in arq's order: `on_job_start` before a job's code, `on_job_end` behind it, `after_job_end`
    when the end is written. In arq an exception in one ends the worker (arq.md 6)."""

    def __init__(self) -> None:
        #: arq's context of the worker
        self.context: dict[Any, Any] = {}
        self.hooks: Mapping[str, Hook] = {}

    @property
    def lingers(self) -> bool:
        """Whether a job keeps its place beyond its end."""
        return "after_job_end" in self.hooks

    def context_of(self, run: Run) -> dict[Any, Any]:
        """Return arq's context of a job, one for its code and its hooks; arq counts pick-ups as tries, from one."""
        claim = run.claim
        if not run.context:
            asked = datetime.fromtimestamp(claim.queued_ms / 1000, UTC)
            about = {"job_id": run.job_id, "job_try": claim.attempts + 1, "enqueue_time": asked}
            run.context = {**self.context, **about, "score": claim.queued_ms}
        return run.context

    def around(self, work: Work) -> Work:
        """Return work with the hooks around it: what the first raises is the job's own error."""
        if not self.hooks:
            return work

        async def hooked(run: Run) -> Outcome:
            if "on_job_start" in self.hooks:
                await self.hooks["on_job_start"](self.context_of(run))
            try:
                return await work(run)
            finally:
                await self._call("on_job_end", run)

        return hooked

    async def after(self, run: Run) -> None:
        """Call the last one."""
        await self._call("after_job_end", run)

    async def _call(self, name: str, run: Run) -> None:
        if name not in self.hooks:
            return
        try:
            await self.hooks[name](self.context_of(run))
        except Exception as error:
            log.error("worker.hook_failed", hook=name, error=type(error).__name__)  # noqa: TRY400  # its text may hold anything
