"""Bars of what ended over time: completed jobs stand on a line, failed ones hang below it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from bankimport.models import BankStep, EndedJobs

UP, DOWN, SPARK = 76, 30, 19


@dataclass(frozen=True, slots=True)
class Bar:
    """One step: x and width in per cent, heights in pixels."""

    x: float
    width: float
    up: float
    down: float


@dataclass(frozen=True, slots=True)
class Chart:
    """The bars, the highest number, and the sums."""

    bars: tuple[Bar, ...]
    most: int
    completed: int
    failed: int


def chart(steps: Sequence[EndedJobs]) -> Chart:
    """Draw the steps; both directions have one scale, so that failures look as many as they are. What is there is at
    least a pixel high."""
    most = max((max(each.completed, each.failed) for each in steps), default=0)
    width = 100 / max(len(steps), 1)
    bars = [
        Bar(round(at * width, 3), round(width * 0.76, 3), _high(each.completed, most, UP), _high(each.failed, most, UP))
        for at, each in enumerate(steps)
        if each.completed or each.failed
    ]
    down = [Bar(bar.x, bar.width, bar.up, min(bar.down, DOWN)) for bar in bars]
    done, failed = sum(each.completed for each in steps), sum(each.failed for each in steps)
    return Chart(tuple(down), most, done, failed)


@dataclass(frozen=True, slots=True)
class Spark:
    """One step of a small chart: x and width in per cent, and how high in pixels all of it is, and what failed."""

    x: float
    width: float
    high: float
    bad: float


def bars(numbers: Sequence[int]) -> tuple[Spark, ...]:
    """Draw a row's failures."""
    most, width = max(numbers, default=0), 100 / max(len(numbers), 1)
    heights = [(at, _high(number, most, SPARK)) for at, number in enumerate(numbers) if number]
    return tuple(Spark(round(at * width, 2), round(width * 0.76, 2), high, high) for at, high in heights)


def spark(steps: Sequence[BankStep]) -> tuple[Spark, ...]:
    """Draw a row's steps: what failed stands at the foot of what was asked."""
    most = max((each.requests for each in steps), default=0)
    width = 100 / max(len(steps), 1)
    return tuple(
        Spark(
            round(at * width, 2),
            round(width * 0.76, 2),
            _high(each.requests, most, SPARK),
            _high(each.errors, most, SPARK),
        )
        for at, each in enumerate(steps)
        if each.requests
    )


def _high(number: int, most: int, room: int) -> float:
    return max(1.0, round(number * room / most, 1)) if number else 0.0
