"""banking.md §4.8: money, days and texts as banks really send them."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bankimport.models import BankId, ReportedTransaction, Transaction, TransactionStatus
from bankimport.reading import Quarantined, read_transaction
from bankimport.reading.amounts import Unreadable, read_amount, read_day
from bankimport.reading.entries import NAME_LIMIT, clean_text

BOOKED = TransactionStatus.BOOKED


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("12.34", "12.34"), ("-12.34", "-12.34"), ("+5", "5"), ("0.00", "0"), ("-0.00", "0"), ("12,34", "12.34"),
        ("1.234,56", "1234.56"), ("1,234.56", "1234.56"), ("1 234,56", "1234.56"), ("1\u202f234,56", "1234.56"),
        ("1'234.50", "1234.50"), ("12.34-", "-12.34"), ("\u221212.34", "-12.34"), (" 7.10 ", "7.10"), ("1.234", "1.234"),
        ("1.234.567", "1234567"), ("12,5", "12.5"), (12, "12"), (12.5, "12.5"), (0.1 + 0.2, "0.3"), (1e3, "1000"),
        (Decimal("1E+3"), "1000"), (-0.0, "0"), (1234567.891, "1234567.891"), ("99999999999999.99", "99999999999999.99"),
    ],
)  # fmt: skip
def test_an_amount_is_read(sent: object, meant: str) -> None:
    """Amounts come as text in many habits, and as numbers."""
    assert read_amount(sent) == Decimal(meant)
    assert str(read_amount(sent)) != "-0"


@pytest.mark.parametrize(
    "sent",
    [
        None, "", "  ", "abc", "NaN", "Infinity", "-inf", "1e3", "1,234", "1,23.45", "12.34.5", "--5", "5-5", "0x10", "1_000",
        "100000000000000", "1.123456789", "1.00001", "٣٤", True, [], {}, float("nan"), float("inf"), Decimal("sNaN"), 10**400,
        Decimal("1E+1000000"),
        1e300, "9" * 10_000, b"12", "12 €",
    ],
)  # fmt: skip
def test_what_is_no_amount_is_refused(sent: object) -> None:
    """What is ambiguous, not finite, too large or too precise is refused, with a reason that quotes nothing."""
    with pytest.raises(Unreadable) as caught:
        read_amount(sent)
    assert caught.value.reason.startswith("amount-")


@given(st.one_of(st.text(), st.floats(), st.integers(), st.decimals(), st.none(), st.booleans(), st.binary()))
def test_whatever_is_sent_is_a_bounded_amount_or_refused(sent: object) -> None:
    """No input gets through that a database column can't hold, and none raises anything else."""
    try:
        amount = read_amount(sent)
    except Unreadable:
        return
    assert amount.is_finite()
    assert abs(amount) < 10**14
    assert amount == amount.quantize(Decimal("0.0001"))


@given(st.decimals(min_value=-(10**13), max_value=10**13, places=2))
def test_an_amount_survives_every_habit_of_writing(amount: Decimal) -> None:
    """However a bank writes an amount of cents, it is the same amount."""
    english = f"{amount:,.2f}"
    german = english.translate(str.maketrans(",.", ".,"))
    swiss = english.replace(",", "'")
    assert {read_amount(text) for text in (str(amount), english, german, swiss)} == {amount}


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("2026-01-31", date(2026, 1, 31)), ("2026-01-31T23:30:00Z", date(2026, 1, 31)),
        ("2026-01-31T00:30:00.000+02:00", date(2026, 1, 31)), ("20260131", date(2026, 1, 31)),
        ("31.01.2026", date(2026, 1, 31)), ("1.2.2026", date(2026, 2, 1)), (date(2026, 1, 31), date(2026, 1, 31)),
        (datetime(2026, 1, 31, 23, 59, tzinfo=UTC), date(2026, 1, 31)), (None, None), ("", None), ("9999-12-31", None),
        ("0001-01-01T00:00:00", None),
    ],
)  # fmt: skip
def test_a_day_stays_the_day_that_is_written(sent: object, meant: date | None) -> None:
    """No time zone moves a day; placeholders are none."""
    assert read_day(sent) == meant


