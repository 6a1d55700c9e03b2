"""Whether what is stored is what the bank says, after a read that the bank answered honestly and to the end."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import pairwise

from bankimport.imports.evidence import BOOKED_BEFORE
from bankimport.models import ReportedTransaction, Transaction, TransactionStatus, Window
from tests.simulation.lives import Booked, read
from tests.simulation.lying_bank import LyingBank, Purchase

#: within so many days of the window's first day nothing is proven
EDGE = timedelta(days=3)
#: so many of the oldest rows that are left out show that the answer was cut off
CUT_OFF = 3

Money = Counter[tuple[object, str]]
Content = tuple[object, ...]
Pages = list[list[ReportedTransaction]]


@dataclass
class Judge:
    """What was wrong in one life so far: rows too many, and rows lost."""

    bank: LyingBank
    reads: int = 0
    doubled: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    put_off: Counter[Content] = field(default_factory=Counter)
    asked_from: date = date.max
    read_from: date = date.max
    untold: Booked = field(default_factory=Counter)
    forgotten: Booked = field(default_factory=Counter)
    again: int = 0
    seen: Pages = field(default_factory=list)
    waiting: Booked = field(default_factory=Counter)

    @property
    def verdict(self) -> str:
        """`right`, `doubled`, `lost` or `doubled and lost`."""
        return " and ".join(name for name in ("doubled", "lost") if getattr(self, name)) or "right"

    def asks(self, window: Window) -> None:
        """Note that these days were asked for: nothing of the days before may be stored."""
        self.asked_from = min(self.asked_from, window.since)

    def sees(self, window: Window, pages: Pages) -> None:
        """Note a complete read that wasn't honest: what it repeats it has shown."""
        self.read_from = min(self.read_from, window.since)
        self.bank.is_heard = True
        self._waiting(pages)

    def looks(self, live: Booked, window: Window, today: date, pages: Pages, *, may_ask: bool = True) -> None:
        """Compare after a complete, honest read: day by day behind the window's edge, and by money as a whole.

        `may_ask`: what the bank has left out could be asked for, too.
        """
        self.reads += 1
        self.read_from = min(self.read_from, window.since)
        self.bank.is_heard = True
        truth, edge = self.bank.booked(today), window.since + EDGE
        waiting = self._waiting(pages) + self._untold(truth, window, pages, may_ask=may_ask)
        found = Counter({row: n for row, n in live.items() if row[0] >= self.bank.known_from})
        near = Counter({row: n for row, n in truth.items() if row[0] >= edge})
        self._note(today, Counter({row: n for row, n in found.items() if row[0] >= edge}), near, near - waiting)
        self._note(today, by_money(found), *self._money(today, edge, by_money(waiting)))

    def ends(self, live: Booked, today: date, pages: Pages, booked: int, rows: int) -> None:
        """Compare all days that were ever asked for, after the whole history was read on two days.

        `booked` is how many booked rows there are, missing ones too, and `rows` how many of any status: `again` is how
        many booked ones are another's.
        """
        bank = self.bank
        truth = Counter({row: n for row, n in bank.booked(today).items() if row[0] >= self.asked_from})
        found = Counter({row: n for row, n in live.items() if row[0] >= bank.known_from})
        least = Counter({row: n for row, n in truth.items() if row[0] >= self.read_from})
        self._note(today, found, truth, least - self._waiting(pages) - self.untold - self.forgotten)
        self.again = max(0, booked - sum(is_booked for _, is_booked in bank.ever_shown))
        if self.again and not any(bank.ids in habit.replaces for habit in bank.habits):
            self.doubled.append(f"{self.again} booked rows are another's, missing now")
        more = rows - len({number for number, _ in bank.ever_shown}) - sum(map(_is_another, bank.purchases))
        if more > 0 and all(bank.ids in habit.lasting for habit in bank.habits):
            self.doubled.append(f"{more} rows are another's, ended now")

    def _money(self, today: date, edge: date, waiting: Money) -> tuple[Money, Money]:
        """The most and the least that may be stored: what is hidden or stands at the edge may or may not be, and what was
        corrected there may still be as it was."""
        booked = (p for p in self.bank.purchases if p.booked_on is not None and p.booked_on <= today)
        known_from, unsure_from = max(self.bank.known_from, self.asked_from), edge - 2 * EDGE
        begun = [(p, day, p.money(today)) for p in booked if (day := p.day(today)) >= known_from]
        most = Counter((money, "EUR") for _, _, money in begun)
        most += Counter((p.amount, "EUR") for p, day, money in begun if p.amount != money and day < edge)
        sure = ((day, money) for p, day, money in begun if not p.hidden and not unsure_from <= day < edge)
        least = Counter((money, "EUR") for day, money in sure if day >= self.read_from)
        return most, least - waiting

    def _untold(self, truth: Booked, window: Window, pages: Pages, *, may_ask: bool) -> Booked:
        """What a bank that cuts its answers off has left out: one or two more than before look as if they had gone."""
        if all(habit.answers_all for habit in self.bank.habits):
            return Counter()
        told = Counter(
            (e.day, e.amount, e.currency)
            for e in (read(each) for page in pages for each in page)
            if e.status is TransactionStatus.BOOKED
        )
        untold = Counter({row: n for row, n in (truth - told).items() if row[0] >= window.since})
        self.forgotten += Counter({row: n for row, n in self.untold.items() if row[0] < window.since})
        is_noticed = may_ask and (untold - self.untold).total() >= CUT_OFF
        self.untold = Counter() if is_noticed else untold
        return self.untold + self.forgotten

    def _waiting(self, pages: Pages) -> Booked:
        """What is booked and begins a page as the page before ended, without an id, and didn't in the read before: among
        as many equal ones. The same pages have the same answer."""
        if pages is self.seen:
            return self.waiting
        waiting: Booked = Counter()
        self.seen, self.waiting = pages, waiting
        entries = [[read(entry) for entry in page] for page in pages]
        contents = [[*map(_content, page)] for page in entries]
        told = Counter(content for page in contents for content in page)
        before_that, self.put_off = self.put_off, Counter()
        for page, (before, here) in zip(entries[1:], pairwise(contents), strict=True):
            for one, content in zip(page[: _repeated(before, here)], here, strict=False):
                names = bool(one.ids) and all(habit.overlaps for habit in self.bank.habits)
                self.put_off[content] = told[content]
                if not names and told[content] > before_that[content] and one.status is TransactionStatus.BOOKED:
                    waiting[one.day, one.amount, one.currency] += 1
        return waiting

    def _note(self, today: date, found: Counter, most: Counter, least: Counter) -> None:  # type: ignore[type-arg]
        if found - most:
            self.doubled.append(f"{today}: {dict(found - most)}")
        if least - found:
            self.lost.append(f"{today}: {dict(least - found)}")


def _is_another(purchase: Purchase) -> bool:
    """Whether it may have been booked under a day so long before it was pending that the rule calls it another row."""
    earliest = min((day for _, day in purchase.days), default=date.max)
    return purchase.pending_from is not None and earliest < purchase.made + timedelta(days=BOOKED_BEFORE)


def _repeated(ends: Sequence[Content], starts: Sequence[Content]) -> int:
    """How many entries of a page may repeat the end of the page before: in order, and not all alike but for a single one."""
    found = 0
    for back in range(1, min(len(ends), len(starts)) + 1):
        if ends[-back:] == starts[:back] and (back == 1 or len(set(starts[:back])) > 1):
            found = back
    return found


def _content(one: Transaction) -> Content:
    return one.status, one.day, one.amount, one.counterparty_name, one.remittance


def by_money(rows: Booked) -> Money:
    """The rows without their days."""
    result: Money = Counter()
    for (_, amount, currency), n in rows.items():
        result[amount, currency] += n
    return result
