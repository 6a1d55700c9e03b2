"""How long each call of a script holds the server: the CPU that the server's one thread spends on it, and the clock.

The CPU is Linux's own account of that thread, read before and after each call, one call at a time; a neighbour on the
machine doesn't change it. The clock is the server's slow log; on a busy machine it tells of the neighbours, too.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis

from bankimport.queue.scripts import Scripts
from benchmarks.table import percentile

#: What nobody may hold the server for, in ms.
LIMIT = 20.0
HEAD = (
    "with",
    "what is done",
    "script",
    "calls",
    "p50 ms",
    "p99 ms",
    "longest ms",
    "by the clock",
    f"≤ {LIMIT:.0f} ms",
)
_LOGGED = 100_000


@dataclass
class _Seen:
    """What was seen of one script during one kind of work: CPU ms by call, and the longest ms by the clock."""

    times: list[float] = field(default_factory=list)
    clock: list[float] = field(default_factory=list)


@dataclass
class Meter:
    """Collects the times of the calls, by what was done."""

    admin: redis.Redis
    pid: int
    situation: str = ""
    seen: dict[tuple[str, str, str], _Seen] = field(default_factory=lambda: defaultdict(_Seen))
    _what: str = ""

    def __post_init__(self) -> None:
        self._account = Path(f"/proc/{self.pid}/task/{self.pid}/schedstat")
        self.admin.config_set("slowlog-log-slower-than", 500)
        self.admin.config_set("slowlog-max-len", _LOGGED)

    @contextmanager
    def during(self, what: str) -> Iterator[None]:
        """Measure a stretch of work."""
        self._what = what
        yield
        self._what = ""

    def cpu(self) -> float:
        """Return the CPU (ms) that the server's thread has used."""
        return int(self._account.read_text().split()[0]) / 1e6

    def note(self, name: str, used: float) -> None:
        """Take down a call, and what the slow log says of it."""
        calls = self.admin.slowlog_get(_LOGGED)
        if not self._what:
            return
        seen = self.seen[self.situation, self._what, name]
        seen.times.append(used)
        seen.clock += [call["duration"] / 1000 for call in calls if call["command"].startswith(b"EVALSHA")]

    def rows(self) -> list[tuple[str, ...]]:
        """Return the table's rows."""
        rows = []
        for (situation, what, name), seen in self.seen.items():
            times, longest = seen.times, max(seen.times)
            shares = (f"{percentile(times, share):.2f}" for share in (0.5, 0.99))
            clock = f"{max(seen.clock):.1f}" if seen.clock else "< 0.5"
            verdict = "yes" if longest <= LIMIT else "**no**"
            rows.append((situation, what, f"`{name}`", f"{len(times):,}", *shares, f"{longest:.1f}", clock, verdict))
        return rows


class Measured(Scripts):
    """Scripts of which each call is measured, one at a time."""

    def __init__(self, meter: Meter, *args: Any) -> None:
        super().__init__(*args)
        self._meter = meter
        self._turn = asyncio.Lock()

    async def call(self, name: str, args: Sequence[bytes], token: bytes, *, again: bool = False) -> Any:
        """See `Scripts`."""
        async with self._turn:
            self._meter.admin.slowlog_reset()
            before = self._meter.cpu()
            answer = await super().call(name, args, token, again=again)
            used = self._meter.cpu() - before
            self._meter.note(name, used)
            return answer
