"""What is asked of the banks, counted over all processes: by the minute for an hour, by the hour for a day,
by the quarter of a day for a week.

Each process counts for itself and tells Redis every few seconds, so that no request to a bank costs a trip; a process
that is killed takes the counts of its last seconds with it.
"""

import asyncio
import contextlib
import math
import time
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from bankimport.errors import Unavailable
from bankimport.models import BankActivity, BankStep, ConnectionHealth, Period, RequestOutcome
from bankimport.redis.declaring import Declared, as_it_is, pairs, script, word
from bankimport.redis.instants import maybe_instant
from bankimport.redis.scripts import Place

#: So often is told what was counted, in seconds.
_EVERY: Final = 5.0
#: How long a process that ends tries to tell the rest.
_LAST_WORD: Final = 1.0
#: The first step of the histogram, how many to a doubling, and how many in all: up to a minute and more.
_FIRST, _TO_DOUBLE, _STEPS = 0.005, 2, 28
#: Of each period: how long its steps are, and how many it has.
_SLOTS: Final = {
    Period.HOUR: (timedelta(minutes=1), 60),
    Period.DAY: (timedelta(hours=1), 24),
    Period.WEEK: (timedelta(hours=6), 28),
}
#: How many connections of each bank are how.
_Census = Mapping[str, Mapping[ConnectionHealth, int]]


def step_of(seconds: float) -> int:
    """Return the step of the histogram that a time falls into."""
    return min(_STEPS, max(0, math.ceil(_TO_DOUBLE * math.log2(seconds / _FIRST)))) if seconds > 0 else 0


def percentile(steps: Mapping[int, int], share: float) -> timedelta | None:
    """Return the time that a share of the requests took at most, between the bounds of its step."""
    wanted = share * sum(steps.values())
    below = 0
    for step in sorted(steps):
        if steps[step] and below + steps[step] >= wanted:
            upper = _FIRST * 2 ** (step / _TO_DOUBLE)
            lower = 0.0 if step == 0 else _FIRST * 2 ** ((step - 1) / _TO_DOUBLE)
            return timedelta(seconds=lower + (upper - lower) * (wanted - below) / steps[step])
        below += steps[step]
    return None


@dataclass
class _Seen:
    """What was seen of one bank since it was told last; instants are monotonic seconds."""

    counts: Counter[str] = field(default_factory=Counter)
    answered: float | None = None
    began: float | None = None
    ended: float | None = None
    row: int = 0
    error: str = ""

    @classmethod
    def one(cls, outcome: RequestOutcome, now: float) -> "_Seen":
        """Return what one request has shown: whether the bank answers."""
        trouble = outcome.is_trouble
        return cls(began=now, ended=now, row=1, error=outcome.value) if trouble else cls(answered=now)

    def joined(self, later: "_Seen") -> "_Seen":
        """Return this one and what was seen after it as one."""
        both = _Seen(self.counts + later.counts, self.answered, self.began, self.ended, self.row, self.error)
        if later.answered is not None:
            both.answered, both.began, both.ended = later.answered, later.began, later.ended
            both.row, both.error = later.row, later.error
        elif later.ended is not None:
            both.began = later.began if both.began is None else both.began
            both.ended, both.row, both.error = later.ended, both.row + later.row, later.error
        return both

    def told(self, bank: str, now: float) -> dict[str, Any]:
        """Return it as `note_banks.lua` takes it."""
        ages = {"answered": self.answered, "began": self.began, "ended": self.ended}
        ago = {name: -1 if at is None else max(0, round(1000 * (now - at))) for name, at in ages.items()}
        return {"bank": bank, "counts": dict(self.counts), **ago, "row": self.row, "error": self.error}


class _FigureScripts(Declared):
    """The scripts of the figures."""

    @script(word, once=True)
    def note_banks(self, banks: list[dict[str, Any]]) -> Any: ...

    @script(as_it_is)
    def read_bank(self, bank: str, size: timedelta, number: int) -> Any: ...


