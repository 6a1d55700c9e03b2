"""A bank that is honest but for the habits it is given: what it answers on a day, and what is true then.

Without a habit it does what every bank does: pending first and booked later, or never; booked under the next business
day or back-dated by some days; twins; other words once booked. Each habit (`habits`) adds one thing to that.
"""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import TypeVar

from bankimport.models import BankId, ReportedTransaction, TransactionStatus, Window
from tests.simulation.lives import Booked
from tests.simulation.simulated_bank import FIRST_DAY, SHOPS, Ids

T = TypeVar("T")

#: the kinds of ids that a lying bank comes with
KINDS = (Ids.STABLE, Ids.CHANGING, Ids.ROTATING, Ids.ABSENT)


@dataclass
class Purchase:
    """One real purchase: when it is shown as pending, when as booked, and since when under which day."""

    number: int
    amount: Decimal
    shop: str
    made: date
    pending_from: date | None = None
    pending_until: date | None = None
    booked_on: date | None = None
    days: list[tuple[date, date]] = field(default_factory=list)
    held: tuple[Decimal, str] | None = None
    amounts: list[tuple[date, Decimal]] = field(default_factory=list)
    names: list[tuple[date, str]] = field(default_factory=list)
    words: list[tuple[date, str]] = field(default_factory=list)
    value_date: date | None = None
    hidden: tuple[date, date] | None = None

    def is_booked(self, today: date) -> bool:
        """Whether the bank has booked it, and doesn't hide it just now."""
        return self.booked_on is not None and self.booked_on <= today and not self.is_hidden(today)

    def is_hidden(self, today: date) -> bool:
        """Whether the bank hides it just now."""
        return self.hidden is not None and self.hidden[0] <= today < self.hidden[1]

    def is_pending(self, today: date) -> bool:
        """Whether it is in the list of what is pending."""
        return self.pending_from is not None and self.pending_from <= today < (self.pending_until or date.max)

    def day(self, today: date) -> date:
        """The day it is booked under."""
        return _latest(self.days, today, self.made)

    def money(self, today: date) -> Decimal:
        """The amount it is booked at."""
        return _latest(self.amounts, today, self.amount)

    def moves(self, since: date, days: int) -> None:
        """Let it be booked under another day from `since` on."""
        self.days.append((since, self.days[-1][1] + timedelta(days=days)))


def _latest(changes: Sequence[tuple[date, T]], today: date, first: T) -> T:
    for since, value in reversed(changes):
        if since <= today:
            return value
    return first


@dataclass
class Shown:
    """One entry of an answer, before it is written down."""

    day: date
    purchase: Purchase
    booked: bool


class Habit:
    """What a bank does beyond the ordinary. `decided` are the kinds of ids with which §4 decides: none may be wrong."""

    kinds: tuple[Ids, ...] = KINDS
    decided: tuple[Ids, ...] = KINDS
    #: with which each purchase is one row for ever, booked or not; and with which a change makes another booked row
    lasting: tuple[Ids, ...] = (Ids.STABLE,)
    replaces: tuple[Ids, ...] = ()
    overlaps: bool = True  # whether pages may overlap: only where an id names one entry
    answers_all: bool = True  # whether an answer holds all of its window

    def trades(self, bank: "LyingBank", day: date) -> None:
        """Add purchases of this day."""

    def shapes(self, bank: "LyingBank", purchase: Purchase) -> None:
        """Change a purchase when it is made."""

    def begins(self, bank: "LyingBank", window: Window) -> None:
        """Begin a read."""

    def serves(self, bank: "LyingBank", window: Window) -> Window:
        """Return the days that are served instead of those asked for."""
        return window

    def day(self, bank: "LyingBank", day: date) -> date:
        """Return the day that is told for this one."""
        return day

    def shows(self, bank: "LyingBank", shown: list[Shown]) -> list[Shown]:
        """Leave out, repeat or reorder."""
        return shown

    def id(self, bank: "LyingBank", shown: Shown, value: str) -> str:
        """Return the id that an entry is given."""
        return value

    def says(self, bank: "LyingBank", shown: Shown, entry: ReportedTransaction) -> ReportedTransaction:
        """Change how an entry is written down."""
        return entry

    def pages(self, bank: "LyingBank", pages: list[list[ReportedTransaction]]) -> list[list[ReportedTransaction]]:
        """Change the pages."""
        return pages


