"""Reading the records of jobs: one, or a page of those that a filter means. What stands in Redis is untrusted."""

import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from redis.asyncio import Redis

from bankimport.commands import COMMANDS
from bankimport.errors import InvalidRequest, MalformedData
from bankimport.models import JobPage, JobProgress, JobStatus, Stage
from bankimport.queue.filters import STATES, JobFilter, indexes_of
from bankimport.queue.transitions import Transitions
from bankimport.redis.connection import together
from bankimport.redis.instants import instant, maybe_instant
from bankimport.redis.keys import Keys
from bankimport.redis.packing import unpack
from bankimport.status import JobState

#: Entries of an index looked at in one script, and scripts for one page; the rest is left to the next cursor.
_SCAN, _SCRIPTS = 500, 8
_BULK = 1000
_CURSOR = re.compile(r"(?:([a-z-]{1,20})/)?((?:\d{1,16}:[A-Za-z0-9_.:-]{1,128})?)", re.ASCII)


def _json(text: bytes | None) -> Any:
    return json.loads(text) if text else None


def parse(job_id: str, record: Mapping[bytes, bytes], about: Any = None) -> JobStatus | None:
    """Return the status of a record; None if it is not one of ours (torn, or of another shape). `about`: when it is
    due, or who holds its connection."""
    holder = _text(about) if isinstance(about, bytes) else None
    try:
        state = JobState(record[b"state"].decode())
        kind, org_id = record[b"type"].decode(), record[b"org"].decode()
        queued, started, finished = _times(record)
        return JobStatus(
            id=job_id,
            type=kind,
            org_id=org_id,
            state=state,
            progress=_progress(state, record),
            data=_data(kind, org_id, record[b"data"]),
            result=_result(record),
            failed_reason=_text(record.get(b"error")),
            error_code=_text(record.get(b"code")),
            attempts_made=int(record.get(b"attempts", 0)),
            queued_at=instant(queued),
            processed_on=maybe_instant(started),
            finished_on=maybe_instant(finished),
            delayed_until=maybe_instant(about if isinstance(about, float) else None),
            parent_id=_text(record.get(b"parent")),
            blocked_by=holder if holder != job_id else None,
        )
    except (KeyError, ValueError, ValidationError, MalformedData):
        return None


def _times(record: Mapping[bytes, bytes]) -> tuple[bytes | int, bytes | int | None, bytes | int | None]:
    """Return when a job was asked for, started and ended, in ms; of a completed one the record has spans."""
    if b"times" not in record:
        return record[b"queued"], record.get(b"started"), record.get(b"finished")
    queued, waited, took = map(int, record[b"times"].split())
    return queued, queued + waited, queued + waited + took


def _data(kind: str, org_id: str, text: bytes) -> dict[str, Any]:
    """Return a command in full; a function of the host's own keeps its arguments to itself."""
    stored: dict[str, Any] = json.loads(text)
    return COMMANDS[kind].restore(stored, org_id).data() if kind in COMMANDS else stored


def _pieces(record: Mapping[bytes, bytes], name: bytes) -> bytes:
    """Return a value that is laid in pieces (`add_in_pieces` of `lua/lib/records.lua`)."""
    pieces = [record.get(name, b"")]
    while piece := record.get(b"%s%d" % (name, len(pieces))):
        pieces.append(piece)
    return b"".join(pieces)


def _result(record: Mapping[bytes, bytes]) -> Any:
    packed = _pieces(record, b"result")
    return json.loads(unpack(packed)) if packed else None


def _text(value: bytes | None) -> str | None:
    return value.decode() if value else None


def _progress(state: JobState, record: Mapping[bytes, bytes]) -> JobProgress | None:
    """Return the progress; the record of a completed job keeps its last word alone, since its result says the rest."""
    if state is JobState.COMPLETED:
        result = _result(record) or {}
        return JobProgress(
            stage=Stage.COMPLETED,
            message=_pieces(record, b"said").decode() or "completed",
            percent=100,
            accounts_processed=result.get("accountsSynced"),
            transactions_processed=result.get("transactionsSynced"),
        )
    told = _json(record.get(b"progress"))
    progress = JobProgress.model_validate(told) if told else None
    if state.is_terminal:
        message, percent = _text(record.get(b"error")) or "failed", progress.percent if progress else 0
        return JobProgress(stage=Stage.FAILED, message=message, percent=percent)
    return progress


