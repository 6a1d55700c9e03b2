"""The ledger of unattended reads in Redis: one for all workers, each step atomic, surviving renewed consents."""

import hashlib
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from typing import Any

from bankimport.access.budget import free_at, horizon
from bankimport.ports import AccessHistory, AccessKey, Asks, CountedRead, Met
from bankimport.redis.connection import patiently
from bankimport.redis.declaring import Declared, as_it_is, script, word
from bankimport.redis.instants import instant, maybe_instant, milliseconds
from bankimport.redis.scripts import Place
from bankimport.telemetry import read_refused

#: The list of accounts is read once a day: a connection that is noted no more is one that nobody syncs.
_KEEP_MET = timedelta(days=2)


def digest_of(*parts: str) -> str:
    """Return a name for a key or a connection that tells nobody whose it is."""
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()


def _name(key: AccessKey) -> str:
    return digest_of(key.bank, key.stable_key, key.scope.value)


class _AccessScripts(Declared):
    """The scripts of the ledger."""

    @script(word)
    def reserve_access(
        self,
        name: str,
        at: datetime,
        limit: int | None,
        since: datetime,
        who: str,
        asks: str,
        member: str,
        begins: bool,  # noqa: FBT001  # a script's argument
    ) -> Any: ...

    @script(word)
    def note_access(self, name: str, refused: datetime | None, who: str) -> Any: ...

    @script(as_it_is)
    def read_access(self, name: str, since: datetime, who: str) -> Any: ...


class RedisLedger:
    """The `AccessLedger` of a queue; `hear_deferred` hears of each read that a bank's quota doesn't allow yet."""

    def __init__(self, place: Place, hear_deferred: Callable[[str], None] = lambda bank: None) -> None:
        self._place = place
        self._scripts = _AccessScripts(place.scripts)
        self._hear_deferred = hear_deferred

    async def reserve(
        self, key: AccessKey, read: CountedRead, *, limit: int | None, zone: tzinfo | None, begins: bool
    ) -> datetime | None:
        """See `AccessLedger`."""
        who = digest_of(read.connection_id)
        member = f"{read.asks}:{who}:{secrets.token_urlsafe(6)}:{read.job_id}"  # 64 bytes: longer ones weigh five times
        since = horizon(read.at, zone)
        answer = await self._scripts.reserve_access(
            _name(key), read.at, limit, since, who, read.asks.value, member, begins
        )
        if not answer:
            return None
        what, _, until = answer.partition(":")
        read_refused(key.bank, key.scope.value, "closed" if what == "closed" else "quota")
        self._hear_deferred(key.bank)
        return instant(until) if what == "closed" else free_at(instant(until), zone)

    async def note_success(self, key: AccessKey, connection_id: str) -> None:
        """See `AccessLedger`."""
        await self._scripts.note_access(_name(key), None, digest_of(connection_id))

    async def close(self, key: AccessKey, until: datetime) -> None:
        """See `AccessLedger`."""
        await self._scripts.note_access(_name(key), until, "")

    async def history(self, key: AccessKey, connection_id: str, since: datetime) -> AccessHistory:
        """See `AccessLedger`."""
        who = digest_of(connection_id)
        rows, failures, closed = await self._scripts.read_access(_name(key), since, who)
        reads = []
        for member, score in zip(rows[::2], rows[1::2], strict=True):
            asks, by, _, job_id = member.decode().split(":", 3)
            reads.append(CountedRead(instant(float(score)), Asks(asks), connection_id if by == who else by, job_id))
        return AccessHistory(tuple(reads), failures, maybe_instant(closed))

    async def met(self, connection_id: str) -> Met | None:
        """See `AccessLedger`."""
        name = self._place.keys.of("access_met", digest_of(connection_id))
        text = await patiently(lambda: self._place.client.get(name))
        if text is None:
            return None
        return Met(instant(text) if text.isdigit() else None)

    async def meet(self, connection_id: str, met: Met) -> None:
        """See `AccessLedger`."""
        text = "never" if met.listed_at is None else str(milliseconds(met.listed_at))
        name = self._place.keys.of("access_met", digest_of(connection_id))
        await patiently(lambda: self._place.client.set(name, text, px=_KEEP_MET))
