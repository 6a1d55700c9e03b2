"""Do the rows add up to the balances? A diagnosis for the result, never a reason to edit a row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

from bankimport.models import Balance, Window

#: Berlin Group's names; a balance before the rows, and whether its own day's rows come after it
_BEFORE: Final = {"openingBooked": True, "previouslyClosedBooked": False}
_AFTER: Final = ("closingBooked", "interimBooked")
_DAY: Final = timedelta(days=1)


class BalanceVerdict(StrEnum):
    """`UNKNOWN` where the bank doesn't give two dated balances inside of what was read."""

    OK = "ok"
    DIFFERS = "differs"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class BalanceCheck:
    """The verdict, and by how much the rows miss the later balance (balance minus expected)."""

    verdict: BalanceVerdict
    difference: Decimal | None = None


def check_balances(
    balances: Sequence[Balance], booked: Mapping[tuple[date, str], Decimal], window: Window
) -> BalanceCheck:
    """Compare an earlier balance, plus the booked amounts between, with a later one.

    `booked` is the sum of what was read, by day and currency; `window` says which days it is complete for.
    """
    for later in balances:
        if later.balance_type not in _AFTER or later.reference_date is None:
            continue
        for earlier in balances:
            start = _first_day(earlier)
            comparable = start is not None and earlier.currency == later.currency
            if start is None or not comparable or not _inside(start, later.reference_date, window):
                continue
            moved = sum(
                (
                    amount
                    for (day, currency), amount in booked.items()
                    if currency == later.currency and start <= day <= later.reference_date
                ),
                Decimal(0),
            )
            difference = later.amount - (earlier.amount + moved)
            return BalanceCheck(BalanceVerdict.DIFFERS if difference else BalanceVerdict.OK, difference)
    return BalanceCheck(BalanceVerdict.UNKNOWN)


def _first_day(balance: Balance) -> date | None:
    """Return the first day whose rows come after this balance."""
    own_day_after = _BEFORE.get(balance.balance_type)
    if own_day_after is None or balance.reference_date is None:
        return None
    return balance.reference_date if own_day_after else balance.reference_date + _DAY


def _inside(start: date, end: date, window: Window) -> bool:
    return start <= end and window.holds(start) and window.holds(end)
