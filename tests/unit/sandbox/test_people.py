"""The sandbox's people are believable, and their balances are those of what is served."""

from datetime import date, timedelta
from decimal import Decimal

import pytest

from bankimport.sandbox import Account, person_of, transactions_on
from bankimport.sandbox.bank import balances_json
from bankimport.sandbox.people import BOOKED_WITHIN

DAY = timedelta(days=1)
TODAY = date(2026, 11, 24)
#: over a month's end of each account, a weekend and a salary
DAYS = [TODAY + number * DAY for number in range(10)]
PEOPLE = ("consent-1", "consent-giro", "c", "x" * 128)


@pytest.mark.parametrize("consent", PEOPLE)
def test_a_balance_changes_by_what_is_booked(consent: str) -> None:
    """From one day to the next a balance changes by exactly what is served as booked on that day."""
    accounts = person_of(consent).accounts
    for day in DAYS:
        served = transactions_on(consent, day, day)
        for account in accounts:
            booked = [row.entry.amount for row in served if row.account == account and row.booking_date == day]
            assert account.balance(day) - account.balance(day - DAY) == sum(booked, Decimal(0))


@pytest.mark.parametrize("consent", PEOPLE)
def test_balances_are_believable(consent: str) -> None:
    """No account is overdrawn, and what is in a current account is a few salaries, in any month of ten years."""
    for account in person_of(consent).accounts:
        balances = [account.balance(TODAY + number * timedelta(days=131)) for number in range(-14, 14)]
        assert min(balances) > 0
        assert max(balances) < (30_000 if account.kind == "SVGS" else 10_000)


def test_the_balances_fit_the_rows() -> None:
    """The bank tells what there was when the month began, at the end of yesterday, and now; the rows between explain the
    difference."""
    rows = transactions_on("consent-1", TODAY, date(2026, 11, 1))
    for account in person_of("consent-1").accounts:
        told = {each["balanceType"]: each for each in balances_json(account, TODAY)}
        days = {kind: each["referenceDate"] for kind, each in told.items()}
        assert days == {"openingBooked": "2026-11-01", "closingBooked": "2026-11-23", "interimBooked": "2026-11-24"}
        opening, closing, now = (Decimal(each["balanceAmount"]["amount"]) for each in told.values())
        booked = [(row.booking_date, row.entry.amount) for row in rows if row.account == account and row.booking_date]
        assert now == opening + sum(amount for _, amount in booked)
        assert closing == now - sum(amount for day, amount in booked if day == TODAY)


def test_a_transfer_between_own_accounts_is_on_both() -> None:
    """What the current account has left over at the end of its month is money in on the savings account."""

    def transfers(account: Account) -> list[tuple[date, Decimal]]:
        entries = account.entries(TODAY - timedelta(days=90), TODAY)
        return [(entry.day, entry.amount) for entry in entries if entry.text.startswith("Umbuchung")]

    current, savings, _ = person_of("consent-1").accounts
    assert len(transfers(current)) == 3
    assert [(day, -amount) for day, amount in transfers(current)] == transfers(savings)


@pytest.mark.parametrize("consent", PEOPLE)
def test_entries_are_as_a_bank_has_them(consent: str) -> None:
    """Each is booked soon, on a weekday, after it was pending; none is of nothing; each has its own key; and a person buys
    the same thing twice on one day now and then."""
    for account in person_of(consent).accounts:
        entries = list(account.entries(TODAY - timedelta(days=400), TODAY))
        assert all(entry.day < entry.booked <= entry.day + BOOKED_WITHIN for entry in entries)
        assert all(entry.booked.weekday() < 5 and entry.amount for entry in entries)
        assert len({entry.key for entry in entries}) == len(entries)
        alike = {(entry.day, entry.amount, entry.counterparty) for entry in entries}
        assert len(alike) < len(entries)
        assert {(entry.amount > 0) for entry in entries} == {True, False}


def test_a_renewal_is_the_same_person() -> None:
    """After a renewed consent the same accounts have the same entries, under new resource ids."""
    before, after = person_of("consent-1"), person_of("consent-1~2")
    assert before.name == after.name
    for old, new in zip(before.accounts, after.accounts, strict=True):
        assert (old.iban, old.opening) == (new.iban, new.opening)
        assert old.resource_id != new.resource_id
        assert list(old.entries(TODAY - 40 * DAY, TODAY)) == list(new.entries(TODAY - 40 * DAY, TODAY))
