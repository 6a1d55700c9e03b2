"""A life by the slow reference: the same driver as `lives.Life`, with coverage and windows by banking.md §4.7 and §4.11."""

from collections.abc import Sequence
from datetime import date, timedelta

from bankimport.models import StoredTransaction, Window
from tests.simulation.lives import HISTORY, Answer, Life, Rows, read
from tests.simulation.reference import (
    Memory,
    Outcome,
    reference,
    reference_of_a_part,
)

DAY = timedelta(days=1)
RESTS = 5
OVERLAP, EARLIER = timedelta(days=14), timedelta(days=7)


class ReferenceLife(Life):
    """One account: every row takes part in every read."""

    def __init__(self, today: date) -> None:
        super().__init__(today)
        self.memory = Memory()
        self.read_on: dict[date, set[date]] = {}

    def window(self) -> Window:
        """From the end of what was read on two days without a gap, less fourteen; seven more after an open edge."""
        first = self.today - HISTORY
        day = first
        while len(self.read_on.get(day, ())) > 1:
            day += DAY
        if day == first:
            return Window(first)
        earlier = EARLIER if self.memory.put_off else timedelta()
        return Window(max(first, min(day - DAY, self.today) - OVERLAP - earlier))

    def turn(self, answer: Answer, *, window: Window | None = None, cut_after: int | None = None) -> None:
        """Ask, and ask for the rest of an answer that was cut off."""
        window = window or self.window()
        pages = [[read(entry) for entry in page] for page in answer(window)]
        rows = list(self.rows.by_id.values())
        if cut_after is not None:
            self._keep(reference_of_a_part(window, pages[:cut_after], rows, self.memory), rows)
            return
        outcome = reference(window, pages, rows, self.memory)
        for _ in range(RESTS):
            if outcome.cut_before is None:
                break
            told = [entry for page in pages for entry in page]
            rest = answer(Window(window.since, outcome.cut_before))
            pages += [[entry for entry in map(read, page) if entry not in told] for page in rest]
            outcome = reference(window, pages, rows, self.memory)
        self._keep(outcome, rows)
        self._cover(window if outcome.cut_before is None else Window(outcome.cut_before + DAY, window.until))

    def _keep(self, outcome: Outcome, rows: Sequence[StoredTransaction]) -> None:
        known = {row.id for row in rows}
        kept = Rows()
        kept.numbers = self.rows.numbers
        for row in outcome.rows:
            name = row.id if row.id in known else self.rows.new_id()
            kept.by_id[name] = StoredTransaction(
                name, row.status, row.transaction, row.missing_at_bank, row.deleted_by_user
            )
        self.rows, self.memory = kept, outcome.memory

    def _cover(self, window: Window) -> None:
        day, last = window.since, min(window.until or self.today, self.today)
        while day <= last:
            self.read_on.setdefault(day, set()).add(self.today)
            day += DAY
