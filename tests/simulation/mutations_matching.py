"""The rules of docs/explanation/import.md about rows, each with a way to switch it off and the test that has to turn red.

`MUTATIONS` is a list of (the rule, a context manager in which it is off, the test's node id).
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import timedelta
from typing import Any
from unittest.mock import patch

from bankimport.imports import (
    claims,
    evidence,
    likeness,
    matching,
    reconciliation,
    repeats,
    window,
    worth,
)
from bankimport.imports.assignment import Assignment
from bankimport.imports.evidence import Phase
from bankimport.imports.extent import Reading
from bankimport.imports.likeness import Likeness
from bankimport.jobs import read_account
from bankimport.models import StoredTransaction, Transaction, Window
from bankimport.reading import ids

Mutation = tuple[str, Callable[[], AbstractContextManager[Any]], str]

_SEEN = "tests/unit/imports/test_what_was_seen.py::test_"
_USER = "tests/simulation/test_cases_of_a_user.py::test_"


def _off(owner: Any, name: str, instead: Any) -> Callable[[], AbstractContextManager[Any]]:
    """Put something in the place of a name, wherever the package has imported it."""
    true = getattr(owner, name)

    @contextmanager
    def context() -> Iterator[None]:
        with ExitStack() as stack:
            stack.enter_context(patch.object(owner, name, instead))
            for module in [m for n, m in sys.modules.items() if n.startswith("bankimport.") and m is not owner]:
                if vars(module).get(name) is true:
                    stack.enter_context(patch.object(module, name, instead))
            yield

    return context


def _reach(phase: Phase, days: tuple[int, int]) -> Callable[[], AbstractContextManager[Any]]:
    """Let a phase reach so many days back and ahead."""
    return lambda: patch.dict(evidence.REACH, {phase: days})


def _never_conflicting(one: likeness.Wording, other: likeness.Wording) -> tuple[Likeness, float]:
    like, score = _compare(one, other)
    return max(like, Likeness.WEAK), score


def _incomplete_proves(reading: Reading, row: StoredTransaction) -> bool:
    return reading.takes_part(row)


def _nearest_first(self: Assignment) -> dict[tuple[int, int], int]:
    """Give each its own best, one after the other: no augmenting path."""
    found: dict[tuple[int, int], int] = {}
    for source, left in enumerate(self._left):
        units = left
        for taker, _ in sorted(self._edges_of(source), key=lambda edge: edge[1]):
            taken = min(units, self._free[taker])
            if taken:
                found[source, taker] = found.get((source, taker), 0) + taken
                self._free[taker] -= taken
                units -= taken
    return {**{(i, j): n for j, h in enumerate(self._holders) for i, n in h.items() if n}, **found}


def _none_shared(past: Any) -> list[str]:
    return []


def _covers_at_once(memory: Any, read: Window, today: Any, unsure: Any = ()) -> Any:
    return _covered(_covered(memory, read, today - timedelta(days=1)), read, today, unsure)


def _raw_spelling(one: likeness.Wording, other: likeness.Wording) -> bool:
    return one.spelling == other.spelling


def _is_stuck(row: StoredTransaction) -> None:
    """Nothing is ever missing."""


def _ends_at_once(row: StoredTransaction) -> Any:
    return _end(row)


def _cancels_nothing(entry: Transaction, row: StoredTransaction) -> Any:
    return None if entry.status.value == "cancelled" else _change(entry, row)


_compare, _covered = likeness.compare, window.covered
_end, _change = reconciliation._end, reconciliation._change

MUTATIONS: list[Mutation] = [
    # 1. What ids are worth
    (
        "ids are believed only where nine in ten agree",
        _off(worth.Worth, "is_believed", lambda self, namespace: True),
        "tests/simulation/test_simulation.py::test_a_life_that_was_once_wrong",
    ),
    (
        "ids that agree are believed, and go before equal content",
        _off(worth.Worth, "is_believed", lambda self, namespace: False),
        _SEEN + "twins_under_lasting_ids_keep_their_rows_when_their_dates_shift[3-1]",
    ),
    (
        "a believed id claims at most fourteen days off",
        _off(evidence, "FAR", 400),
        _SEEN + "an_id_that_comes_back_after_three_weeks",
    ),
    (
        "a believed id never claims against a conflicting text",
        _off(likeness, "compare", _never_conflicting),
        _SEEN + "a_pending_id_that_came_back_used[another text]",
    ),
    (
        "an id that names different entries of one read is none",
        _off(repeats, "_without", lambda entry, keys: entry),
        _SEEN + "an_id_shared_by_different_entries_names_no_row",
    ),
    # 2. Reads that broke off
    (
        "only a complete read proves absence",
        _off(Reading, "proves_absence", _incomplete_proves),
        _USER + "page_two_of_three_times_out",
    ),
    (
        "a read that broke off claims nothing while a row of that money stands nearer",
        _off(claims, "_is_unsure", lambda *args: False),
        _SEEN + "a_read_that_broke_off_takes_no_row_from_a_nearer_one",
    ),
    (
        "a read that broke off inserts nothing without an id",
        _off(reconciliation, "is_live", lambda entry, reading, believed: reading.asks_for(entry.day)),
        _SEEN + "a_read_that_broke_off_adds_nothing_without_an_id",
    ),
    # 3. Repeats
    (
        "across pages an id's entry is one, however it is spelled",
        _off(likeness, "is_same_spelling", _raw_spelling),
        _SEEN + "one_id_on_two_pages_with_the_text_spelled_otherwise[remittance-cut off]",
    ),
    (
        "a namespace that was once shared is remembered",
        _off(worth, "shared_before", _none_shared),
        _SEEN + "a_shared_id_is_remembered_when_its_proof_is_out_of_sight",
    ),
    (
        "without an id the head of a page that repeats the one before is put off",
        _off(repeats, "marked", lambda page, before: list(page)),
        _SEEN + "a_page_that_repeats_the_last_entry_of_the_page_before[pages differ same]",
    ),
    (
        "what may be a repeat keeps an equal row from a move",
        _off(matching, "_rows_kept", lambda repeats, claims: []),
        _SEEN + "what_may_be_a_repeat_keeps_its_row_from_a_move",
    ),
    (
        "at a page break a shared id says nothing of other words",
        _off(repeats, "_repeats_one", lambda entry, entries, indices: True),
        _SEEN + "a_shared_id_at_a_page_break_with_another_text_is_another",
    ),
    (
        "a booked entry and its own pending form are one",
        _off(repeats, "_replaced", lambda entries, indices, distinct: []),
        _SEEN + "a_booked_entry_and_its_own_pending_form_are_one",
    ),
    # 4. Who is whom
    (
        "the most pairs, not each its nearest",
        _off(Assignment, "solve", _nearest_first),
        _SEEN + "equal_purchases_without_ids_move_in_a_chain[(8, 10, 12)-(6, 8, 10)]",
    ),
    (
        "what a believed id names never gives way",
        _off(claims, "claim_own", lambda claims, named, believed: None),
        _SEEN + "twins_under_lasting_ids_keep_their_rows_when_their_dates_shift[7-2]",
    ),
    (
        "a weaker text fills what is left",
        _reach(Phase.WEAKER, (9, 8)),
        _SEEN + "the_same_day_and_money_in_other_words_is_one_row",
    ),
    # 5. Pending to booked
    (
        "a pending row's own id suffices, whatever the amount",
        _off(evidence, "BOOKED_AFTER", -5),
        _SEEN + "a_pending_one_booked_under_its_id_at_another_amount[3--100.00]",
    ),
    (
        "a pending row without an id is booked within fourteen days",
        _reach(Phase.BECAME, (9, 8)),
        _SEEN + "a_pending_one_without_an_id_is_booked",
    ),
    # 6. Moves
    (
        "what is left over within fourteen days has moved",
        _reach(Phase.FAR, (9, 8)),
        _SEEN + "several_rows_of_one_money_move_far",
    ),
    (
        "a far move needs a matching text",
        _off(likeness, "_MATCHING", 0.0),
        _SEEN + "a_far_move_needs_a_matching_text",
    ),
    # 7. The edge
    (
        "nothing is proven absent within three days of the window's edge",
        _off(Reading, "is_edge", lambda self, day: False),
        _SEEN + "a_row_that_steps_out_of_the_window[no id-1]",
    ),
    (
        "what a row just outside may be is put off once",
        _off(matching, "_decide_the_edge", lambda claims, doubted: None),
        _SEEN + "a_row_that_steps_into_the_window[no id-1]",
    ),
    (
        "the window after begins earlier",
        _off(window, "_EARLIER", timedelta(days=-30)),
        _SEEN + "what_was_put_off_is_well_inside_of_the_next_window",
    ),
    (
        "entries outside of the window are never inserted",
        _off(reconciliation, "is_live", lambda entry, reading, believed: True),
        _SEEN + "entries_outside_of_the_window_asked_for[no id-open]",
    ),
    # 8. and 9. Text and placeholders
    (
        "text only orders: other words change no row",
        _off(evidence, "rank", lambda entry, row: None),
        _SEEN + "the_same_day_and_money_in_other_words_is_one_row",
    ),
    (
        "NOTPROVIDED is no id",
        _off(ids, "_PLACEHOLDERS", frozenset()),
        _SEEN + "a_placeholder_is_no_id",
    ),
    # 10. What ends
    (
        "a booked row that the bank stops showing is flagged",
        _off(reconciliation, "_miss", _is_stuck),
        _USER + "a_booked_row_the_bank_no_longer_shows[memory]",
    ),
    (
        "a pending row is removed only after it was missing twice",
        _off(reconciliation, "_miss", _ends_at_once),
        _USER + "a_pending_one_vanishes_and_returns[memory]",
    ),
    (
        "a cancelled entry ends its pending row at once",
        _off(reconciliation, "_change", _cancels_nothing),
        _USER + "cancelled[memory]",
    ),
    # 11. Coverage
    (
        "a day is covered when it was read on two days",
        _off(window, "covered", _covers_at_once),
        _SEEN + "a_row_absent_from_the_one_read_after_an_outage[no ids]",
    ),
    (
        "a day of which a row is missing for the first time is open again",
        _off(window, "_without", lambda interval, days: iter([interval])),
        _SEEN + "a_row_absent_from_days_that_were_known_is_asked_for_again",
    ),
    (
        "the rest is asked for until an answer has fewer booked entries",
        _off(read_account, "_how_many_booked", lambda entries: len(list(entries))),
        "tests/simulation/test_answers_cut_off.py::test_pending_ones_and_repeats_do_not_make_an_answer_long[memory]",
    ),
    (
        "a window reaches fourteen days back",
        _off(window, "OVERLAP", timedelta(days=2)),
        _SEEN + "a_row_that_is_back_dated_by_thirteen_days",
    ),
    (
        "an answer that lacks the oldest rows was cut off",
        _off(matching, "_CUT_OFF", 1000),
        _SEEN + "a_bank_that_answers_its_newest_25_and_says_nothing",
    ),
]
