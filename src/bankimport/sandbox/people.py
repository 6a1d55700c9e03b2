"""Believable people, made of nothing but a consent's id: the same id is the same person, for ever.

Each account has a few entries a day, each made of its own month alone; so what the bank has on a day never depends on
when it was asked before. An entry is pending from its day on, and booked at least a day later, on a weekday, with an id
of its own. Salary and rent keep the current account going, what it has left over each month goes to the savings.
"""

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache

from bankimport.sandbox.habits import CURRENT, DOLLARS, SAVINGS, Habits

#: The bank's books begin so many days before the day it is asked.
HISTORY = timedelta(days=400)
#: An entry is booked within so many days.
BOOKED_WITHIN = timedelta(days=4)

_FIRST = ("Anna", "Ben", "Clara", "David", "Emma", "Felix", "Greta", "Hannes", "Ida", "Jonas", "Klara", "Leon")
_LAST = ("Bauer", "Fischer", "Hoffmann", "Keller", "Lang", "Maier", "Neumann", "Richter", "Schulz", "Vogel", "Weber")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of an account: pending from `day` on, booked from `booked` on."""

    key: str
    day: date
    booked: date
    amount: Decimal
    currency: str
    counterparty: str = field(repr=False)
    counterparty_iban: str = field(repr=False)
    text: str = field(repr=False)

    def is_booked(self, today: date) -> bool:
        """Whether the entry is booked by the end of that day."""
        return self.booked <= today


@dataclass(frozen=True, slots=True)
class Account:
    """One account of a person; `partner` is the person's own account that its monthly rest is exchanged with."""

    resource_id: str
    iban: str = field(repr=False)
    owner: str = field(repr=False)
    habits: Habits
    seed: str
    opening: Decimal
    partner: "Account | None" = field(default=None, repr=False)

    @property
    def currency(self) -> str:
        """Its currency."""
        return self.habits.currency

    @property
    def product(self) -> str:
        """What the bank calls it."""
        return self.habits.product

    @property
    def kind(self) -> str:
        """Its `cashAccountType`."""
        return self.habits.kind

    def entries(self, since: date, until: date) -> Iterator[Entry]:
        """Yield the entries whose day is in the range, in the order of their days."""
        for day in _days(since, until):
            yield from _day(self, day)

    def balance(self, today: date) -> Decimal:
        """Return the sum of what is booked by the end of the day: from one day to the next it changes by what is booked
        on that day. Months before the last one are all booked, and sum to nothing."""
        last_month = self.habits.month_of(self.habits.month_of(today) - timedelta(days=1))
        return self.opening + sum((e.amount for e in self.entries(last_month, today) if e.is_booked(today)), Decimal(0))


@dataclass(frozen=True, slots=True)
class Person:
    """The person behind a consent, with three accounts in two currencies."""

    name: str = field(repr=False)
    accounts: tuple[Account, ...]


def person_of(consent_id: str) -> Person:
    """Return the person of a consent. A renewal `<id>~2` is the same person, with new resource ids."""
    root, _, renewal = consent_id.partition("~")
    dice = random.Random(_seed(root))
    name = f"{dice.choice(_FIRST)} {dice.choice(_LAST)}"
    accounts: list[Account] = []
    for number, habits in enumerate((CURRENT, SAVINGS, DOLLARS)):
        seed = f"{root}/{number}"
        resource = hashlib.blake2b(f"{seed}/{renewal}".encode(), digest_size=12).hexdigest()
        opening = Decimal(dice.randint(habits.opening[0] * 100, habits.opening[1] * 100)) / 100
        accounts.append(Account(resource, _iban(dice), name, habits, seed, opening))
    current, savings, dollars = accounts
    accounts = [replace(current, partner=savings), replace(savings, partner=current), dollars]
    return Person(name, tuple(accounts))


