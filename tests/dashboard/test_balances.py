"""Balances over time on the page of an organisation's own people, and nowhere on the operators'."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from bankimport import BankImport
from bankimport.models import Balance, BankAccount
from bankimport.testing import MemoryStore
from bankimport.web.dashboard.balances import DAYS, HIGH, course
from tests.web.test_dashboard import Pages

NOW = datetime(2026, 11, 24, 13, 32, tzinfo=UTC)
PAGE = "/api/organisations/acme/bank-connections/page"


def balance(amount: str, days_ago: int, kind: str = "closingBooked", currency: str = "EUR") -> Balance:
    """Return a balance of so many days ago."""
    return Balance(kind, Decimal(amount), currency, None, NOW - timedelta(days=days_ago))


@given(st.lists(st.tuples(st.decimals(-(10**12), 10**12, places=2), st.integers(0, DAYS - 1)), max_size=90))
def test_bars_stay_in_their_room(numbers: list[tuple[Decimal, int]]) -> None:
    """Whatever the amounts, each day is one bar in its place, above or below the line."""
    drawn = course([balance(str(amount), days) for amount, days in numbers], NOW.date())
    assert (drawn is None) == (not numbers)
    if drawn is not None:
        assert len(drawn.bars) == len({days for _, days in numbers})
        for bar in drawn.bars:
            assert 0 <= bar.x <= bar.x + bar.width <= 100
            assert -1 <= bar.y <= bar.y + bar.height <= HIGH + 1.1


def test_one_kind_in_one_currency() -> None:
    """What is booked goes before what is expected, and an old kind that the bank tells no more isn't drawn."""
    told = [balance("5", 40, "openingBooked"), balance("9", 0, "expected"), balance("-7.50", 0), balance("3", 2)]
    drawn = course(told, NOW.date())
    assert drawn is not None
    assert (drawn.latest.amount, drawn.first.amount, drawn.since) == (Decimal("-7.50"), Decimal(3), date(2026, 11, 22))
    assert [bar.is_below for bar in drawn.bars] == [False, True]


async def test_its_own_people_see_them(pages: Pages, bank_import: BankImport, store: MemoryStore) -> None:
    """The page shows a connection's balances when they are asked for, in the reader's way of writing amounts."""
    connection = await store.connection("giro")
    assert connection is not None
    [account] = await store.upsert_accounts(connection, [BankAccount("r", "k", "EUR", name="Konto<b>")], fence=1)
    at = datetime.now(UTC)
    for days, amount in ((3, "-20.00"), (0, "1234.50")):
        past = at - timedelta(days=days)
        await store.put_balances(account, [Balance("closingBooked", Decimal(amount), "EUR<i>", None, past)])
    page = await pages.get(pages.origin + PAGE, role="acme")
    assert "1,234.50" not in page
    assert "balances=giro#con-giro" in page
    page = await pages.get(f"{pages.origin}{PAGE}?balances=giro", role="acme")
    assert "1,234.50\N{NO-BREAK SPACE}EUR&lt;i&gt;" in page
    assert "From \N{MINUS SIGN}20.00" in page
    german = await pages.get(f"{pages.origin}{PAGE}?balances=giro", role="acme", **{"Accept-Language": "de"})
    assert "1.234,50" in german
    await pages.get(f"{pages.origin}{PAGE}?balances=giro", role="globex", status=403)
    assert "1,234.50" not in await pages.get(f"{pages.origin}{PAGE}?balances=evil", role="acme")
    assert "1,234.50" not in await pages.get("/connections/giro")  # operators see no money
