"""What each family of keys weighs, as the server tells it key by key; what is left is the tables that hold the keys."""

import re
from collections import Counter

import redis

from bankimport.redis.keys import KEYS, Key


def weighed(admin: redis.Redis, prefix: str) -> Counter[str]:
    """Return the bytes of each family of keys."""
    families = [(key.pattern, _matching(key)) for key in KEYS]
    found: Counter[str] = Counter()
    names = list(admin.scan_iter(f"{prefix}*", count=10_000))
    for start in range(0, len(names), 10_000):
        part = names[start : start + 10_000]
        with admin.pipeline(transaction=False) as pipe:
            for name in part:
                pipe.memory_usage(name, samples=0)
            sizes = pipe.execute()
        for name, size in zip(part, sizes, strict=True):
            text = name.decode().removeprefix(prefix)
            found[next(pattern for pattern, matches in families if matches.fullmatch(text))] += size or 0
    return found


def _matching(key: Key) -> re.Pattern[str]:
    pieces = re.split(r"<\w+>", key.pattern)
    return re.compile(".+".join(re.escape(piece) for piece in pieces))
