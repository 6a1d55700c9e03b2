"""Reading the records of jobs: one, or a page of an organisation's. What stands in Redis is untrusted."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError
from redis.asyncio import Redis

from bankimport.commands import COMMANDS
from bankimport.errors import InvalidRequest, MalformedData
from bankimport.models import JobPage, JobProgress, JobStatus, Stage
from bankimport.queue.keys import Keys
from bankimport.queue.packing import unpack
from bankimport.status import JobState

#: Records looked at for one page before the rest is left to the next cursor.
_SCANNED_A_PAGE = 2000
_SLICE = 200


def instant(milliseconds: bytes | None) -> datetime | None:
    """Return the aware instant of a number of ms since 1970."""
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC) if milliseconds else None


def _json(text: bytes | None) -> Any:
    return json.loads(text) if text else None


def parse(job_id: str, record: Mapping[bytes, bytes]) -> JobStatus | None:
    """Return the status of a record; None if it is not one of ours (torn, or of another shape)."""
    try:
        state = JobState(record[b"state"].decode())
        return JobStatus(
            id=job_id,
            type=record[b"type"].decode(),
            org_id=record[b"org"].decode(),
            state=state,
            progress=_progress(state, record),
            data=_data(record[b"type"].decode(), record[b"org"].decode(), record[b"data"]),
            result=_result(record),
            failed_reason=_text(record.get(b"error")),
            error_code=_text(record.get(b"code")),
            attempts_made=int(record.get(b"attempts", 0)),
            queued_at=datetime.fromtimestamp(int(record[b"queued"]) / 1000, UTC),
            processed_on=instant(record.get(b"started")),
            finished_on=instant(record.get(b"finished")),
        )
    except (KeyError, ValueError, ValidationError, MalformedData):
        return None


def _data(kind: str, org_id: str, text: bytes) -> dict[str, Any]:
    """Return a command in full; a function of the host's own keeps its arguments to itself."""
    stored: dict[str, Any] = json.loads(text)
    return COMMANDS[kind].restore(stored, org_id).data() if kind in COMMANDS else stored


def _result(record: Mapping[bytes, bytes]) -> Any:
    """Return the result, which is laid in pieces (`add_in_pieces` of the prelude)."""
    pieces = [record.get(b"result", b"")]
    while piece := record.get(b"result%d" % len(pieces)):
        pieces.append(piece)
    packed = b"".join(pieces)
    return json.loads(unpack(packed)) if packed else None


def _text(value: bytes | None) -> str | None:
    return value.decode() if value else None


def _progress(state: JobState, record: Mapping[bytes, bytes]) -> JobProgress | None:
    """Return the progress; the record of a completed job keeps none, since its result says it all."""
    if state is JobState.COMPLETED:
        result = _result(record) or {}
        return JobProgress(
            stage=Stage.COMPLETED,
            message="completed",
            percent=100,
            accounts_processed=result.get("accountsSynced"),
            transactions_processed=result.get("transactionsSynced"),
        )
    told = _json(record.get(b"progress"))
    progress = JobProgress.model_validate(told) if told else None
    if state is JobState.FAILED:
        message, percent = _text(record.get(b"error")) or "failed", progress.percent if progress else 0
        return JobProgress(stage=Stage.FAILED, message=message, percent=percent)
    return progress


class Records:
    """Reads the records of one queue."""

    def __init__(self, client: Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    async def get(self, job_id: str) -> JobStatus | None:
        """Return the job, or None."""
        [(_, job)] = await self._load([job_id.encode()])
        return job

    async def many(self, ids: list[bytes]) -> list[JobStatus]:
        """Return those of the jobs that exist."""
        return [job for _, job in await self._load(ids) if job is not None]

    async def page(
        self,
        org_id: str,
        *,
        state: JobState | None,
        connection_id: str | None,
        type_: str | None,
        cursor: str | None,
        limit: int,
    ) -> JobPage:
        """Return a page of an organisation's jobs, newest first.

        Raises:
            InvalidRequest: the cursor is none of ours.
        """
        rank = await self._rank_after(org_id, cursor)
        found: list[JobStatus] = []
        last: str | None = cursor
        for start in range(rank, rank + _SCANNED_A_PAGE, _SLICE):
            rows = await self._client.zrevrange(self._keys.org(org_id), start, start + _SLICE - 1, withscores=True)
            for (job_id, score), (_, job) in zip(rows, await self._load([row[0] for row in rows]), strict=True):
                last = f"{score:.0f}:{job_id.decode()}"
                if job is not None and _wanted(job, state, connection_id, type_):
                    found.append(job)
                if len(found) == limit:
                    return JobPage(jobs=tuple(found), next_cursor=last)
            if len(rows) < _SLICE:
                return JobPage(jobs=tuple(found))
        return JobPage(jobs=tuple(found), next_cursor=last)

    async def _rank_after(self, org_id: str, cursor: str | None) -> int:
        """Return the rank of what follows the cursor, even if the job it names was cleaned away meanwhile."""
        if cursor is None:
            return 0
        score, _, job_id = cursor.partition(":")
        if not score.isdigit() or not job_id or len(cursor) > 160:
            raise InvalidRequest("/cursor", "is not a cursor of this list")
        rank = await self._client.zrevrank(self._keys.org(org_id), job_id)
        if rank is not None:
            return int(rank) + 1
        return int(await self._client.zcount(self._keys.org(org_id), f"({score}", "+inf"))

    async def _load(self, ids: list[bytes]) -> list[tuple[bytes, JobStatus | None]]:
        if not ids:
            return []
        async with self._client.pipeline(transaction=False) as pipe:
            for job_id in ids:
                pipe.hgetall(self._keys.job(job_id.decode()))
            records = await pipe.execute()
        return [
            (job_id, parse(job_id.decode(), record) if record else None)
            for job_id, record in zip(ids, records, strict=True)
        ]


def _wanted(job: JobStatus, state: JobState | None, connection_id: str | None, type_: str | None) -> bool:
    return (
        (state is None or job.state == state)
        and (type_ is None or job.type == type_)
        and (connection_id is None or job.data.get("connectionId") == connection_id)
    )
