"""Money and days as banks really send them, read strictly: what could mean two things is refused (banking.md §4.12)."""

import math
import re
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Final


class Unreadable(ValueError):
    """A field can't be read; `reason` is a short constant, never the value."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


#: Berlin Group allows 14 digits before the point; no currency has more than four after it.
_LARGEST: Final = Decimal(10) ** 14
_PLACES: Final = 4
_SMALLEST: Final = Decimal(1).scaleb(-_PLACES)
#: how far a binary float may be off its decimal
_NOISE: Final = Decimal("1e-6")

#: neither too large nor too precise, as nearly all are
_USUAL: Final = re.compile(r"[+-]?[0-9]{1,14}(?:\.[0-9]{1,4})?", re.ASCII)
_PLAIN: Final = re.compile(r"[+-]?[0-9]{1,15}(?:\.[0-9]{1,8})?", re.ASCII)
_SPACES: Final = dict.fromkeys(map(ord, " \u00a0\u2009\u202f'\u2019"))
_COMMA_DECIMAL: Final = re.compile(r"[0-9]{1,15},(?:[0-9]{1,2}|[0-9]{4})", re.ASCII)
_POINT_GROUPS: Final = re.compile(r"[0-9]{1,3}(?:\.[0-9]{3})+,[0-9]{1,4}|[0-9]{1,3}(?:\.[0-9]{3}){2,}", re.ASCII)
_COMMA_GROUPS: Final = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+\.[0-9]{1,4}|[0-9]{1,3}(?:,[0-9]{3}){2,}", re.ASCII)

_TIME: Final = r"(?:[Tt ][0-9:.,]{2,18})?(?: ?(?:[Zz]|[+-][0-9:]{2,6}))?"
_ISO_DAY: Final = re.compile(rf"([0-9]{{4}})([-/]?)([0-9]{{2}})\2([0-9]{{2}}){_TIME}", re.ASCII)
_POINT_DAY: Final = re.compile(r"([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4})", re.ASCII)
_SIGNS: Final = {"": 1, "CRDT": 1, "CREDIT": 1, "CR": 1, "C": 1, "DBIT": -1, "DEBIT": -1, "DR": -1, "D": -1}
#: days that banks send for "none"
_NO_DAYS: Final = frozenset({"", "0001-01-01", "9999-12-31", "0000-00-00", "1900-01-01"})


def read_amount(value: object) -> Decimal:
    """Return the amount of a text or a number, bounded and finite.

    Text may carry a sign on either side and thousands separators; `1,234` could be either and is refused. A number
    that binary floating point has blurred is brought back to four places.

    Raises:
        Unreadable: it is none, not finite, too large, too precise, or ambiguous.
    """
    if isinstance(value, str):
        if _USUAL.fullmatch(value):
            return Decimal(value) or Decimal(0)  # zero has neither sign nor places
        amount = _amount_of_text(value)
    elif isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise Unreadable("amount-missing" if value is None else "amount-format")
    else:
        amount = _amount_of_number(value)
    if abs(amount) >= _LARGEST:
        raise Unreadable("amount-too-large")
    exact = amount.quantize(_SMALLEST) if -int(amount.as_tuple().exponent) > _PLACES else amount
    if exact != amount:
        raise Unreadable("amount-too-precise")
    return exact or Decimal(0)


def read_signed(value: object, indicator: object) -> Decimal:
    """Return the amount with the indicator's sign, where there is an indicator; money in is positive.

    Raises:
        Unreadable: the amount, or the indicator.
    """
    amount = read_amount(value)
    if indicator is None:
        return amount
    word = indicator.strip().upper() if isinstance(indicator, str) else "?"
    if word not in _SIGNS:
        raise Unreadable("indicator")
    return amount if not word or not amount else amount.copy_abs() * _SIGNS[word]


def _amount_of_number(value: int | float | Decimal) -> Decimal:
    if isinstance(value, int) and abs(value) >= 10**15:  # Decimal of a huge int takes quadratic time
        raise Unreadable("amount-too-large")
    if not math.isfinite(value) if not isinstance(value, Decimal) else not value.is_finite():
        raise Unreadable("amount-not-finite")
    amount = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if amount.copy_abs() >= _LARGEST:  # `abs` rounds, and overflows on an exponent of millions
        raise Unreadable("amount-too-large")
    if amount == amount.to_integral_value():
        return amount.quantize(Decimal(1))
    rounded = amount.quantize(_SMALLEST)
    return rounded.normalize() if abs(rounded - amount) < _NOISE else amount


def _amount_of_text(value: str) -> Decimal:
    if len(value) > 64:
        raise Unreadable("amount-too-large")
    if _PLAIN.fullmatch(value):
        return Decimal(value)
    text = value.strip().replace("\u2212", "-").translate(_SPACES)
    sign = ""
    if text[:1] in ("+", "-"):
        sign, text = text[0], text[1:]
    elif text[-1:] in ("+", "-"):
        sign, text = text[-1], text[:-1]
    if not text:
        raise Unreadable("amount-missing")
    if _PLAIN.fullmatch(text) and text[0].isdigit():
        number = text
    elif _COMMA_DECIMAL.fullmatch(text):
        number = text.replace(",", ".")
    elif _POINT_GROUPS.fullmatch(text):
        number = text.replace(".", "").replace(",", ".")
    elif _COMMA_GROUPS.fullmatch(text):
        number = text.replace(",", "")
    else:
        raise Unreadable("amount-format")
    return Decimal(sign + number)


def read_day(value: object) -> date | None:
    """Return the day of a text or a date; None where there is none.

    The day stays the one that is written: an instant is cut at its `T`, never moved into another time zone. Slashes
    are read after a year only; elsewhere day and month can't be told apart.

    Raises:
        Unreadable: it is of no known form, no day of the calendar, or not between 1970 and 2199.
    """
    if isinstance(value, str):
        return _day_of_text(value)
    if value is None:
        return None
    if not isinstance(value, date):
        raise Unreadable("date-format")
    return _in_range(date(value.year, value.month, value.day))  # of an instant too


def _in_range(day: date) -> date:
    if not 1970 <= day.year < 2200:
        raise Unreadable("date-out-of-range")
    return day


@lru_cache(maxsize=4096)  # a long history has the same few thousand days again and again
def _day_of_text(value: str) -> date | None:
    text = value.strip()
    if text[:10].replace("/", "-") in _NO_DAYS:
        return None
    if match := _ISO_DAY.fullmatch(text):
        year, _, month, day = match.groups()
    elif match := _POINT_DAY.fullmatch(text):
        day, month, year = match.groups()
    else:
        raise Unreadable("date-format")
    try:
        found = date(int(year), int(month), int(day))
    except ValueError:
        raise Unreadable("date-not-a-day") from None
    return _in_range(found)
