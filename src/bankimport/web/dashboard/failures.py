"""*Failures*: by error code and bank, sorted by whose turn it is, with how each comes and goes."""

from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from bankimport.models import FailureKind
from bankimport.web.dashboard import forms
from bankimport.web.dashboard.chart import Spark, bars
from bankimport.web.dashboard.explanations import Explanation, Owner, error
from bankimport.web.dashboard.visit import Visit


@dataclass(frozen=True, slots=True)
class Row:
    """A row: what failed, what that means, its last day, and its hour, day and week beside the ones before."""

    kind: FailureKind
    explained: Explanation
    bars: tuple[Spark, ...]
    trend: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, kind: FailureKind) -> "Row":
        """Return the row of a kind of failures."""
        hour, day = (kind.last_hour, kind.hour_before), (kind.last_day, kind.day_before)
        return cls(kind, error(kind.code), bars(kind.hours), (hour, day, (kind.last_week, kind.week_before)))


async def show_failures(visit: Visit) -> web.Response:
    """Show how many jobs have failed of what, where, and since when."""
    health = await visit.operations.get_queue_health()
    kinds = await visit.operations.get_failures() if health.stats.failed else []
    rows = sorted(map(Row.of, kinds), key=lambda row: -row.kind.jobs)
    return await visit.show(
        "failures.html",
        "failures",
        visit.words("Failures"),
        health=health,
        yours=_of(rows, Owner.YOU),
        customers=_of(rows, Owner.CUSTOMER),
        others=max(0, health.stats.failed - sum(kind.jobs for kind in kinds)),
        hour=(sum(kind.last_hour for kind in kinds), sum(kind.hour_before for kind in kinds)),
        is_id=forms.is_id,
    )


def _of(rows: Sequence[Row], owner: Owner) -> list[Row]:
    return [row for row in rows if row.explained.owner is owner]
