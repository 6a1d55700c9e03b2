"""Believable people, made of nothing but a consent's id: the same id is the same person, for ever.

Each account has a few entries a day, each made of its own day alone; so what the bank has on a day never depends on
when it was asked before. An entry is pending from its day on, and booked one to three days later, on a weekday, with an
id of its own.
"""

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal

#: The bank's books begin so many days before the day it is asked.
HISTORY = timedelta(days=400)

_FIRST = ("Anna", "Ben", "Clara", "David", "Emma", "Felix", "Greta", "Hannes", "Ida", "Jonas", "Klara", "Leon")
_LAST = ("Bauer", "Fischer", "Hoffmann", "Keller", "Lang", "Maier", "Neumann", "Richter", "Schulz", "Vogel", "Weber")
_SHOPS = (
    ("Kaffeerösterei Nord", 280, 690),
    ("Bäckerei Sonnenschein", 190, 1250),
    ("Supermarkt am Markt", 890, 11800),
    ("Stadtwerke Verkehr", 320, 3200),
    ("Buchhandlung Seite Eins", 990, 6400),
    ("Tankstelle Ost", 2900, 9400),
    ("Apotheke am Ring", 450, 4200),
    ("Onlinehandel Paketgut", 1290, 24900),
)


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
    """One account of a person."""

    resource_id: str
    iban: str = field(repr=False)
    currency: str
    product: str
    kind: str
    seed: str
    opening: Decimal

    def entries(self, since: date, until: date) -> Iterator[Entry]:
        """Yield the entries whose day is in the range, in the order of their days."""
        day = since
        while day <= until:
            yield from _day(self, day)
            day += timedelta(days=1)

    def balance(self, today: date) -> Decimal:
        """Return the sum of what is booked by the end of the day."""
        entries = self.entries(today - HISTORY, today)
        return self.opening + sum((e.amount for e in entries if e.is_booked(today)), Decimal(0))


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
    kinds = (("EUR", "Girokonto", "CACC"), ("EUR", "Tagesgeld", "SVGS"), ("USD", "Dollarkonto", "CACC"))
    accounts = []
    for number, (currency, product, kind) in enumerate(kinds):
        seed = f"{root}/{number}"
        resource = hashlib.blake2b(f"{seed}/{renewal}".encode(), digest_size=12).hexdigest()
        opening = Decimal(dice.randint(50_000, 900_000)) / 100
        accounts.append(Account(resource, _iban(dice), currency, product, kind, seed, opening))
    return Person(name, tuple(accounts))


def _seed(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def _iban(dice: random.Random) -> str:
    """Return a German IBAN with the right check digits (ISO 13616)."""
    number = f"{dice.randint(10_000_000, 89_999_999)}{dice.randint(1, 9_999_999_999):010}"
    check = 98 - int(f"{number}131400") % 97  # D = 13, E = 14
    return f"DE{check:02}{number}"


def _day(account: Account, day: date) -> Iterator[Entry]:
    dice = random.Random(_seed(f"{account.seed}/{day.isoformat()}"))
    for number in range(dice.choice((1, 2, 2, 3, 4))):
        yield _purchase(account, day, f"{day.isoformat()}/{number}", dice)
    if day.day == 1 and account.product == "Girokonto":
        rent = Decimal(dice.randint(60_000, 90_000)) / -100
        yield _entry(account, day, f"{day.isoformat()}/rent", rent, "Hausverwaltung Linde", "Miete", dice)
    if day.day == 28 and account.product == "Girokonto":
        wage = Decimal(dice.randint(240_000, 420_000)) / 100
        yield _entry(account, day, f"{day.isoformat()}/wage", wage, "Werk und Wandel GmbH", "Gehalt", dice)


def _purchase(account: Account, day: date, key: str, dice: random.Random) -> Entry:
    shop, least, most = dice.choice(_SHOPS)
    cents = dice.randint(least, most)
    if dice.random() < 0.15:  # many things cost the same: two coffees on one day are two entries
        cents = least
    sign = 1 if dice.random() < 0.06 else -1
    return _entry(account, day, key, Decimal(cents * sign) / 100, shop, f"Einkauf {shop}", dice)


def _entry(account: Account, day: date, key: str, amount: Decimal, other: str, text: str, dice: random.Random) -> Entry:
    booked = day + timedelta(days=dice.randint(1, 2))
    while booked.weekday() >= 5:
        booked += timedelta(days=1)
    seed = random.Random(_seed(other))
    return Entry(f"{account.seed}/{key}", day, booked, amount, account.currency, other, _iban(seed), text)