@pytest.mark.parametrize(
    "sent", ["2026-02-30", "03/10/2026", "10 March", 1767139200, "1850-01-01", "2026-1-1T", [], "31.13.2026"]
)
def test_what_is_no_day_is_refused(sent: object) -> None:
    """What could mean two days, or none, is refused."""
    with pytest.raises(Unreadable):
        read_day(sent)


def report(**fields: object) -> Transaction | Quarantined:
    """Read a report with these fields."""
    known: dict[str, object] = {"status": BOOKED, "amount": "1.00", "currency": "EUR", "booking_date": "2026-03-10"}
    return read_transaction(ReportedTransaction(**{**known, **fields}), "EUR")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("amount", "indicator", "meant"),
    [("5.00", "DBIT", "-5"), ("5.00", "CRDT", "5"), ("-5.00", "DBIT", "-5"), ("-5.00", None, "-5"), ("0", "DBIT", "0")],
)
def test_the_sign_is_the_indicator_s(amount: str, indicator: str | None, meant: str) -> None:
    """Where there is an indicator, it has the sign."""
    entry = report(amount=amount, indicator=indicator)
    assert isinstance(entry, Transaction)
    assert entry.amount == Decimal(meant)


@pytest.mark.parametrize("currency", [None, "", "XXX", "eur"])
def test_no_currency_is_the_account_s(currency: object) -> None:
    """`XXX` or none is the account's currency."""
    entry = report(currency=currency)
    assert isinstance(entry, Transaction)
    assert entry.currency == "EUR"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"currency": "EURO"}, "currency-format"),
        ({"currency": 978}, "currency-format"),
        ({"indicator": "??"}, "indicator"),
        ({"booking_date": None}, "date-missing"),
        ({"booking_date": "soon"}, "date-format"),
        ({"amount": None}, "amount-missing"),
    ],
)
def test_a_row_that_cannot_be_read_is_quarantined(fields: dict[str, object], reason: str) -> None:
    """A row that can't be read is given a reason instead of an exception."""
    assert report(**fields) == Quarantined(reason)


@pytest.mark.parametrize(
    ("booking", "value", "made", "day"),
    [
        ("2026-03-10", "2026-03-11", "2026-03-09", date(2026, 3, 10)),
        (None, "2026-03-11", "2026-03-09", date(2026, 3, 11)),
        (None, None, "2026-03-09T12:00:00Z", date(2026, 3, 9)),
    ],
)
def test_the_day_of_an_entry(booking: object, value: object, made: object, day: date) -> None:
    """The booking date, else the value date, else the transaction date."""
    entry = report(booking_date=booking, value_date=value, transaction_date=made)
    assert isinstance(entry, Transaction)
    assert entry.day == day


def test_a_text_is_cleaned() -> None:
    """Control characters, lone surrogates and direction marks go; lines are joined; lengths are bounded."""
    assert clean_text("A\x00B\ud800C\u202eD\n E ", 100) == "A B C D E"
    assert clean_text(["Rechnung 1", "  Danke ", None], 100) == "Rechnung 1 Danke"
    assert clean_text("x" * 10_000, NAME_LIMIT) == "x" * NAME_LIMIT
    assert clean_text({"no": "text"}, 100) is None
    assert clean_text(" \x00 ", 100) is None
    entry = report(counterparty_iban="de02 1203 0000 0000 2020 51")
    assert isinstance(entry, Transaction)
    assert entry.counterparty_iban == "DE02120300000000202051"


@given(
    st.dictionaries(
        st.sampled_from(
            ["amount", "currency", "indicator", "booking_date", "value_date", "transaction_date", "counterparty_name",
             "counterparty_iban", "remittance"]
        ),
        st.recursive(st.one_of(st.none(), st.text(), st.integers(), st.floats(), st.binary()), st.lists, max_leaves=3),
    )
)  # fmt: skip
def test_no_report_breaks_the_reader(fields: dict[str, object]) -> None:
    """Whatever types a bank sends, the row is read or quarantined, and its texts can be stored."""
    entry = report(**fields, ids=(BankId("n", "\ud800 \x00"),))
    if isinstance(entry, Transaction):
        json.dumps([entry.counterparty_name, entry.remittance]).encode()
        assert "\x00" not in (entry.remittance or "")
        (entry.remittance or "").encode()
        assert entry.ids == ()
