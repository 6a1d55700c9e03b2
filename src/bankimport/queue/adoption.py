"""Adopting what strangers put into arq's queue, and putting garbage aside."""

import json
import math
import re
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from bankimport.commands import COMMANDS, Command
from bankimport.errors import MalformedData
from bankimport.models import ID_PATTERN
from bankimport.queue.payloads import Undecodable, deserialize
from bankimport.queue.queue import Enqueue, Queue
from bankimport.redis.connection import patiently
from bankimport.redis.keys import ARQ_JOB

log = structlog.get_logger(__name__)

_SLICE = 100
_ID = re.compile(ID_PATTERN)

#: Returns the organisation of a connection, or None: a stranger's job may not say it.
OrgOf = Callable[[str], Awaitable[str | None]]


class UnknownFunction(Exception):
    """No function of this worker; another's, in a rolling update, may know it."""


def foreign_row(function: str, payload: str, job_id: str, due: int) -> dict[str, Any]:
    """Return the job of a host's own function: its payload is kept as it came."""
    plain = {"org": "", "lock": "", "data": "{}", "question": "", "manual": "1", "fixed": "1"}
    return {**plain, "type": function, "payload": payload, "id": job_id, "due": due}


class Adoption:
    """Adopts what strangers put into arq's queue; `functions` are the names the worker knows beside our own."""

    def __init__(self, queue: Queue, org_of: OrgOf) -> None:
        self._queue = queue
        self._org_of = org_of
        self.functions: set[str] = set()
        self._left = 0

    async def run(self) -> int:
        """Adopt every stranger whose function this worker knows; return how many stay in arq's queue.

        Raises:
            Unavailable: Redis can't be reached.
        """
        self._left = 0
        while members := await self._members(self._left):
            rows = [row for member, due, payload in members if (row := await self._seen(member, due, payload))]
            if rows:
                await self._queue.transitions.enqueue_jobs(rows, "1")
            for row in rows:
                log.info("job.adopted", job_id=row["id"], type=row["type"])
            if len(members) < _SLICE:
                break
        return self._left

    async def _members(self, offset: int) -> list[tuple[bytes, float, bytes | None]]:
        client = self._queue.client
        rows: list[tuple[bytes, float]] = await patiently(
            lambda: client.zrange(self._queue.keys.queue, offset, offset + _SLICE - 1, withscores=True)
        )
        if not rows:
            return []
        payloads = await patiently(lambda: client.mget([ARQ_JOB.encode() + member for member, _ in rows]))
        return [(member, due, payload) for (member, due), payload in zip(rows, payloads, strict=True)]

    async def _seen(self, member: bytes, due: float, payload: bytes | None) -> dict[str, Any] | None:
        """Return the job of a member; None if it was put aside, or is another worker's to adopt."""
        try:
            return await self._row(member, due, payload)
        except UnknownFunction as error:
            self._left += 1
            await self._note_unknown(str(error))
        except (Undecodable, MalformedData) as error:
            if await self._queue.transitions.quarantine_member(member, str(error)) == "quarantined":
                log.error("queue.quarantined", reason=str(error))  # noqa: TRY400  # the reason is all there is to say
        return None

    async def _note_unknown(self, function: str) -> None:
        seconds, _ = await patiently(self._queue.client.time)
        command = ("HSETNX", self._queue.keys.of("unknown_since"), function, int(seconds) * 1000)
        await patiently(lambda: self._queue.client.execute_command(*command))

    async def _row(self, member: bytes, due: float, payload: bytes | None) -> dict[str, Any]:
        if not _ID.fullmatch(member.decode("ascii", "replace")):
            raise Undecodable("the id is not 1 to 128 letters, digits and _ . : -")
        if not math.isfinite(due) or abs(due) > 1e14:
            raise Undecodable("its due time is no instant")
        if payload is None:
            raise Undecodable("the job has expired")
        values = deserialize(payload)
        kind = COMMANDS.get(values["f"])
        if kind is None:
            return foreign_row(values["f"], self._foreign(values), member.decode(), int(due))
        if values["a"]:
            raise MalformedData(f"the arguments of the {kind.type} job must be named")
        row = Enqueue(await self._owned(kind.parse(values["k"]))).row()
        return row | {"id": member.decode(), "due": int(due), "fixed": "1"}

    def _foreign(self, values: dict[str, Any]) -> str:
        """Return the payload for a function of the host's own, beside ours in the same worker."""
        if values["f"] not in self.functions:
            if not _ID.fullmatch(values["f"]):
                raise Undecodable("the function's name is none")
            raise UnknownFunction(values["f"])
        try:
            return json.dumps({name: values[name] for name in ("t", "f", "a", "k", "et")})
        except TypeError:
            raise Undecodable("the arguments are no plain JSON values") from None

    async def _owned(self, command: Command) -> Command:
        if command.org_id or not command.lock:
            return command
        return command.model_copy(update={"org_id": await self._org_of(command.lock) or ""})