def _seed(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def _iban(dice: random.Random) -> str:
    """Return a German IBAN with the right check digits (ISO 13616)."""
    number = f"{dice.randint(10_000_000, 89_999_999)}{dice.randint(1, 9_999_999_999):010}"
    check = 98 - int(f"{number}131400") % 97  # D = 13, E = 14
    return f"DE{check:02}{number}"


def _days(since: date, until: date) -> Iterator[date]:
    for number in range((until - since).days + 1):
        yield since + timedelta(days=number)


@lru_cache(maxsize=4096)  # three people's books: each answer, and each balance, goes through their days again
def _day(account: Account, day: date) -> tuple[Entry, ...]:
    """Return the entries of a day; the last one of a month is followed by what makes the month sum to nothing."""
    entries = tuple(_ordinary(account, day))
    if account.habits.ends_on(day) and (rest := _rest(account, day)):
        return *entries, _exchange(account, day, "rest", rest)
    return entries


def _ordinary(account: Account, day: date) -> Iterator[Entry]:
    dice = random.Random(_seed(f"{account.seed}/{day.isoformat()}"))
    for number in range(dice.choice((1, 2, 2, 3, 4))):
        yield _purchase(account, day, f"{day.isoformat()}/{number}", dice)
    if account.habits is CURRENT:
        yield from _of_the_month(account, day, dice)
    if account.habits is SAVINGS and account.partner is not None and account.partner.habits.ends_on(day):
        yield _exchange(account, day, "partner", -_rest(account.partner, day))


def _of_the_month(account: Account, day: date, dice: random.Random) -> Iterator[Entry]:
    """Yield the salary and the rent: the same every month, of every person their own."""
    life = random.Random(_seed(f"{account.seed}/life"))
    wage, rent = Decimal(life.randint(260_000, 390_000)) / 100, Decimal(life.randint(60_000, 95_000)) / -100
    if day.day == 28:
        yield _entry(account, day, f"{day.isoformat()}/wage", wage, "Werk und Wandel GmbH", "Gehalt", dice)
    if day.day == 1:
        yield _entry(account, day, f"{day.isoformat()}/rent", rent, "Hausverwaltung Linde", "Miete", dice)


@lru_cache(maxsize=4096)
def _rest(account: Account, last: date) -> Decimal:
    """Return what the month that ends on `last` needs to sum to nothing."""
    days = _days(account.habits.month_of(last), last)
    return -sum((entry.amount for day in days for entry in _ordinary(account, day)), Decimal(0))


def _exchange(account: Account, day: date, key: str, amount: Decimal) -> Entry:
    """Return a transfer from or to elsewhere: the person's own other account, which has its counterpart."""
    dice = random.Random(_seed(f"{account.seed}/{day.isoformat()}/{key}"))
    if key == "rest" and account.habits.rest is not None:
        return _entry(account, day, f"{day.isoformat()}/{key}", amount, *account.habits.rest, dice)
    text = "Umbuchung Tagesgeld"
    own = _entry(account, day, f"{day.isoformat()}/{key}", amount, account.owner, text, dice)
    return own if account.partner is None else replace(own, counterparty_iban=account.partner.iban)


def _purchase(account: Account, day: date, key: str, dice: random.Random) -> Entry:
    habits = account.habits
    shop, least, most = dice.choice(habits.shops)
    cents = dice.randint(least, most)
    if dice.random() < 0.15:  # many things cost the same: two coffees on one day are two entries
        cents = least
    back = dice.random() < 0.06 and habits.back is not None
    sign, text = (-habits.sign, habits.back) if back else (habits.sign, habits.text)
    return _entry(account, day, key, Decimal(cents * sign) / 100, shop, f"{text} {shop}", dice)


def _entry(account: Account, day: date, key: str, amount: Decimal, other: str, text: str, dice: random.Random) -> Entry:
    booked = day + timedelta(days=dice.randint(1, 2))
    while booked.weekday() >= 5:
        booked += timedelta(days=1)
    seed = random.Random(_seed(other))
    return Entry(f"{account.seed}/{key}", day, booked, amount, account.currency, other, _iban(seed), text)
