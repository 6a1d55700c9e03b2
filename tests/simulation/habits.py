"""What real banks do beyond the ordinary, one habit a class; its docstring says whether banking.md §4 decides.

Where it does, not one life may be wrong. Where no rule can know, the lives that are wrong are counted, and none may
have a row doubled *and* another lost.
"""

import unicodedata
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

from bankimport.models import ReportedTransaction, Window
from tests.simulation.lying_bank import KINDS, Habit, LyingBank, Purchase, Shown
from tests.simulation.simulated_bank import FIRST_DAY, Ids

NAMING = (Ids.STABLE, Ids.CHANGING, Ids.ROTATING)


class Honest(Habit):
    """Nothing beyond the ordinary. Decided."""


# Ids


class SharedIds(Habit):
    """One id for all purchases at a shop, as Belfius and Nationwide do. Decided: a shared id is none."""

    kinds = decided = (Ids.STABLE,)
    lasting = ()
    overlaps = False

    def id(self, bank: LyingBank, shown: Shown, value: str) -> str:
        return shown.purchase.shop


class BatchIds(Habit):
    """One id for a merchant's batch of a day, equal purchases among them. Decided: the namespace isn't believed."""

    kinds = decided = (Ids.STABLE,)
    lasting = ()
    overlaps = False

    def trades(self, bank: LyingBank, day: date) -> None:
        if bank.random.random() < 0.3:
            for amount in ("-3.50", "-3.50", "-12.00")[: bank.random.choice((2, 3))]:
                bank.buy(Decimal(amount), "REWE Markt 0815", day)

    def id(self, bank: LyingBank, shown: Shown, value: str) -> str:
        return f"{shown.purchase.shop}-{shown.purchase.made}"


class Renumbered(Habit):
    """A booked row gets another id some days later (a Nordea payment, H… then P…). Decided: content and day name it."""

    def shapes(self, bank: LyingBank, purchase: Purchase) -> None:
        if purchase.booked_on and bank.random.random() < 0.5:
            purchase.names = [(purchase.booked_on + timedelta(days=bank.random.randrange(2, 6)), "-P")]


class NewIdsWithTheConsent(Habit):
    """Every 30 days all ids are new. Decided: content and day name the rows."""

    def id(self, bank: LyingBank, shown: Shown, value: str) -> str:
        return f"{(bank.today - FIRST_DAY).days // 30}-{value}"


class ReusedPendingIds(Habit):
    """The ids of what is pending come back, five for all. Decided for what is booked: an id claims within its days."""

    kinds = decided = (Ids.CHANGING,)
    overlaps = False

    def id(self, bank: LyingBank, shown: Shown, value: str) -> str:
        return value if shown.booked else f"p{shown.purchase.number % 5}"


class FewIds(Habit):
    """Half of the entries have no id at all. Decided."""

    kinds = decided = NAMING
    lasting = ()
    overlaps = False

    def id(self, bank: LyingBank, shown: Shown, value: str) -> str:
        return value if shown.purchase.number % 2 else ""


# Texts


class Spelling(Habit):
    """Texts in another Unicode form, in capitals, with blanks or cut off, each time, on overlapping pages too. Decided."""

    def pages(self, bank: LyingBank, pages: list[list[ReportedTransaction]]) -> list[list[ReportedTransaction]]:
        return [[self._spelled(bank, entry) for entry in page] for page in pages]

    def _spelled(self, bank: LyingBank, entry: ReportedTransaction) -> ReportedTransaction:
        how = bank.random.randrange(6)

        def spell(text: object) -> str:
            written = str(text)
            return (
                written,
                unicodedata.normalize("NFD", written),
                written.upper(),
                f" {written.replace(' ', '  ')}   ",
                written[: max(9, len(written) - 5)],
                "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in written),
            )[how]

        return replace(entry, counterparty_name=spell(entry.counterparty_name), remittance=spell(entry.remittance))


