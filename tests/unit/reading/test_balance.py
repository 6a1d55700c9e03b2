"""Do the rows add up to the balances?"""

from datetime import date, timedelta
from decimal import Decimal

import pytest

from bankimport.models import Balance, Window
from bankimport.reading import BalanceVerdict, check_balances

TODAY = date(2026, 3, 10)


def in_days(days: int) -> date:
    """A day from today on."""
    return TODAY + timedelta(days=days)


@pytest.mark.parametrize(
    ("earlier", "later", "verdict", "difference"),
    [
        pytest.param(("openingBooked", 2, "100"), ("closingBooked", 0, "85"), BalanceVerdict.OK, "0", id="both ends"),
        pytest.param(
            ("previouslyClosedBooked", 2, "100"),
            ("interimBooked", 0, "90"),
            BalanceVerdict.OK,
            "0",
            id="after its own day",
        ),
        pytest.param(
            ("openingBooked", 2, "100"), ("closingBooked", 0, "80"), BalanceVerdict.DIFFERS, "-5", id="a row too few"
        ),
        pytest.param(
            ("openingBooked", 20, "100"), ("closingBooked", 0, "85"), BalanceVerdict.UNKNOWN, None, id="not read"
        ),
        pytest.param(
            ("expected", 2, "100"), ("closingBooked", 0, "85"), BalanceVerdict.UNKNOWN, None, id="another type"
        ),
    ],
)
def test_the_balance_check(
    earlier: tuple[str, int, str], later: tuple[str, int, str], verdict: BalanceVerdict, difference: str | None
) -> None:
    """An earlier balance and the rows between give the later one, or the difference is told."""
    balances = [Balance(kind, Decimal(amount), "EUR", in_days(-ago)) for kind, ago, amount in (later, earlier)]
    booked = {(in_days(-2), "EUR"): Decimal(-5), (in_days(-1), "EUR"): Decimal(-10), (in_days(-1), "USD"): Decimal(7)}
    check = check_balances(balances, booked, Window(in_days(-10)))
    assert (check.verdict, check.difference) == (verdict, None if difference is None else Decimal(difference))
