"""What the runs of a job have done, in Redis, for a run that begins anew."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, cast

from bankimport.redis.connection import patiently, together
from bankimport.redis.instants import duration_ms
from bankimport.redis.scripts import Place

#: A run that begins anew after so long reads everything again: it is as old as what the next tick would read.
_KEEP = timedelta(hours=8)


class RedisNotes:
    """The `JobNotes` of a queue."""

    def __init__(self, place: Place) -> None:
        self._place = place

    async def load(self, job_id: str) -> Mapping[str, str]:
        """See `JobNotes`."""
        name = self._place.keys.of("notes", job_id)
        kept: dict[bytes, bytes] = await patiently(lambda: cast(Any, self._place.client.hgetall(name)))
        return {account_id.decode(): note.decode() for account_id, note in kept.items()}

    async def put(self, job_id: str, account_id: str, note: str) -> None:
        """See `JobNotes`."""
        name = self._place.keys.of("notes", job_id)
        keep = ("PEXPIRE", name, duration_ms(_KEEP))
        await together(self._place.client, [("HSET", name, account_id, note), keep], atomic=True)