class Nameless(Habit):
    """Name or text is missing now and then. Decided: text only orders."""

    def says(self, bank: LyingBank, shown: Shown, entry: ReportedTransaction) -> ReportedTransaction:
        missing = bank.random.random()
        if missing < 0.1:
            return replace(entry, counterparty_name=None)
        return replace(entry, remittance=None) if missing < 0.2 else entry


class Enriched(Habit):
    """A booked row gets other words some days later. Decided: its day and money stay."""

    def shapes(self, bank: LyingBank, purchase: Purchase) -> None:
        if purchase.booked_on and bank.random.random() < 0.5:
            since = purchase.booked_on + timedelta(days=bank.random.randrange(1, 5))
            purchase.words.append((since, f"{purchase.shop} sagt Danke 4711 {purchase.number} Folge 2"))


# Dates


class TwinsThatShift(Habit):
    """A daily purchase of one amount and text; each may be dated a day off later on, once or twice.

    Decided where ids last: they go before equal content. Without them equal daily rows that shift one by one can't be told
    apart, and needn't be, but for the edge of an unbroken chain of them, which is ambiguous: no rule can know.
    """

    decided = (Ids.STABLE, Ids.CHANGING)

    def trades(self, bank: LyingBank, day: date) -> None:
        twin = bank.buy(Decimal("-4.20"), "Café Sol", day)
        if twin.booked_on:
            twin.days = [(twin.booked_on, day)]
            for after in (1, 5):
                if bank.random.random() < 0.4:
                    since = twin.booked_on + timedelta(days=after + bank.random.randrange(4))
                    twin.moves(since, bank.random.choice((-1, 1)))


class AllTwinsShift(Habit):
    """A daily purchase of one amount and text; now and then all of a month are dated a day off from then on, three days
    in all: what moves on during a long silence, from before the window, is another row by the rule.

    Decided where ids last; without them the chain is ambiguous at its edge, as `TwinsThatShift` is.
    """

    decided = (Ids.STABLE, Ids.CHANGING)

    def trades(self, bank: LyingBank, day: date) -> None:
        twin = bank.buy(Decimal("-4.20"), "Café Sol", day)
        twin.pending_from = twin.pending_until = None
        twin.booked_on, twin.days, twin.words = day, [(day, day)], []
        if bank.random.random() < 0.08:
            step = bank.random.choice((-1, 1))
            for p in bank.purchases:
                is_one = (p.amount, p.shop) == (twin.amount, twin.shop) and day - p.made <= timedelta(days=30)
                if is_one and p.days and p.days[-1][0] < day:
                    dates = [dated for _, dated in p.days]
                    there = dates[-1] + timedelta(days=step)
                    if max(*dates, there) - min(*dates, there) <= timedelta(days=3):
                        p.moves(day, step)


class Steps(Habit):
    """A row moves by up to three days soon after it was booked. Decided."""

    def shapes(self, bank: LyingBank, purchase: Purchase) -> None:
        if purchase.booked_on and bank.random.random() < 0.15:
            after = timedelta(days=bank.random.randrange(1, 5))
            if (purchase.booked_on - purchase.days[0][1]).days <= 4:
                purchase.moves(purchase.booked_on + after, bank.random.choice((-3, -2, -1, 1, 2, 3)))


class StepsAtTheEdge(Habit):
    """A row moves by up to three days when the window's first day is just there. Decided: nothing is absent there.

    One that is booked three days before it was pending is another row: the pending one ends for itself. Without ids a
    chain of equal rows of which all move at once, the first from outside of the window, is ambiguous (§4's last words):
    one life of fifty.
    """

    decided = NAMING
    lasting = ()

    def shapes(self, bank: LyingBank, purchase: Purchase) -> None:
        if purchase.booked_on and bank.random.random() < 0.3:
            after = timedelta(days=bank.random.randrange(10, 19))
            purchase.moves(purchase.booked_on + after, bank.random.choice((-3, -2, -1, 1, 2, 3)))