class BankFigures:
    """Counts what this process asks of banks, and reads what all have counted."""

    def __init__(self, place: Place) -> None:
        self._scripts = _FigureScripts(place.scripts)
        self._seen: dict[str, _Seen] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._telling: set[asyncio.Task[None]] = set()

    def heard(self, bank: str, outcome: RequestOutcome, took: timedelta) -> None:
        """Count a request."""
        seen = self._of(bank)
        seen.counts[f"r:{outcome.value}"] += 1
        if outcome is not RequestOutcome.NO_ANSWER:
            seen.counts[f"t:{step_of(took.total_seconds())}"] += 1
        self._seen[bank] = seen.joined(_Seen.one(outcome, time.monotonic()))

    def deferred(self, bank: str) -> None:
        """Count a read that the bank's quota doesn't allow yet."""
        self._of(bank).counts["q"] += 1

    def _of(self, bank: str) -> _Seen:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_EVERY, self._begin)
        return self._seen.setdefault(bank, _Seen())

    def _begin(self) -> None:
        self._timer = None
        telling = asyncio.create_task(self.tell())
        self._telling.add(telling)
        telling.add_done_callback(self._telling.discard)

    async def tell(self) -> None:
        """Tell Redis what was counted; while it is away it is kept for the next time."""
        seen, self._seen = self._seen, {}
        if not seen:
            return
        now = time.monotonic()
        try:
            await self._scripts.note_banks([each.told(bank, now) for bank, each in seen.items()])
        except BaseException as error:  # a cancelled one too: it is told with the last word
            for bank, each in seen.items():
                self._seen[bank] = each.joined(self._of(bank))
            if not isinstance(error, Unavailable):
                raise

    async def aclose(self) -> None:
        """Tell the rest, and count no more."""
        if self._timer is not None:
            self._timer.cancel()
        with contextlib.suppress(TimeoutError, Unavailable):
            async with asyncio.timeout(_LAST_WORD):
                await asyncio.gather(*self._telling)
                await self.tell()
        if self._timer is not None:
            self._timer.cancel()

    async def failing(self, names: Sequence[str]) -> list[BankActivity]:
        """Return the banks that fail, over the last minute alone: whether one does takes little to know.

        Raises:
            Unavailable: Redis can't be reached.
        """
        found = await self._read(names, timedelta(minutes=1), 1, names, {})
        return [bank for bank in found if bank.is_failing]

    async def read(
        self, names: Sequence[str], period: Period, configured: Mapping[str, object], connections: _Census
    ) -> list[BankActivity]:
        """Return the figures of banks, in one round trip.

        Raises:
            Unavailable: Redis can't be reached.
        """
        return await self._read(names, *_SLOTS[period], configured, connections)

    async def _read(
        self, names: Sequence[str], size: timedelta, number: int, configured: Container[str], connections: _Census
    ) -> list[BankActivity]:
        answers = await asyncio.gather(*(self._scripts.read_bank(name, size, number) for name in names))
        return [
            _activity(name, answer, size, name in configured, connections.get(name, {}))
            for name, answer in zip(names, answers, strict=True)
        ]


def _activity(
    name: str,
    answer: Sequence[Any],
    size: timedelta,
    configured: bool,  # noqa: FBT001  # a fact among others
    connections: Mapping[ConnectionHealth, int],
) -> BankActivity:
    state, sums, steps, now = dict(pairs(answer[0])), dict(pairs(answer[1])), answer[2], int(answer[3])
    counts = {key.decode(): int(number) for key, number in sums.items()}
    errors = {each: counts.get(f"r:{each}", 0) for each in RequestOutcome if each is not RequestOutcome.ANSWERED}
    times = {int(key[2:]): number for key, number in counts.items() if key.startswith("t:")}
    seconds = size.total_seconds()
    last = datetime.fromtimestamp(now / 1000 // seconds * seconds, UTC)
    first = last - (len(steps) // 2 - 1) * size
    failing = maybe_instant(state.get(b"failing"))
    return BankActivity(
        name=name,
        configured=configured,
        requests=sum(number for key, number in counts.items() if key.startswith("r:")),
        errors={each: number for each, number in errors.items() if number},
        typical=percentile(times, 0.5),
        slow=percentile(times, 0.95),
        deferred=counts.get("q", 0),
        steps=tuple(
            BankStep(since=first + at * size, requests=asked, errors=wrong)
            for at, (asked, wrong) in enumerate(pairs(steps))
        ),
        answered_at=maybe_instant(state.get(b"answered")),
        failing_since=failing,
        failures_in_a_row=int(state.get(b"row", 0)),
        last_error=RequestOutcome(state[b"error"].decode()) if failing else None,
        connections=connections,
    )
