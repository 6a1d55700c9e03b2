"""Access tokens that all workers share: kept sealed, and made by one of them at a time."""

import asyncio
import base64
import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from bankimport.errors import MissingExtra
from bankimport.ports import TokenShelf

#: so long before its end a token is no longer used
_SKEW: Final = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Tokens:
    """An access token and what it is renewed with; the times are seconds of Unix time."""

    access: str
    access_until: float
    refresh: str
    refresh_until: float

    def serves(self, now: datetime) -> bool:
        """Return whether the access token is good for a while."""
        return now.timestamp() < self.access_until - _SKEW.total_seconds()

    def renews(self, now: datetime) -> bool:
        """Return whether the refresh token is."""
        return now.timestamp() < self.refresh_until - _SKEW.total_seconds()


class LocalShelf:
    """A shelf of this process, for a host without Redis, a test, or a command."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[str, datetime]] = {}
        self._turns: dict[str, asyncio.Lock] = {}

    async def get(self, name: str) -> str | None:
        """See `TokenShelf`."""
        value, until = self._kept.get(name, ("", datetime.min.replace(tzinfo=UTC)))
        return value if datetime.now(UTC) < until else None

    async def put(self, name: str, value: str, ttl: timedelta) -> None:
        """See `TokenShelf`."""
        self._kept[name] = (value, datetime.now(UTC) + ttl)

    async def drop(self, name: str) -> None:
        """See `TokenShelf`."""
        self._kept.pop(name, None)

    def turn(self, name: str) -> AbstractAsyncContextManager[None]:
        """See `TokenShelf`."""
        return self._turns.setdefault(name, asyncio.Lock())


class SharedTokens:
    """The tokens of one bank's application. `make` asks for new ones, with the old refresh token while it is good."""

    def __init__(
        self, name: str, secret: str, make: Callable[[str | None, datetime], Awaitable[Tokens]], *, namespace: str = ""
    ) -> None:
        digest = hashlib.blake2b(f"{namespace}\0{secret}".encode(), digest_size=32).digest()
        self._name = f"{name}:{digest.hex()[:16]}"  # another secret has other tokens
        self._seal = _seal(digest)
        self._make = make
        self.shelf: TokenShelf = LocalShelf()

    async def access(self, now: datetime) -> str:
        """Return an access token; if there is none, one worker makes it and the others wait for it."""
        found = await self._found()
        if found is not None and found.serves(now):
            return found.access
        async with self.shelf.turn(self._name):
            found = await self._found()  # another may have made it while we waited
            if found is not None and found.serves(now):
                return found.access
            made = await self._make(found.refresh if found is not None and found.renews(now) else None, now)
            ttl = timedelta(seconds=max(made.access_until, made.refresh_until) - now.timestamp())
            if ttl > timedelta(0):
                await self.shelf.put(self._name, self._seal.encrypt(json.dumps(asdict(made)).encode()).decode(), ttl)
            return made.access

    async def drop(self, access: str) -> None:
        """Forget a token that was refused, unless another took its place already."""
        found = await self._found()
        if found is not None and found.access == access:
            await self.shelf.drop(self._name)

    async def _found(self) -> Tokens | None:
        text = await self.shelf.get(self._name)
        if text is None:
            return None
        try:
            return _tokens(json.loads(self._seal.decrypt(text.encode())))
        except Exception:  # of somebody else's making, or sealed with another secret: as good as none
            return None


def _tokens(value: Mapping[str, Any]) -> Tokens:
    return Tokens(
        str(value["access"]), float(value["access_until"]), str(value["refresh"]), float(value["refresh_until"])
    )


def _seal(digest: bytes) -> Any:
    try:
        from cryptography.fernet import Fernet
    except ImportError:
        raise MissingExtra("gocardless", "a bank of type gocardless") from None
    return Fernet(base64.urlsafe_b64encode(digest))
