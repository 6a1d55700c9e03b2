"""A measured row, and the table of them in Markdown."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure should be: in words, and as a test of our median and stock arq's."""

    words: str
    met: Callable[[float, float], bool]


@dataclass(frozen=True, slots=True)
class Row:
    """One figure: a value a repeat, in `unit`, of ours and of stock arq's (none where it has no such thing)."""

    what: str
    unit: str
    ours: Sequence[float]
    stock: Sequence[float] = ()
    target: Target | None = None

    def cells(self) -> list[str]:
        """Return the row's cells: medians, ours ÷ stock, lowest and highest of ours, target and whether it is met."""
        ours, stock = median(self.ours), median(self.stock) if self.stock else 0.0
        verdict = "" if self.target is None else "yes" if self.target.met(ours, stock) else "**no**"
        return [
            self.what,
            f"{_number(ours)} {self.unit}",
            f"{_number(stock)} {self.unit}" if self.stock else "–",
            f"{ours / stock:.2f} ×" if stock else "–",
            f"{_number(min(self.ours))}–{_number(max(self.ours))}",
            self.target.words if self.target else "",
            verdict,
        ]


HEAD = ("figure", "bankimport", "stock arq", "ours ÷ stock", "lowest–highest of ours", "target", "met")


def markdown(rows: Iterable[Row]) -> str:
    """Return the table."""
    return lines(HEAD, (row.cells() for row in rows))


def lines(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of texts in Markdown."""
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ("---",) * len(head), *rows))


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which `share` (0 to 1) of the values lie, the nearest of them (no interpolation)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _number(value: float) -> str:
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 100 else f"{value:.3g}"
