"""A bank of our own, with the habits of real ones, from one seed: what it shows on a day, and what is true."""

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum

from bankimport.models import BankId, IdQuality, ReportedTransaction, TransactionStatus, Window

SHOPS = ("Bäckerei Krämer", "REWE Markt 0815", "Shell Station", "Café Sol", "Stadtwerke", "PayPal Europe")
FIRST_DAY = date(2026, 1, 5)


class Ids(StrEnum):
    """What a bank's transaction ids are like."""

    STABLE = "stable"
    ABSENT = "absent"
    CHANGING = "changing when booked"
    ROTATING = "rotating by session"
    REISSUED = "re-issued in blocks"
    REUSED = "reused"
    MIXED = "mixed"


@dataclass
class Purchase:
    """One real purchase: when it is shown as pending and as booked, and under which day."""

    number: int
    amount: Decimal
    shop: str
    made: date
    pending_from: date | None
    booked_on: date | None
    day: date | None
    pending_until: date | None
    moves_on: date | None = None
    moved_day: date | None = None
    new_text: bool = False

    def booked_day(self, today: date) -> date | None:
        if self.booked_on is None or today < self.booked_on:
            return None
        return self.moved_day if self.moves_on is not None and today >= self.moves_on else self.day

    def is_pending(self, today: date) -> bool:
        return (
            self.pending_from is not None
            and self.pending_until is not None
            and self.pending_from <= today < self.pending_until
        )


@dataclass
class SimulatedBank:
    """All purchases of one account over the days, and how they are reported."""

    seed: int
    ids: Ids
    days: int = 120
    purchases: list[Purchase] = field(default_factory=list)
    sessions: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(f"{self.seed}-{self.ids}")
        for offset in range(-30, self.days + 1):
            self._trade(FIRST_DAY + timedelta(days=offset))

    def _trade(self, day: date) -> None:
        r = self.random
        for _ in range(r.choice((0, 0, 1, 1, 2, 3, 4))):
            twins = 3 if r.random() < 0.03 else 2 if r.random() < 0.12 else 1
            amount = Decimal(r.choice((-350, -350, -420, -999, -1999, -5000, 120000, r.randrange(-20000, -1)))) / 100
            shop = r.choice(SHOPS)
            for _ in range(twins):
                self.purchases.append(self._purchase(len(self.purchases), amount, shop, day))

    def _purchase(self, number: int, amount: Decimal, shop: str, made: date) -> Purchase:
        r = self.random
        kind = r.random()
        if kind < 0.05:  # a pending one that never comes
            gone = made + timedelta(days=r.randrange(1, 9))
            return Purchase(number, amount, shop, made, made, None, None, gone)
        if kind < 0.55:  # pending first; now and then it stays in the list after it was booked
            booked_on = made + timedelta(days=r.randrange(1, 6))
            stale = timedelta(days=r.choice((0, 0, 0, 0, 1, 3)))
            purchase = Purchase(
                number, amount, shop, made, made, booked_on, self._business(made, booked_on), booked_on + stale
            )
            purchase.new_text = r.random() < 0.3
        elif kind < 0.63:  # back-dated by up to ten days
            day = made - timedelta(days=r.randrange(1, 11))
            purchase = Purchase(number, amount, shop, made, None, made, day, None)
        elif kind < 0.75:  # shown today, dated the next business day
            purchase = Purchase(number, amount, shop, made, None, made, self._business(made + timedelta(days=1)), None)
        else:
            purchase = Purchase(number, amount, shop, made, None, made, made, None)
        if r.random() < 0.08 and purchase.day and purchase.booked_on and (purchase.booked_on - purchase.day).days <= 4:
            purchase.moves_on = purchase.booked_on + timedelta(days=r.randrange(1, 5))
            purchase.moved_day = purchase.day + timedelta(days=r.choice((-3, -2, -1, 1, 2, 3)))
        return purchase

    def _business(self, day: date, other: date | None = None) -> date:
        day = day if other is None or self.random.random() < 0.4 else other
        return day + timedelta(days={5: 2, 6: 1}.get(day.weekday(), 0))

    def booked(self, today: date, since: date) -> Counter[tuple[date, Decimal, str]]:
        """What is true: every booked row with its count."""
        days = ((p.booked_day(today), p.amount) for p in self.purchases)
        return Counter((day, amount, "EUR") for day, amount in days if day is not None and day >= since)

    def report(self, window: Window, today: date) -> list[ReportedTransaction]:
        """What the bank shows now: booked rows of the window, and all that is pending."""
        self.sessions += 1
        shown: list[tuple[date, Purchase, bool]] = []
        for p in self.purchases:
            day = p.booked_day(today)
            if day is not None and day >= window.since and (window.until is None or day <= window.until):
                shown.append((day, p, True))
            if p.is_pending(today):
                shown.append((p.made, p, False))
        shown.sort(key=lambda entry: (entry[0], entry[1].number), reverse=self.random.random() < 0.5)
        return [self._row(day, p, booked, at, today) for at, (day, p, booked) in enumerate(shown)]

    def pages(self, window: Window, today: date, size: int = 8) -> list[list[ReportedTransaction]]:
        """The report in pages; where ids name entries a page may repeat the end of the one before."""
        rows = self.report(window, today)
        overlaps = self.ids in (Ids.STABLE, Ids.CHANGING, Ids.ROTATING)
        pages = []
        for start in range(0, max(len(rows), 1), size):
            back = self.random.randrange(0, 3) if overlaps and start else 0
            pages.append(rows[start - back : start + size])
        return pages

    def _row(self, day: date, p: Purchase, booked: bool, position: int, today: date) -> ReportedTransaction:
        text = f"Card {p.shop}" if not (booked and p.new_text) else f"SEPA {p.number} Dank {p.shop}"
        return ReportedTransaction(
            status=TransactionStatus.BOOKED if booked else TransactionStatus.PENDING,
            amount=f"{p.amount:.2f}",
            currency="EUR",
            booking_date=day.isoformat() if booked else None,
            value_date=None if booked else day.isoformat(),
            ids=self._ids(p, booked, position, today),
            counterparty_name=p.shop,
            remittance=text,
        )

    def _ids(self, p: Purchase, booked: bool, position: int, today: date) -> tuple[BankId, ...]:
        ids = self.ids if self.ids is not Ids.MIXED else tuple(Ids)[p.number % 6]
        if ids is Ids.ABSENT:
            return () if p.number % 3 else (BankId("transactionId", ("", "NOTPROVIDED", "0")[p.number % 9 // 3]),)
        block, group = (today - FIRST_DAY).days // 17, p.number // 20  # each twenty swap their ids every 17 days
        value = {
            Ids.STABLE: f"t{p.number}",
            Ids.CHANGING: f"b{p.number}" if booked else f"p{p.number}",
            Ids.ROTATING: f"s{self.sessions}-{position}",
            Ids.REISSUED: f"r{group * 20 + (p.number + 7 * block * (1 + group % 3)) % 20}-{booked}",
            Ids.REUSED: f"u{p.number % 61}",
        }[ids]
        # a namespace of its own for each kind, as in banks that were merged
        return (BankId(f"transactionId-{ids.name}", value, IdQuality.STRONG),)
