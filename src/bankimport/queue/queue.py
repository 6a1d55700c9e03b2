"""The queue as others see it: jobs go in, are looked at, cancelled, tried again; the whole is paused."""

import asyncio
import json
import os
from base64 import urlsafe_b64encode
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from redis.asyncio import Redis

from bankimport.commands import Command
from bankimport.errors import Conflict, IllegalTransition, InvalidRequest, NotFound, TooManyPending
from bankimport.models import JobPage, JobStatus, PsuContext
from bankimport.queue.filters import JobFilter
from bankimport.queue.records import Records
from bankimport.queue.transitions import Transitions
from bankimport.redis.instants import milliseconds
from bankimport.redis.keys import Keys
from bankimport.redis.scripts import Scripts
from bankimport.settings import Settings
from bankimport.status import JobState

#: Records removed by one script.
_CLEANED = 200
#: Jobs taken in by one script: more would hold the server up. While it takes these in, the next are made ready.
_TAKEN_IN, _MOST_UNDER_WAY = 100, 4
_TURN = 50
#: What is done to each of many jobs travels by so many.
_TOGETHER = 100


def new_job_id() -> str:
    """Return an id that no other job has: 12 letters, 64 random bits. The first is no dash, which marks an option. It
    stands in six places of Redis: a letter is six bytes a job."""
    return "j" + urlsafe_b64encode(os.urandom(8))[:11].decode()  # `secrets.token_urlsafe` in half the time


@dataclass(frozen=True, slots=True)
class Enqueue:
    """A command to accept. `due` None means now; `limit` 0 means none; `id` is made where there is none."""

    command: Command
    due: datetime | None = None
    psu: PsuContext | None = None
    limit: int = 0
    id: str = ""

    def row(self) -> dict[str, Any]:
        """Return the job as `enqueue_jobs.lua` takes it."""
        command = self.command
        row: dict[str, Any] = {
            "id": self.id or new_job_id(),
            "type": command.type.value,
            "org": command.org_id,
            "lock": command.lock,
            "data": command.stored(),
            "question": command.question(),
            "manual": "0" if command.scheduled else "1",
        }
        if self.due:
            row["due"] = milliseconds(self.due)
        if self.limit:
            row["limit"] = self.limit
        if self.psu:
            row["psu"] = _person(self.psu)
        if self.id:
            row["fixed"] = "1"
        return row


async def _rows(wanted: Sequence[Enqueue]) -> list[dict[str, Any]]:
    """Return the jobs as the script takes them; a thousand take 20 ms, in which others have their turns."""
    rows = []
    for number, job in enumerate(wanted, 1):
        rows.append(job.row())
        if number % _TURN == 0:
            await asyncio.sleep(0)
    return rows


def _person(psu: PsuContext) -> str:
    return json.dumps({"ip": psu.ip, "user_agent": psu.user_agent, "at": (psu.at or datetime.now(UTC)).isoformat()})