class OffByOne(Habit):
    """In one read of five all dates are off by one. Decided where ids last.

    Without them it is too, but for chains of equal rows a few days apart at the edge, of which no rule can know.
    """

    decided = NAMING
    off = 0

    def begins(self, bank: LyingBank, window: Window) -> None:
        if window.until is None:  # what is asked for besides is answered as the rest of the read was
            self.off = bank.random.choice((-1, 1)) if bank.random.random() < 0.2 else 0
        bank.honest = bank.honest and not self.off

    def day(self, bank: LyingBank, day: date) -> date:
        return day + timedelta(days=self.off)


class MonthEnd(Habit):
    """What is booked at the end of a month moves by four to nine days under a new id, its value date unchanged.

    Decided: nothing else of that money is near.
    """

    def trades(self, bank: LyingBank, day: date) -> None:
        if (day + timedelta(days=3)).month == day.month:
            return
        at_the_end = bank.buy(Decimal(300000 + len(bank.purchases)) / 100, "Gehalt ACME", day)
        at_the_end.pending_from = at_the_end.pending_until = None
        at_the_end.booked_on, at_the_end.days, at_the_end.words = day, [(day, day)], []
        moved = day + timedelta(days=bank.random.randrange(1, 5))
        at_the_end.moves(moved, bank.random.randrange(4, 10))
        at_the_end.names, at_the_end.value_date = [(moved, "-moved")], day


class Future(Habit):
    """Rows dated up to six days ahead, some of which move before they come. Decided: a window has no last day."""

    def shapes(self, bank: LyingBank, purchase: Purchase) -> None:
        if purchase.booked_on and not purchase.pending_from and bank.random.random() < 0.3:
            purchase.days = [(purchase.made, purchase.made + timedelta(days=bank.random.randrange(2, 7)))]
            if bank.random.random() < 0.3:
                purchase.moves(purchase.made + timedelta(days=1), bank.random.choice((-2, -1, 1, 2)))


class LateBackdated(Habit):
    """Rows that are first shown under a day ten to thirteen days ago. Decided: the window reaches back fourteen."""

    def shapes(self, bank: LyingBank, purchase: Purchase) -> None:
        if purchase.booked_on and not purchase.pending_from and bank.random.random() < 0.2:
            purchase.days = [(purchase.made, purchase.made - timedelta(days=bank.random.randrange(10, 14)))]


# Pending ones


class Preauthorised(Habit):
    """Half of what is pending is held at 1.00 or 100.00 and booked at its own amount.

    Decided where the id lasts: one row. Else nothing names the pending one, and it ends for itself.
    """

    def shapes(self, bank: LyingBank, purchase: Purchase) -> None:
        if purchase.pending_from and bank.random.random() < 0.5:
            purchase.held = (Decimal(bank.random.choice((-1, -100))), "EUR")


class ForeignPending(Habit):
    """Half of what is pending is in USD and booked in EUR. Decided as `Preauthorised` is."""

    def shapes(self, bank: LyingBank, purchase: Purchase) -> None:
        if purchase.pending_from and bank.random.random() < 0.5:
            purchase.held = (round(purchase.amount * Decimal("1.08"), 2), "USD")


class StalePending(Habit):
    """What was pending stays in that list for up to ten days after it was booked. Decided for what is booked."""

    def shapes(self, bank: LyingBank, purchase: Purchase) -> None:
        if purchase.pending_until and purchase.booked_on:
            purchase.pending_until = purchase.booked_on + timedelta(days=bank.random.randrange(0, 11))


class Corrected(Habit):
    """A booked amount is corrected some days later. Decided: by a lasting id it is the row, else a new one."""

    replaces = (Ids.ROTATING, Ids.ABSENT)

    def shapes(self, bank: LyingBank, purchase: Purchase) -> None:
        if purchase.booked_on and bank.random.random() < 0.1:
            since = purchase.booked_on + timedelta(days=bank.random.randrange(1, 5))
            purchase.amounts = [(since, purchase.amount - Decimal("0.37"))]


# Answers that are more or less than what was asked for


