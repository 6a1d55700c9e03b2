"""The runs of one worker, from their claim to their end."""

from collections.abc import Sequence

from bankimport.errors import LeaseLost
from bankimport.queue.run import Run


class Held:
    """What a worker holds, by job."""

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}

    @property
    def taken(self) -> int:
        """How many places are taken: runs whose end is written need none any more, unless a host has a hook for it."""
        return sum(run.lingers or not run.settled for run in self.runs.values())

    @property
    def has_suspect(self) -> bool:
        """Whether one of them is to run alone."""
        return any(run.is_suspect and not run.settled for run in self.runs.values())

    def are_company(self, runs: Sequence[Run]) -> bool:
        """Whether a suspect would not be alone any more: a claim that stood behind a wait was sent beside others."""
        return self.taken + len(runs) > 1 and (self.has_suspect or any(run.is_suspect for run in runs))

    def hold(self, run: Run) -> bool:
        """Keep a claimed run; return whether it may begin. Frozen beyond its lease, a worker may claim its own job
        before its old run has ended, and a retry without a wait before the run before is done: it waits for that."""
        before = self.runs.setdefault(run.job_id, run)
        if before is not run:
            before.successor = run
            before.interrupt(LeaseLost(run.job_id))
        return before is run

    def done(self, run: Run) -> Run | None:
        """Forget a run that has ended, here or elsewhere; return the one that waited for its end."""
        if self.runs.get(run.job_id) is not run:
            return None
        if run.successor is None:
            del self.runs[run.job_id]
        else:
            self.runs[run.job_id] = run.successor
        return run.successor