class Queue:
    """One queue on one Redis."""

    def __init__(self, client: Redis, settings: Settings, scripts: Scripts | None = None) -> None:
        self.keys = Keys(settings.queue_name)
        self.client = client
        self.settings = settings
        self.scripts = scripts or Scripts(client, self.keys, settings)
        self.transitions = Transitions(self.scripts)
        self._records = Records(client, self.keys, self.transitions)

    async def aclose(self) -> None:
        """End what is under way, and the client."""
        await self.scripts.aclose()
        await self.client.aclose()

    async def enqueue(self, wanted: Enqueue) -> str:
        """Accept one job and return its id: that of the job which is answering the same question, if there is one.

        Raises:
            TooManyPending: the organisation has `limit` unfinished jobs.
            Unavailable: Redis can't be reached.
        """
        [(_, job_id)] = await self.transitions.enqueue_jobs([wanted.row()], "")
        if not job_id:
            raise TooManyPending(wanted.limit, timedelta(seconds=30))
        return job_id

    async def enqueue_many(self, wanted: Sequence[Enqueue]) -> list[tuple[str, str]]:
        """Accept jobs, a hundred in one round trip; return ('created' | 'existing' | 'limited', id) for each."""
        answers: list[tuple[str, str]] = []
        under_way: deque[asyncio.Task[list[tuple[str, str]]]] = deque()
        try:
            for start in range(0, len(wanted), _TAKEN_IN):
                rows = await _rows(wanted[start : start + _TAKEN_IN])
                under_way.append(asyncio.create_task(self.transitions.enqueue_jobs(rows, "")))
                if len(under_way) == _MOST_UNDER_WAY:
                    answers += await under_way.popleft()
            while under_way:
                answers += await under_way.popleft()
        finally:
            for left in under_way:
                left.cancel()
        return answers

    async def get(self, job_id: str) -> JobStatus | None:
        """Return a job's record, or None.

        Raises:
            Unavailable: as of every call here, Redis can't be reached.
        """
        return await self._records.get(job_id)

    async def page(self, wanted: JobFilter, *, cursor: str | None = None, limit: int = 50) -> JobPage:
        """Return a page of jobs, newest first.

        Raises:
            InvalidRequest: the cursor is none of ours.
        """
        return await self._records.page(wanted, cursor=cursor, limit=limit)

    async def count(self, wanted: JobFilter, *, most: int = 10_000) -> int:
        """Return how many jobs a filter means; counting ends at `most`."""
        return len(await self._records.every(wanted, most=most))

    async def cancel(self, job_id: str) -> None:
        """Cancel a job; one that runs is asked to stop.

        Raises:
            NotFound, IllegalTransition
        """
        answer = await self.transitions.cancel_job(job_id)
        while answer == "more":
            answer = await self.transitions.cancel_job(job_id)
        self._check(job_id, "be cancelled", answer)

    async def cancel_all(self, wanted: JobFilter, *, but: str = "") -> set[str]:
        """Cancel every job that is meant and has not ended, but for one; return which they are. Those that run end at
        their next step."""
        found: set[str] = set()
        for state in JobState:
            if not state.is_terminal:
                found |= {*await self._records.every(replace(wanted, state=state))} - {but}
        for job_id in found:
            with suppress(IllegalTransition, NotFound):  # it has ended meanwhile
                await self.cancel(job_id)
        return found

    async def clean(self, slices: int = 10**6) -> AsyncIterator[int]:
        """Remove the records whose time is over, of each state so many slices at the most; yield how many each had."""
        for state in JobState:
            for _ in range(slices if state.is_terminal else 0):
                yield (removed := await self.transitions.cleanup_jobs(state, _CLEANED))
                if removed < _CLEANED:
                    break

    async def retry(self, job_id: str) -> None:
        """Try a job again that failed or was cancelled.

        Raises:
            NotFound, IllegalTransition
            Conflict: another job is answering the same question.
        """
        self._check(job_id, "be retried", await self.transitions.retry_job(job_id, by_hand=True))

    async def retry_failed(self, wanted: JobFilter) -> int:
        """Try all failed jobs again that are meant, each in its own lane; return how many there are. What fails
        meanwhile is not among them."""
        if wanted.state not in (None, JobState.FAILED):
            raise InvalidRequest("/state", "only failed jobs are retried together")
        return await self._to_each(
            replace(wanted, state=JobState.FAILED),
            "waiting",
            lambda job_id: self.transitions.retry_job(job_id, by_hand=False),
        )

    async def discard(self, wanted: JobFilter) -> int:
        """Remove the records of jobs that have ended (the failed ones unless a state is named), or cancel those that
        wait; return how many they are.

        Raises:
            InvalidRequest: jobs of that state can't be discarded.
        """
        state = wanted.state or JobState.FAILED
        if state in (JobState.ACTIVE, JobState.WAITING_CHILDREN):
            raise InvalidRequest("/state", f"jobs that are {state} can't be discarded: cancel them")
        return await self._to_each(replace(wanted, state=state), "discarded", self.transitions.discard_job)

    async def discard_one(self, job_id: str) -> None:
        """Remove the record of a job that has ended, or cancel one that waits.

        Raises:
            NotFound, IllegalTransition
        """
        self._check(job_id, "be discarded", await self.transitions.discard_job(job_id))

    async def _to_each(self, wanted: JobFilter, done: str, do: Callable[[str], Awaitable[str]]) -> int:
        """Do something to each of the jobs that are meant now; what it is done to leaves the list."""
        ids, number = await self._records.every(wanted), 0
        for start in range(0, len(ids), _TOGETHER):
            slice_ = [do(job_id) for job_id in ids[start : start + _TOGETHER]]
            number += sum(answer == done for answer in await asyncio.gather(*slice_))
        return number

    @staticmethod
    def _check(job_id: str, operation: str, answer: str) -> None:
        word, _, detail = answer.partition(":")
        if word == "missing":
            raise NotFound("job")
        if word == "refused":
            raise IllegalTransition(job_id, operation, detail)
        if word == "duplicate":
            raise Conflict(f"job {detail} is already doing the same")

    async def pause(self, until: datetime | None = None, reason: str | None = None) -> None:
        """Let nothing start, in no process, until an instant or until resumed."""
        await self.transitions.pause_queue(until, reason or "")

    async def resume(self) -> None:
        """Let jobs start again."""
        await self.transitions.resume_queue()
