"""The queue as others see it: jobs go in, are looked at, cancelled, tried again; the whole is paused and judged."""

import asyncio
import json
import secrets
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from redis.asyncio import Redis

from bankimport.commands import Command
from bankimport.errors import Conflict, IllegalTransition, NotFound, TooManyPending, Unavailable
from bankimport.models import JobPage, JobStatus, PsuContext, QueueHealth, QueueStats, WorkerInfo
from bankimport.queue.connection import LOST
from bankimport.queue.health import Snapshot, assess, unreachable
from bankimport.queue.keys import Keys
from bankimport.queue.records import Records, instant
from bankimport.queue.scripts import Scripts
from bankimport.queue.server import Server
from bankimport.settings import Settings
from bankimport.status import JobState

_BULK = 1000
#: While Redis takes one thousand in, the next are made ready.
_MOST_UNDER_WAY = 2
_TURN = 50


def new_job_id() -> str:
    """Return an id that no other job has: 96 random bits, 16 letters."""
    return secrets.token_urlsafe(12)


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
        return {
            "id": self.id or new_job_id(),
            "type": command.type.value,
            "org": command.org_id,
            "lock": command.lock,
            "data": json.dumps(command.stored(), separators=(",", ":")),
            "question": command.question(),
            "manual": "0" if command.scheduled else "1",
            "due": int(self.due.timestamp() * 1000) if self.due else 0,
            "limit": self.limit,
            "psu": _person(self.psu),
        }


async def _rows(wanted: Sequence[Enqueue]) -> list[dict[str, Any]]:
    """Return the jobs as the script takes them; a thousand take 20 ms, in which others have their turns."""
    rows = []
    for number, job in enumerate(wanted, 1):
        rows.append(job.row())
        if number % _TURN == 0:
            await asyncio.sleep(0)
    return rows


