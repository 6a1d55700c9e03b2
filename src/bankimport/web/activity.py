"""The handlers that show operators how the banks answer and what jobs fail of."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Self

from aiohttp import web

from bankimport.models import BankActivity, BankStep, ConnectionHealth, FailureKind, Model, Period, RequestOutcome
from bankimport.web.call import Call
from bankimport.web.parameters import query_choice


class BankActivityView(Model):
    """A bank by its configured name, over a period: requests of all processes, errors by what they were, how long
    half and 95 in 100 of the answers took, reads that its quota put off, and its connections by their health.

    `failingSince` is there while nothing but errors comes back, and `failuresInARow` says how many.
    """

    name: str
    configured: bool
    requests: int
    errors: Mapping[RequestOutcome, int]
    typical_ms: int | None = None
    slow_ms: int | None = None
    deferred: int
    steps: tuple[BankStep, ...]
    answered_at: datetime | None = None
    failing_since: datetime | None = None
    failures_in_a_row: int
    last_error: RequestOutcome | None = None
    connections: Mapping[ConnectionHealth, int]

    @classmethod
    def of(cls, bank: BankActivity) -> Self:
        """Return a bank as it is shown."""
        told = {name: value for name, value in bank if name not in ("typical", "slow")}
        return cls(**told, typical_ms=_ms(bank.typical), slow_ms=_ms(bank.slow))


class BankActivityListView(Model):
    """The banks, in the order of their names."""

    period: Period
    banks: tuple[BankActivityView, ...]


class FailureListView(Model):
    """What the failed jobs that are kept have failed of, by error code and bank; what failed last comes first."""

    failures: tuple[FailureKind, ...]


def _ms(value: timedelta | None) -> int | None:
    return None if value is None else round(value / timedelta(milliseconds=1))


def _json(model: Model) -> web.Response:
    text = model.model_dump_json(exclude_none=True)
    return web.Response(text=text, content_type="application/json", headers={"Cache-Control": "no-store"})


async def list_banks(call: Call) -> web.Response:
    """Show how the banks answer, of all organisations."""
    period = query_choice(call.request, "period", Period) or Period.DAY
    found = await call.service.get_banks(period)
    return _json(BankActivityListView(period=period, banks=tuple(map(BankActivityView.of, found))))


async def list_failures(call: Call) -> web.Response:
    """Show what jobs fail of, by error code and bank, over time."""
    return _json(FailureListView(failures=tuple(await call.service.get_failures())))