class Records:
    """Reads the records of one queue."""

    def __init__(self, client: Redis, keys: Keys, transitions: Transitions) -> None:
        self._client = client
        self._keys = keys
        self._transitions = transitions

    async def get(self, job_id: str) -> JobStatus | None:
        """Return the job, or None."""
        found = await self.many([job_id.encode()])
        return found[0] if found else None

    async def many(self, ids: list[bytes]) -> list[JobStatus]:
        """Return those of the jobs that exist.

        Raises:
            Unavailable: Redis can't be reached.
        """
        records = await together(self._client, [("HGETALL", self._keys.job(job_id.decode())) for job_id in ids])
        asked = {job_id: self._about(job_id, record) for job_id, record in zip(ids, records, strict=True)}
        about = {job_id: command for job_id, command in asked.items() if command is not None}
        extras = dict(zip(about, await together(self._client, about.values()), strict=True))
        found = (
            parse(job_id.decode(), record, extras.get(job_id)) for job_id, record in zip(ids, records, strict=True)
        )
        return [job for job in found if job is not None]

    def _about(self, job_id: bytes, record: Mapping[bytes, bytes]) -> tuple[Any, ...] | None:
        """Return the command that tells what a record doesn't: when it is due, or who holds its connection."""
        state, lock = record.get(b"state"), record.get(b"lock")
        if state == b"delayed":
            return ("ZSCORE", self._keys.state(JobState.DELAYED), job_id)
        if state == b"waiting" and lock:
            return ("GET", self._keys.of("lock", lock.decode()))
        return None

    async def page(self, wanted: JobFilter, *, cursor: str | None, limit: int) -> JobPage:
        """Return a page of jobs, newest first; without a state and an organisation, one state after the other.

        Raises:
            InvalidRequest: the cursor is none of ours.
            Unavailable: Redis can't be reached.
        """
        ids, after = await self.ids(wanted, cursor=cursor, limit=limit)
        return JobPage(jobs=tuple(await self.many(ids)), next_cursor=after)

    async def every(self, wanted: JobFilter, *, most: int = 10**9) -> list[str]:
        """Return the ids of all jobs that are meant now, or of the newest of them."""
        found, cursor = await self.ids(wanted, cursor=None, limit=_BULK)
        while cursor is not None and len(found) < most:
            more, cursor = await self.ids(wanted, cursor=cursor, limit=_BULK)
            found += more
        return [job_id.decode() for job_id in found[:most]]

    async def ids(self, wanted: JobFilter, *, cursor: str | None, limit: int) -> tuple[list[bytes], str | None]:
        """Return ids of a page, and the cursor of the next; None on the last."""
        state, last = _parsed(cursor)
        if indexes := indexes_of(wanted, self._keys):
            walk = [("", await self._smallest(indexes))]
        else:
            states = STATES[STATES.index(JobState(state)) if state else 0 :]
            walk = [(f"{each}/", self._keys.state(each)) for each in states]
        find, about = self._transitions.find_jobs, (wanted.fields(), wanted.connection_id or "")
        found: list[bytes] = []
        scripts = 0
        for following, (prefix, index) in enumerate(walk, 1):
            more = True
            while more:
                got, last, more = await find(index, last, *about, limit - len(found), _SCAN)
                found += got
                scripts += 1
                if more and (len(found) == limit or scripts >= _SCRIPTS):
                    return found, prefix + last
            last = ""
            if len(found) == limit and following < len(walk):
                return found, walk[following][0]
        return found, None

    async def _smallest(self, indexes: list[str]) -> str:
        if len(indexes) == 1:
            return indexes[0]
        sizes = await together(self._client, [("ZCARD", index) for index in indexes])
        return min(zip(sizes, indexes, strict=True))[1]


def _parsed(cursor: str | None) -> tuple[str, str]:
    found = _CURSOR.fullmatch(cursor or "")
    if found is None or (found[1] and found[1] not in STATES) or (cursor is not None and not cursor):
        raise InvalidRequest("/cursor", "is not a cursor of this list")
    return found[1] or "", found[2]
