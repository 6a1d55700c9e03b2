"""An account's balances over time as a small picture: the last one of each day. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from bankimport.models import Balance

#: How far back it goes, and how high it is in pixels.
DAYS, HIGH = 90, 28
#: Which of a bank's balances is shown: what is booked first, as a statement has it.
_ORDER = ("closingBooked", "interimBooked", "expected", "interimAvailable", "closingAvailable")


@dataclass(frozen=True, slots=True)
class Bar:
    """One day: x and width in per cent, y and height in pixels, and whether it is below nothing."""

    x: float
    width: float
    y: float
    height: float
    is_below: bool


@dataclass(frozen=True, slots=True)
class Course:
    """What an account had: the latest balance and the first one shown with their days, and each day."""

    latest: Balance
    day: date
    first: Balance
    since: date
    bars: tuple[Bar, ...]
    #: where nothing is, in pixels from above
    zero: float


def course(balances: Sequence[Balance], today: date) -> Course | None:
    """Return the picture of one kind of balance in one currency; None where none is known."""
    days = _by_day(balances)
    if not days:
        return None
    amounts = [float(each.amount) for each in days.values()]
    low, high = min(0.0, *amounts), max(0.0, *amounts)
    scale = HIGH / ((high - low) or 1.0)
    zero = round(high * scale, 1)
    width = 100 / DAYS
    bars = []
    for day, each in days.items():
        height = max(1.0, round(abs(float(each.amount)) * scale, 1))
        below = each.amount < 0
        x = round((DAYS - 1 - (today - day).days) * width, 2)
        bars.append(Bar(x, round(width * 0.8, 2), zero if below else round(zero - height, 1), height, below))
    since, last = min(days), max(days)
    return Course(days[last], last, days[since], since, tuple(bars), zero)


def _by_day(balances: Sequence[Balance]) -> dict[date, Balance]:
    """Return the last balance of each day, of the kind and currency that were read last."""
    dated = [(each.fetched_at or datetime.now(UTC), each) for each in balances]
    if not dated:
        return {}
    newest = max(at for at, _ in dated) - timedelta(days=1)
    _, kind = min(((_place(each), each) for at, each in dated if at >= newest), key=lambda pair: pair[0])
    same = [(at, each) for at, each in dated if _kind(each) == _kind(kind)]
    return {at.astimezone(UTC).date(): each for at, each in sorted(same, key=lambda pair: pair[0])}


def _kind(balance: Balance) -> tuple[str, str]:
    return balance.balance_type, balance.currency


def _place(balance: Balance) -> tuple[int, str, str]:
    known = balance.balance_type in _ORDER
    return (_ORDER.index(balance.balance_type) if known else len(_ORDER), *_kind(balance))
