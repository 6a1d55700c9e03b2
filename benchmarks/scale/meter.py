"""How long each call of a script holds the server: one call at a time, the less of two measures of it.

The server's slow log has the time by the clock, in which a busy machine counts its neighbours; Linux's account of the
server's thread has the CPU, in which the server's work between two commands is counted. A script took at most either.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis

from bankimport.redis.declaring import Script
from bankimport.redis.scripts import Scripts
from benchmarks.table import percentile

#: What nobody may hold the server for, in ms.
LIMIT = 20.0
HEAD = ("with", "what is done", "script", "calls", "p50 ms", "p99 ms", "longest ms", f"≤ {LIMIT:.0f} ms")
_LOGGED, _SHORT = 1000, 500  # commands, µs


@dataclass
class Meter:
    """Collects the times of the calls, by what was done."""

    admin: redis.Redis
    pid: int
    situation: str = ""
    #: ms of each call, by situation, what is done and the script
    times: dict[tuple[str, str, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    _what: str = ""

    def __post_init__(self) -> None:
        self._account = Path(f"/proc/{self.pid}/task/{self.pid}/schedstat")
        self.admin.config_set("slowlog-log-slower-than", _SHORT)
        self.admin.config_set("slowlog-max-len", _LOGGED)

    @contextmanager
    def during(self, what: str) -> Iterator[None]:
        """Measure a stretch of work."""
        self._what = what
        yield
        self._what = ""

    def empty(self) -> None:
        """Empty the server, and not in the background, where it would stand in the way of what is measured next."""
        self.admin.execute_command("FLUSHALL", "SYNC")

    def cpu(self) -> float:
        """Return the CPU (ms) that the server's thread has used."""
        return int(self._account.read_text().split()[0]) / 1e6

    def note(self, name: str, used: float) -> None:
        """Take down a call that used so much CPU (ms); the slow log has it unless it was short."""
        if self._what:
            logged = [call["duration"] for call in self.admin.slowlog_get(_LOGGED) if call["command"][:4] == b"EVAL"]
            clock = max(logged, default=_SHORT) / 1000
            self.times[self.situation, self._what, name].append(min(used, clock))

    def rows(self) -> list[tuple[str, ...]]:
        """Return the table's rows."""
        rows = []
        for (situation, what, name), times in self.times.items():
            shares = (f"{percentile(times, share):.2f}" for share in (0.5, 0.99))
            verdict = "yes" if max(times) <= LIMIT else "**no**"
            rows.append((situation, what, f"`{name}`", f"{len(times):,}", *shares, f"{max(times):.1f}", verdict))
        return rows


class Measured(Scripts):
    """Scripts of which each call is measured, one at a time."""

    def __init__(self, meter: Meter, *args: Any) -> None:
        super().__init__(*args)
        self._meter = meter
        self._turn = asyncio.Lock()

    async def call(self, script: Script[..., Any], args: Sequence[bytes], token: bytes, *, again: bool = False) -> Any:
        """See `Scripts`."""
        async with self._turn:
            self._meter.admin.slowlog_reset()
            before = self._meter.cpu()
            answer = await super().call(script, args, token, again=again)
            used = self._meter.cpu() - before
            self._meter.note(script.name, used)
            return answer