class MoreThanAsked(Habit):
    """Ten days more than were asked for, on either side. Decided: they add nothing, not even at the first read."""

    def trades(self, bank: LyingBank, day: date) -> None:
        if bank.random.random() < 0.3:
            bank.buy(Decimal("-77.00"), "Stadtwerke", day - timedelta(days=64))

    def serves(self, bank: LyingBank, window: Window) -> Window:
        until = None if window.until is None else window.until + timedelta(days=10)
        return Window(window.since - timedelta(days=10), until)


class NewestOnly(Habit):
    """The newest 25 and not a word about it; `dateTo` brings the rest. Decided, but for what was before the first read."""

    answers_all = False

    def trades(self, bank: LyingBank, day: date) -> None:
        bank.pace = 0.85

    def shows(self, bank: LyingBank, shown: list[Shown]) -> list[Shown]:
        booked = sorted((s for s in shown if s.booked), key=lambda s: (s.day, s.purchase.number))
        if not bank.is_heard and len(booked) > 25:
            bank.known_from = booked[-25].day + timedelta(days=1)
        left_out = {id(s) for s in booked[:-25]}
        return [s for s in shown if id(s) not in left_out]


class RowsAbsentOnce(Habit):
    """One read of twenty lacks a third of the rows. Decided: days are covered when they were read on two days.

    But for the second read of a long history, of which what is flagged isn't asked for again: it is honest here.
    """

    lacks = False

    def begins(self, bank: LyingBank, window: Window) -> None:
        if window.until is None:
            is_recent = window.since > bank.today - timedelta(days=40)
            self.lacks = bank.random.random() < 0.05 and is_recent
        bank.honest = bank.honest and not self.lacks

    def shows(self, bank: LyingBank, shown: list[Shown]) -> list[Shown]:
        return [s for s in shown if bank.random.random() > 0.33] if self.lacks else shown


class Vanishing(Habit):
    """Some rows vanish for three to six days and return. Decided: what returns is the same row."""

    def shapes(self, bank: LyingBank, purchase: Purchase) -> None:
        if purchase.booked_on and bank.random.random() < 0.05:
            since = purchase.booked_on + timedelta(days=bank.random.randrange(1, 4))
            purchase.hidden = (since, since + timedelta(days=bank.random.randrange(3, 7)))


# Pages


class PagesThatOverlap(Habit):
    """A page begins with the last entry of the page before, at one break of four.

    Decided where an id names the entry. Without one, what repeats in two reads looks as a twin does: no rule can know.
    """

    decided = NAMING

    def pages(self, bank: LyingBank, pages: list[list[ReportedTransaction]]) -> list[list[ReportedTransaction]]:
        return [
            [before[-1], *page] if before and bank.random.random() < 0.25 else page
            for before, page in zip([[], *pages], pages, strict=False)
        ]


class RepeatsOnOnePage(Habit):
    """The overlap of two entries lands on the page itself. Decided where an id names one entry."""

    kinds = decided = NAMING

    def pages(self, bank: LyingBank, pages: list[list[ReportedTransaction]]) -> list[list[ReportedTransaction]]:
        return [[*page, *page[-2:]] if bank.random.random() < 0.3 else page for page in pages]


class Shuffled(Habit):
    """Entries come in any order. Decided: an order says nothing."""

    def shows(self, bank: LyingBank, shown: list[Shown]) -> list[Shown]:
        bank.random.shuffle(shown)
        return shown


HABITS: tuple[type[Habit], ...] = (
    Honest, SharedIds, BatchIds, Renumbered, NewIdsWithTheConsent, ReusedPendingIds, FewIds, Spelling, Nameless,
    Enriched, TwinsThatShift, AllTwinsShift, Steps, StepsAtTheEdge, OffByOne, MonthEnd, Future, LateBackdated, Preauthorised,
    ForeignPending, StalePending, Corrected, MoreThanAsked, NewestOnly, RowsAbsentOnce, Vanishing, PagesThatOverlap,
    RepeatsOnOnePage, Shuffled,
)  # fmt: skip

CASES = [(habit, kind) for habit in HABITS for kind in KINDS if kind in habit.kinds]