def _accepted(got: Sequence[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    return [(how.decode(), job_id.decode()) for how, job_id in got]


def _person(psu: PsuContext | None) -> str:
    if psu is None:
        return ""
    return json.dumps({"ip": psu.ip, "user_agent": psu.user_agent, "at": (psu.at or datetime.now(UTC)).isoformat()})


class Queue:
    """One queue on one Redis."""

    def __init__(self, client: Redis, settings: Settings, scripts: Scripts | None = None) -> None:
        self.keys = Keys(settings.queue_name)
        self.client = client
        self.settings = settings
        self.scripts = scripts or Scripts(client, self.keys, settings)
        self._records = Records(client, self.keys)
        self._server = Server(client)

    async def enqueue(self, wanted: Enqueue) -> str:
        """Accept one job and return its id: that of the job which is answering the same question, if there is one.

        Raises:
            TooManyPending: the organisation has `limit` unfinished jobs.
            Unavailable: Redis can't be reached.
        """
        got = await self.scripts.run("enqueue_jobs", json.dumps([wanted.row()], separators=(",", ":")))
        [(_, job_id)] = _accepted(got)
        if not job_id:
            raise TooManyPending(wanted.limit, timedelta(seconds=30))
        return job_id

    async def enqueue_many(self, wanted: Sequence[Enqueue]) -> list[tuple[str, str]]:
        """Accept jobs, a thousand in one round trip; return ('created' | 'existing' | 'limited', id) for each."""
        answers: list[tuple[str, str]] = []
        under_way: deque[asyncio.Future[Any]] = deque()
        try:
            for start in range(0, len(wanted), _BULK):
                rows = await _rows(wanted[start : start + _BULK])
                under_way.append(self.scripts.send("enqueue_jobs", json.dumps(rows, separators=(",", ":"))))
                if len(under_way) == _MOST_UNDER_WAY:
                    answers += _accepted(await under_way.popleft())
            while under_way:
                answers += _accepted(await under_way.popleft())
        finally:
            for left in under_way:
                left.cancel()
        return answers

    async def get(self, job_id: str) -> JobStatus | None:
        """Return a job's record, or None."""
        try:
            return await self._records.get(job_id)
        except LOST as error:
            raise Unavailable("Redis") from error

    async def page(
        self,
        org_id: str,
        *,
        state: JobState | None = None,
        connection_id: str | None = None,
        type_: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> JobPage:
        """Return a page of an organisation's jobs, newest first."""
        try:
            return await self._records.page(
                org_id, state=state, connection_id=connection_id, type_=type_, cursor=cursor, limit=limit
            )
        except LOST as error:
            raise Unavailable("Redis") from error

    async def cancel(self, job_id: str) -> None:
        """Cancel a job; one that runs is asked to stop.

        Raises:
            NotFound, IllegalTransition
        """
        answer = await self.scripts.run("cancel_job", job_id, "0")
        while answer.startswith(b"more:"):
            answer = await self.scripts.run("cancel_job", job_id, answer.removeprefix(b"more:"))
        self._check(job_id, "be cancelled", answer)

    async def retry(self, job_id: str) -> None:
        """Try a failed job again.

        Raises:
            NotFound, IllegalTransition
            Conflict: another job is answering the same question.
        """
        self._check(job_id, "be retried", await self.scripts.run("retry_job", job_id))

    async def retry_failed(self, org_id: str | None, *, type_: str | None, error_code: str | None) -> int:
        """Try all failed jobs again that match; return how many there are. What fails meanwhile is not among them."""
        ids = await self.client.zrange(self.keys.state(JobState.FAILED), 0, -1)
        retried = 0
        for start in range(0, len(ids), _BULK):
            for job in await self._records.many(ids[start : start + _BULK]):
                matches = org_id in (None, job.org_id) and type_ in (None, job.type)
                if matches and error_code in (None, job.error_code):
                    retried += await self.scripts.run("retry_job", job.id) == b"waiting"
        return retried

    @staticmethod
    def _check(job_id: str, operation: str, answer: bytes) -> None:
        word, _, detail = answer.decode().partition(":")
        if word == "missing":
            raise NotFound("job")
        if word == "refused":
            raise IllegalTransition(job_id, operation, detail)
        if word == "duplicate":
            raise Conflict(f"job {detail} is already doing the same")

    async def pause(self, until: datetime | None = None, reason: str | None = None) -> None:
        """Let nothing start, in no process, until an instant or until resumed."""
        await self.scripts.run("pause_queue", int(until.timestamp() * 1000) if until else "", reason or "")

    async def resume(self) -> None:
        """Let jobs start again."""
        await self.scripts.run("resume_queue")

    async def stats(self) -> QueueStats:
        """Return how many jobs are in each state, in constant time."""
        return (await self._snapshot()).stats

    async def health(self) -> QueueHealth:
        """Return the health of the queue; Redis being away is a finding, not an error."""
        try:
            return assess(await self._snapshot(), self.settings)
        except Unavailable:
            return unreachable(datetime.now(UTC))

    async def _snapshot(self) -> Snapshot:
        places = self.settings.org_concurrency
        counts, pause, since, started, workers, alerts, now, quarantined = await self.scripts.run("read_queue", places)
        at = instant(now) or datetime.now(UTC)
        policy, persistent = await self._server.facts(at)
        waiting, active, completed, failed, delayed, children = counts
        paused = bool(pause[0]) and (not pause[1] or int(pause[1]) > int(now))
        return Snapshot(
            now=at,
            stats=QueueStats(
                waiting=0 if paused else waiting,
                paused=waiting if paused else 0,
                active=active,
                completed=completed,
                failed=failed,
                delayed=delayed,
                waiting_children=children,
            ),
            paused=paused,
            paused_reason=pause[2].decode() or None,
            runnable_since=instant(since.split(b".")[0]),
            last_start=instant(started),
            workers=tuple(_worker(*workers[index : index + 6]) for index in range(0, len(workers), 6)),
            alerts_since={
                code.decode(): instant(value) or at for code, value in zip(alerts[::2], alerts[1::2], strict=True)
            },
            quarantined=quarantined,
            eviction_policy=policy,
            persistent=persistent,
        )


def _worker(worker_id: bytes, host: bytes, pid: bytes, running: bytes, version: bytes, seen: bytes) -> WorkerInfo:
    return WorkerInfo(
        id=worker_id.decode(),
        host=host.decode(),
        pid=int(pid),
        running=int(running),
        version=version.decode(),
        seen_at=datetime.fromtimestamp(int(seen) / 1000, UTC),
    )
