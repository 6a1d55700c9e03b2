"""Bringing arq's queue and our records in line: strangers' jobs are adopted, lost keys put back, garbage put aside."""

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from bankimport.commands import COMMANDS, Command
from bankimport.errors import MalformedData
from bankimport.models import ID_PATTERN
from bankimport.queue.keys import ARQ_JOB
from bankimport.queue.payloads import Undecodable, deserialize
from bankimport.queue.queue import Enqueue, Queue

log = structlog.get_logger(__name__)

_SLICE = 500
_ID = re.compile(ID_PATTERN)

#: Returns the organisation of a connection, or None: a stranger's job may not say it.
OrgOf = Callable[[str], Awaitable[str | None]]


class Adoption:
    """Adopts what strangers put into arq's queue; `functions` are the names the worker knows beside our own."""

    def __init__(self, queue: Queue, org_of: OrgOf) -> None:
        self._queue = queue
        self._org_of = org_of
        self.functions: set[str] = set()

    async def run(self) -> None:
        """Adopt every stranger, put back what was removed behind our back, and recount.

        Raises:
            Unavailable: Redis can't be reached.
        """
        offset = 0
        while members := await self._members(offset):
            strangers = await self._strangers(members)
            for member, score in strangers:
                await self._adopt(member, int(score))
            offset += len(members)
        for state in ("waiting", "delayed", "active", "waiting-children"):
            await self._repair(state)
        await self._queue.scripts.run("sweep_queue", "recount")

    async def _members(self, offset: int) -> list[tuple[bytes, float]]:
        rows: list[tuple[bytes, float]] = await self._queue.client.zrange(
            self._queue.keys.queue, offset, offset + _SLICE - 1, withscores=True
        )
        return rows

    async def _strangers(self, members: list[tuple[bytes, float]]) -> list[tuple[bytes, float]]:
        async with self._queue.client.pipeline(transaction=False) as pipe:
            for member, _ in members:
                pipe.exists(self._queue.keys.prefix.encode() + b"job:" + member)
            known = await pipe.execute()
        return [row for row, ours in zip(members, known, strict=True) if not ours]

    async def _repair(self, state: str) -> None:
        offset = seen = 0
        while offset == 0 or seen == _SLICE:
            seen, repaired = await self._queue.scripts.run("sweep_queue", state, offset, _SLICE)
            offset += _SLICE
            if repaired:
                log.warning("queue.repaired", state=state, jobs=repaired)

    async def _adopt(self, member: bytes, due: int) -> None:
        try:
            row = await self._row(member)
        except (Undecodable, MalformedData) as error:
            await self._queue.scripts.run("quarantine_member", member, str(error))
            log.error("queue.quarantined", reason=str(error))  # noqa: TRY400  # the reason is all there is to say
            return
        row |= {"id": member.decode(), "due": due}
        await self._queue.scripts.run("enqueue_jobs", json.dumps([row]), "adopt")
        log.info("job.adopted", job_id=row["id"], type=row["type"])

    async def _row(self, member: bytes) -> dict[str, Any]:
        if not _ID.fullmatch(member.decode("ascii", "replace")):
            raise Undecodable("the id is not 1 to 128 letters, digits and _ . : -")
        payload = await self._queue.client.get(ARQ_JOB + member.decode())
        if payload is None:
            raise Undecodable("the job has expired")
        values = deserialize(payload)
        kind = COMMANDS.get(values["f"])
        if kind is None:
            return self._foreign(values)
        if values["a"]:
            raise MalformedData(f"the arguments of the {kind.type} job must be named")
        return Enqueue(await self._owned(kind.parse(values["k"]))).row()

    def _foreign(self, values: dict[str, Any]) -> dict[str, Any]:
        """A function of the host's own, beside ours in the same worker: its payload is kept as it came."""
        if values["f"] not in self.functions:
            raise Undecodable("the worker has no such function")
        try:
            text = json.dumps({name: values[name] for name in ("t", "f", "a", "k", "et")})
        except TypeError:
            raise Undecodable("the arguments are no plain JSON values") from None
        row = {"type": values["f"], "org": "", "lock": "", "data": "{}", "question": "", "manual": "1", "limit": 0}
        return {**row, "psu": "", "arq": text}

    async def _owned(self, command: Command) -> Command:
        if command.org_id or not command.lock:
            return command
        return command.model_copy(update={"org_id": await self._org_of(command.lock) or ""})
