"""The handler that shows the balances of an account over time."""

from datetime import UTC, date, datetime, timedelta
from typing import Final, Self

from aiohttp import web

from bankimport.errors import InvalidRequest
from bankimport.models import Balance, Model
from bankimport.web.call import Call
from bankimport.web.parameters import path_id, query_day

#: So many days are shown where nobody says which, and so many at most in one answer.
_USUAL: Final = timedelta(days=90)
_MOST: Final = timedelta(days=366)


class BalanceView(Model):
    """The last balance of one type that was read on a day (UTC). `amount` is a decimal number as text;
    `referenceDate` is absent where the bank didn't say it."""

    day: date
    balance_type: str
    amount: str
    currency: str
    reference_date: date | None = None
    fetched_at: datetime

    @classmethod
    def of(cls, balance: Balance) -> Self:
        """Return a balance as it is shown."""
        fetched_at = (balance.fetched_at or datetime.now(UTC)).astimezone(UTC)
        return cls(
            day=fetched_at.date(),
            balance_type=balance.balance_type,
            amount=format(balance.amount, "f"),
            currency=balance.currency,
            reference_date=balance.reference_date,
            fetched_at=fetched_at,
        )


class BalanceListView(Model):
    """The balances of an account over time, type by type, the oldest first; a day on which none was read is left
    out."""

    since: date
    until: date
    balances: tuple[BalanceView, ...]


async def list_balances(call: Call) -> web.Response:
    """Show an account's balances over time, a year at most in one answer."""
    connection_id = path_id(call.request, "id", "connection")
    account_id = path_id(call.request, "accountId", "account")
    until = query_day(call.request, "until") or datetime.now(UTC).date()
    since = query_day(call.request, "since") or until - min(_USUAL, until - date.min)
    if not timedelta(0) <= until - since <= _MOST:
        raise InvalidRequest("/since", f"must be before the last day, by {_MOST.days} days at most")
    found = await call.service.get_balances(connection_id, account_id, since=since, until=until, org_id=call.org_id)
    shown = BalanceListView(since=since, until=until, balances=tuple(map(BalanceView.of, found)))
    text = shown.model_dump_json(exclude_none=True)
    return web.Response(text=text, content_type="application/json", headers={"Cache-Control": "no-store"})
