"""Every Redis key has an end, and the table in `bankimport.redis.keys` says which: here it is held to it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from redis import Redis

from bankimport.redis import keys

#: keys of arq itself, which always have a time to live
ARQ = r"arq:(job|in-progress|retry|result):.+"


@dataclass(frozen=True)
class Row:
    """A row of the table: which keys, and how they end."""

    pattern: re.Pattern[str]
    end: str

    @property
    def needs_ttl(self) -> bool:
        """Whether the table promises a time to live from the beginning."""
        return self.end.startswith("TTL") and not self.end.startswith("TTL once it has ended")


def rows() -> Iterator[Row]:
    """Yield the table's rows."""
    for key in keys.KEYS:
        assert key.end, f"{key.pattern} has no end in the table of bankimport.redis.keys"
        yield Row(re.compile(re.sub(r"<\w+>", ".*", key.pattern)), key.end)


def endless_keys(redis: "Redis[bytes]", queue: str = "bank-import") -> list[str]:
    """Return a sentence for each key that has neither a time to live nor a documented end."""
    prefix = keys.Keys(queue).prefix
    table = list(rows())
    wrong = []
    for raw in redis.scan_iter(count=1000):
        key = raw.decode()
        if redis.ttl(raw) != -1 or key == queue:  # arq's queue is emptied as jobs end
            continue
        row = next((row for row in table if row.pattern.fullmatch(key.removeprefix(prefix))), None)
        if row is None or not key.startswith(prefix) or re.fullmatch(ARQ, key):
            wrong.append(f"{key} has no TTL and is not in the table of bankimport.redis.keys")
        elif row.needs_ttl:
            wrong.append(f"{key} has no TTL; its end is: {row.end}")
        elif row.end.startswith("TTL once it has ended") and redis.hget(raw, "state") in (
            b"completed",
            b"failed",
            b"cancelled",
        ):
            wrong.append(f"{key} has ended and has no TTL")
    return wrong
