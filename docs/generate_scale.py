"""What an installation of some size needs, computed from the measured figures of benchmarks/README.md."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

FIGURES = Path(__file__).parent.parent / "benchmarks" / "README.md"

#: What is assumed; the page says so.
CONNECTIONS: Final = 2  # of an organisation
SYNC: Final = timedelta(seconds=5)  # a run, most of it waiting for the bank
TICKS: Final = 6  # a day
SPREAD: Final = timedelta(hours=4) * 0.9  # the last organisation of a tick begins so late
EVENTS: Final = 4  # of a job that ends well: queued, started, synced, completed
SIZES: Final = (1_000, 50_000, 1_000_000)
KEEP: Final = {1_000: 7, 50_000: 7, 1_000_000: 1}  # days


def measured(row: str, column: str) -> float:
    """Return a figure of a table of the benchmarks, by the beginning of its row and the head of its column; of a range
    the upper end."""
    head: list[str] = []
    for line in FIGURES.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if column in cells:
            head = cells
        if head and line.startswith(f"| {row}"):
            found = re.match(r"([\d,.]+)(?: to ([\d,.]+))?", cells[head.index(column)])
            if found:
                return float((found[2] or found[1]).replace(",", ""))
    raise LookupError(f"benchmarks/README.md has no {row!r} of {column!r}")


def figures() -> Iterator[str]:
    """Yield the measured figures that the page stands on."""
    rate, server = measured("full jobs a second", "bankimport"), measured("server CPU a full job", "bankimport")
    yield "| measured | |"
    yield "|---|---|"
    yield f"| jobs a second of one worker, with their records and events, the bank answering at once | {rate:,.0f} |"
    yield f"| CPU of Redis a job | {server:.0f} µs: one core is full at {1e6 / server:,.0f} a second |"
    yield f"| CPU of the worker a job | {measured('worker CPU a full job', 'bankimport'):.2f} ms, beside its rows |"
    yield f"| memory of Redis a finished job, kept for days | {_job():.0f} bytes |"
    yield f"| of its events, kept for a day, a million events at most | {_events():.0f} bytes |"
    yield f"| memory of the ledger of reads a connection | {_ledger():,.0f} bytes |"
    new, again = (
        measured("PostgreSQL | first import", "rows/s"),
        measured("PostgreSQL | unchanged re-import", "rows/s"),
    )
    yield f"| rows a second of one account into PostgreSQL, new · unchanged | {new:,.0f} · {again:,.0f} |"


def _job() -> float:
    return measured("bytes a finished job keeps", "measured")


def _events() -> float:
    return measured("bytes of its events", "measured")


def memory(jobs_a_day: float, connections: int, days: int) -> float:
    """Return the bytes of Redis for finished jobs, their events and the ledger of reads."""
    events = min(jobs_a_day, 1_000_000 / EVENTS) * _events()
    return jobs_a_day * days * _job() + events + connections * _ledger()


def _ledger() -> float:
    return measured("bytes of the ledger of reads", "measured")


@dataclass(frozen=True, slots=True)
class Need:
    """What so many organisations need."""

    organisations: int

    @property
    def jobs(self) -> int:
        """Of a tick: a batch for each organisation, and a sync for each connection."""
        return self.organisations * (1 + CONNECTIONS)

    @property
    def starts(self) -> float:
        """A second, while a tick is spread."""
        return self.jobs / SPREAD.total_seconds()

    @property
    def places(self) -> int:
        """Runs at a time; a batch's run is short."""
        return math.ceil(self.organisations * CONNECTIONS / SPREAD.total_seconds() * SYNC.total_seconds())

    @property
    def limiter(self) -> int:
        """Twice what is needed, so that people's own syncs and retries find room; ten is the default."""
        return max(10, math.ceil(2 * self.starts))

    @property
    def concurrency(self) -> int:
        """Jobs of a worker: as many as its pool has connections, where there are many workers."""
        return 10 if self.places <= 10 else 20

    @property
    def workers(self) -> int:
        """Half full at most, and never fewer than two, one of which may be deployed."""
        return max(2, math.ceil(2 * self.places / self.concurrency))

    @property
    def memory(self) -> float:
        """Of Redis, in GB."""
        return memory(self.jobs * TICKS, self.organisations * CONNECTIONS, KEEP[self.organisations]) / 1e9

    @property
    def held(self) -> float:
        """Hours that a million events last."""
        return min(24.0, 24 * 1_000_000 / (self.jobs * TICKS * EVENTS))

    @property
    def core(self) -> float:
        """The share of Redis's core."""
        return self.starts * measured("server CPU a full job", "bankimport") / 1e6


def sizes() -> Iterator[str]:
    """Yield what to set at each size."""
    needs = [Need(size) for size in SIZES]
    yield f"| | {' | '.join(f'{each.organisations:,} organisations' for each in needs)} |"
    yield f"|---|{'---|' * len(needs)}"
    rows = (
        ("jobs a tick", [f"{each.jobs:,}" for each in needs]),
        ("starts a second", [f"{each.starts:.2g}" if each.starts < 10 else f"{each.starts:.0f}" for each in needs]),
        ("runs at a time", [f"{each.places:,}" for each in needs]),
        ("`BANK_SYNC_RATE_LIMIT_MAX` (in 1,000 ms)", [f"{each.limiter}" for each in needs]),
        ("`BANK_SYNC_CONCURRENCY`", [f"{each.concurrency}" for each in needs]),
        ("workers (`arq` processes)", [f"{each.workers:,}" for each in needs]),
        ("connections to the database", [f"{each.workers * each.concurrency:,} at most" for each in needs]),
        ("`BANK_SYNC_KEEP_COMPLETED_DAYS`", [f"{KEEP[each.organisations]}" for each in needs]),
        (
            "Redis's memory",
            [f"{each.memory:.2g} GB" if each.memory < 10 else f"{each.memory:.0f} GB" for each in needs],
        ),
        ("Redis's core", [f"{each.core:.1%}" for each in needs]),
        ("`BANK_SYNC_ALERT_WAITING`", [f"{max(1000, each.limiter * 60):,}" for each in needs]),
        ("a million events last", [f"{each.held:.2g} h" for each in needs]),
    )
    for name, cells in rows:
        yield f"| {name} | {' | '.join(cells)} |"


def memory_table() -> Iterator[str]:
    """Yield what finished jobs take of Redis, with the default retention."""
    yield "| connections | finished jobs kept | memory for them, their events and the ledger |"
    yield "|---|---|---|"
    for connections in (1_000, 10_000, 50_000):
        jobs = connections * TICKS
        size = memory(jobs, connections, 7)
        shown = f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
        yield f"| {connections:,} | {jobs * 7:,} | {shown} |"
