"""The whole queue: paused, resumed, counted and judged."""

from collections.abc import Sequence
from datetime import datetime

from bankimport.acting import actor, because
from bankimport.errors import InvalidRequest
from bankimport.models import BankActivity, FailureKind, Period, QueueHealth, QueueStats, ScheduleStatus, Throughput
from bankimport.service.bounds import bounded
from bankimport.service.core import Core
from bankimport.service.timetable import timetable


class WholeQueue(Core):
    """What concerns all organisations; nobody is asked here whether they may."""

    @bounded
    async def pause_queue(self, *, until: datetime | None = None, reason: str | None = None) -> None:
        """Let nothing start, in no process, until an instant or until resumed; running jobs finish."""
        if until is not None and (until.tzinfo is None or until <= self._clock()):
            raise InvalidRequest("/until", "must be an instant in the future, with its time zone")
        await self.queue.pause(until, reason)
        with because(reason or actor().reason):
            await self.audit.note("queue.pause", until=until.isoformat() if until else None)

    @bounded
    async def resume_queue(self) -> None:
        """Let jobs start again."""
        await self.queue.resume()
        await self.audit.note("queue.resume")

    @bounded
    async def get_schedules(self) -> Sequence[ScheduleStatus]:
        """Return when the schedules were due and are due next, and what became of the last due time."""
        return await timetable(self.queue, self._clock())

    @bounded
    async def get_throughput(self) -> Throughput:
        """Return how many jobs ended in each minute of the last hour, and in each hour of the last week."""
        return await self._watch.throughput(self._clock())

    @bounded
    async def get_failures(self) -> Sequence[FailureKind]:
        """Return what failed jobs have failed of, by error code and bank, with when: of those that are still kept."""
        return await self._watch.failures()

    @bounded
    async def get_banks(self, period: Period = Period.DAY) -> Sequence[BankActivity]:
        """Return what was asked of each bank, of all organisations and in all processes, and how it answers, in the
        order of the names; those that stored connections name and this process hasn't, too.

        Raises:
            Unavailable: Redis or the store can't be reached.
        """
        census = await self._overview.census()
        names = sorted({*self.banks, *census})
        return await self.figures.read(names, period, self.banks, census)

    @bounded
    async def get_failing_banks(self) -> Sequence[BankActivity]:
        """Return those of this process's banks that fail, with their connections; their requests are of this minute.

        Raises:
            Unavailable: Redis or the store can't be reached.
        """
        failing = await self.figures.failing(sorted(self.banks))
        census = await self._overview.census() if failing else {}
        return [bank.model_copy(update={"connections": census.get(bank.name, {})}) for bank in failing]

    @bounded
    async def get_queue_stats(self) -> QueueStats:
        """Return how many jobs are in each state."""
        return await self._watch.stats()

    async def get_queue_health(self) -> QueueHealth:
        """Return the queue's health: ill exactly while there is an alert. Redis being away is one."""
        return await self._watch.health()  # bounded by itself, so that it can say why