class LyingBank:
    """All purchases of one account over the days, and what is said of them."""

    def __init__(self, seed: int, ids: Ids, habits: Sequence[Habit] = (), days: int = 90, pace: float = 1.0) -> None:
        self.ids, self.habits, self.pace = ids, habits, pace
        self.random = random.Random(f"{seed}-{ids}-{[type(habit).__name__ for habit in habits]}")
        self.purchases: list[Purchase] = []
        self.session, self.today = 0, FIRST_DAY
        self.honest = True
        self.known_from, self.is_heard = date.min, False  # since when all is told, once an answer was heard to its end
        self.ever_shown: set[tuple[int, bool]] = set()
        for offset in range(-30, days + 1):
            day = FIRST_DAY + timedelta(days=offset)
            self._trade(day)
            for habit in habits:
                habit.trades(self, day)

    def _trade(self, day: date) -> None:
        r = self.random
        for _ in range(r.choice((0, 0, 1, 1, 2, 2, 3))):
            if r.random() > self.pace:
                continue
            amount = Decimal(r.choice((-350, -420, -999, -1999, -5000, 120000, *(r.randrange(-20000, -1),) * 4))) / 100
            shop, twins = r.choice(SHOPS), 2 if r.random() < 0.1 else 1
            for _ in range(twins):
                self.buy(amount, shop, day)

    def buy(self, amount: Decimal, shop: str, made: date) -> Purchase:
        """Make a purchase as ordinary ones are."""
        r, purchase = self.random, Purchase(len(self.purchases), amount, shop, made)
        kind = r.random()
        if kind < 0.45:  # pending first, and now and then it never comes
            purchase.pending_from = made
            purchase.pending_until = made + timedelta(days=r.randrange(1, 6))
            if kind > 0.04:
                purchase.booked_on = purchase.pending_until
                purchase.pending_until += timedelta(days=r.choice((0, 0, 0, 0, 2)))
                purchase.days = [(purchase.booked_on, r.choice((made, business(purchase.booked_on))))]
                if r.random() < 0.3:
                    purchase.words = [(purchase.booked_on, f"SEPA {purchase.number} Dank {shop}")]
        else:
            purchase.booked_on = made
            back, ahead = timedelta(days=r.randrange(1, 11)), business(made + timedelta(days=1))
            purchase.days = [(made, made - back if kind < 0.53 else ahead if kind < 0.65 else made)]
        self.purchases.append(purchase)
        for habit in self.habits:
            habit.shapes(self, purchase)
        return purchase

    def booked(self, today: date) -> Booked:
        """What is true: every booked row with its count."""
        booked = (p for p in self.purchases if p.is_booked(today))
        return Counter((day, p.money(today), "EUR") for p in booked if (day := p.day(today)) >= self.known_from)

    def pages(self, window: Window, today: date, size: int = 8) -> list[list[ReportedTransaction]]:
        """Answer a read, in pages; where ids name entries a page may repeat the end of the one before."""
        self.session, self.today, self.honest = self.session + 1, today, True
        for habit in self.habits:
            habit.begins(self, window)
        entries = [self._entry(shown, at) for at, shown in enumerate(self._shown(window))]
        overlaps = self.ids is not Ids.ABSENT and all(habit.overlaps for habit in self.habits)
        pages = []
        for start in range(0, max(len(entries), 1), size):
            back = self.random.randrange(0, 3) if overlaps and start else 0
            pages.append(entries[start - back : start + size])
        for habit in self.habits:
            pages = habit.pages(self, pages)
        return pages

    def _shown(self, window: Window) -> list[Shown]:
        for habit in self.habits:
            window = habit.serves(self, window)
        shown = []
        for p in self.purchases:
            if p.is_booked(self.today):
                day = p.day(self.today)
                for habit in self.habits:
                    day = habit.day(self, day)
                if window.holds(day):
                    shown.append(Shown(day, p, booked=True))
            if p.is_pending(self.today):
                shown.append(Shown(p.made, p, booked=False))
        shown.sort(key=lambda s: (s.day, s.purchase.number), reverse=self.random.random() < 0.5)
        for habit in self.habits:
            shown = habit.shows(self, shown)
        self.ever_shown.update((s.purchase.number, s.booked) for s in shown)
        return shown

    def _entry(self, shown: Shown, at: int) -> ReportedTransaction:
        p, booked = shown.purchase, shown.booked
        amount, currency = (p.money(self.today), "EUR") if booked else p.held or (p.amount, "EUR")
        entry = ReportedTransaction(
            status=TransactionStatus.BOOKED if booked else TransactionStatus.PENDING,
            amount=f"{amount:.2f}",
            currency=currency,
            booking_date=shown.day.isoformat() if booked else None,
            value_date=str(p.value_date) if booked and p.value_date else None if booked else shown.day.isoformat(),
            ids=self._ids(shown, at),
            counterparty_name=p.shop,
            remittance=_latest(p.words, self.today, f"Card {p.shop}") if booked else f"Card {p.shop}",
        )
        for habit in self.habits:
            entry = habit.says(self, shown, entry)
        return entry

    def _ids(self, shown: Shown, at: int) -> tuple[BankId, ...]:
        p = shown.purchase
        if self.ids is Ids.ABSENT:
            return () if p.number % 3 else (BankId("transactionId", "NOTPROVIDED"),)
        value = {
            Ids.STABLE: f"t{p.number}",
            Ids.CHANGING: f"b{p.number}" if shown.booked else f"p{p.number}",
            Ids.ROTATING: f"s{self.session}-{at}",
        }[self.ids]
        if shown.booked and self.ids is not Ids.ROTATING:
            value += _latest(p.names, self.today, "")
        for habit in self.habits:
            value = habit.id(self, shown, value)
        return (BankId("transactionId", value),) if value else ()


def business(day: date) -> date:
    """The day itself, or the Monday after."""
    return day + timedelta(days={5: 2, 6: 1}.get(day.weekday(), 0))


def reworded(entry: ReportedTransaction, **texts: str | None) -> ReportedTransaction:
    """The entry with other texts."""
    return replace(entry, **texts)  # type: ignore[arg-type]  # texts are of any type in what is reported
