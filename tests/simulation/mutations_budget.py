"""The rules of docs/explanation/budget.md, each with a way to switch it off and the test that has to turn red.

`MUTATIONS` is a list of (the rule, a context manager in which it is off, the test's node id). A mutation patches modules of
this process: the test has to run in it (`pytest.main([node])` inside of the context).
"""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest.mock import patch

from bankimport.imports import budget
from bankimport.jobs import concluding, listing, retrying
from bankimport.jobs.access import Access, May
from bankimport.models import Scope
from bankimport.ports import Asks
from bankimport.progress import IfFailed
from bankimport.testing.memory_store import MemoryStore

Mutation = tuple[str, Callable[[], AbstractContextManager[Any]], str]

_BUDGET = "tests/unit/imports/test_budget.py"
_TRUTH = "tests/simulation/test_truth.py"
_ACCESS = "tests/simulation/test_access_and_consents.py"
_LOG = "tests/simulation/test_bank_log.py::test_the_banks_own_log"
_SYNC = sys.modules["bankimport.jobs.sync_connection"]  # the function of that name hides the module


def _constant(name: str, value: Any) -> Callable[[], AbstractContextManager[Any]]:
    return lambda: patch.object(budget, name, value)


def _slot(change: Callable[..., dict[str, Any]]) -> Callable[[], AbstractContextManager[Any]]:
    """Let the budget decide of other facts."""
    true = budget.slot
    return lambda: patch.object(budget, "slot", lambda history, **facts: true(history, **{**facts, **change(**facts)}))


def _due(change: Callable[[Any, dict[str, Any]], Any]) -> Callable[[], AbstractContextManager[Any]]:
    """Let the schedule decide of another history."""
    true = budget.due
    return lambda: patch.object(budget, "due", lambda history, **facts: true(change(history, facts), **facts))


def _uncounted(scope: Scope) -> Callable[[], AbstractContextManager[Any]]:
    """Let requests of a scope go past the ledger."""
    true = Access._reserve

    async def reserve(self: Access, key: Any, **more: Any) -> None:
        if key.scope is not scope:
            await true(self, key, **more)

    return lambda: patch.object(Access, "_reserve", reserve)


def _no_peek() -> AbstractContextManager[Any]:
    async def may(self: Access, stable_key: str, scope: Scope) -> May:
        return May()

    return patch.object(Access, "may", may)


def _no_recall() -> AbstractContextManager[Any]:
    return patch.object(budget, "forgotten", lambda *facts: None)


def _list_each_time() -> AbstractContextManager[Any]:
    true = listing.Listing.__init__

    def init(self: listing.Listing, *args: Any) -> None:
        true(self, *args)
        self._is_due = True

    return patch.object(listing.Listing, "__init__", init)


def _any_consent() -> AbstractContextManager[Any]:
    true = listing.Listing.__init__

    def init(self: listing.Listing, ground: Any, stored: Any, at: Any) -> None:
        consent = ground.connection.consent_id
        true(self, ground, [replace(account, consent_id=consent) for account in stored], at)

    return patch.object(listing.Listing, "__init__", init)


def _never_look_again() -> AbstractContextManager[Any]:
    async def look(self: Any, account: Any) -> None:
        return None

    return patch.object(listing.Listing, "look_again", look)


def _all_again() -> AbstractContextManager[Any]:
    return patch.object(retrying.Earlier, "finished", lambda self, account: None)


def _last_run_only() -> AbstractContextManager[Any]:
    return patch.object(retrying, "added", lambda earlier, later: later)


def _no_retry() -> AbstractContextManager[Any]:
    return patch.object(concluding, "is_retryable", lambda error: False)


async def _retry_blindly(*facts: Any) -> IfFailed:
    return IfFailed({}, timedelta(0))


def _marks_for_wishes() -> AbstractContextManager[Any]:
    return patch.object(_SYNC, "_is_of_the_request", lambda error, command: False)


def _unbounded() -> AbstractContextManager[Any]:
    return patch.object(concluding, "bounded", lambda error, access: error)


def _not_cut_off() -> AbstractContextManager[Any]:
    return patch.object(Access, "_is_cut_off", lambda self, history: False)


def _never_lifted() -> AbstractContextManager[Any]:
    true = MemoryStore.set_attended_only

    async def keep(self: Any, account: Any, *, only: bool = True) -> bool:
        return await true(self, account) if only else False

    return patch.object(MemoryStore, "set_attended_only", keep)


MUTATIONS: list[Mutation] = [
    ("four in a rolling day", _slot(lambda limit, **_: {"limit": limit and limit + 1}), f"{_BUDGET}::test_four_in_a_rolling_day"),
    ("five minutes for the bank's clock", _constant("ROLLING", timedelta(hours=24)), f"{_BUDGET}::test_four_in_a_rolling_day"),
    ("the last read is the schedule's", _slot(lambda **_: {"asks": Asks.PLANNED}), f"{_TRUTH}::test_a_manual_sync_leaves_the_schedule_its_read"),
    ("calendar days", _slot(lambda **_: {"zone": None}), f"{_LOG}[the day of 25 hours]"),
    ("planned reads keep 7 h 45 min", _constant("PLANNED_GAP", timedelta(0)), f"{_ACCESS}::test_never_more_than_four_unattended_reads"),
    ("once a day after three failures", _constant("CIRCUIT", 10**6), f"{_TRUTH}::test_after_three_failures_it_is_read_once_a_day"),
    ("that day has 23 h 45 min", _constant("CIRCUIT_GAP", timedelta(hours=24, minutes=2)), f"{_TRUTH}::test_after_three_failures_it_is_read_once_a_day"),
    ("a job's own retry", _due(lambda history, facts: replace(history, failures=history.failures + 1) if history.failures else history), f"{_TRUTH}::test_a_planned_sync_that_fails_twice_fails"),
    ("the list of accounts is counted", _uncounted(Scope.ACCOUNTS), f"{_TRUTH}::test_the_list_of_accounts_has_its_own_four"),
    ("balances are counted", _uncounted(Scope.BALANCES), f"{_TRUTH}::test_a_quota_on_balances_is_kept"),
    ("due before anything is asked", _no_peek, f"{_TRUTH}::test_a_tick_with_nothing_due_says_so"),
    ("the list once a day", _list_each_time, f"{_TRUTH}::test_the_list_of_accounts_is_read_once_a_day"),
    ("the list with a new consent", _any_consent, f"{_TRUTH}::test_a_renewed_consent_reads_the_list"),
    ("the list for a refused account", _never_look_again, f"{_TRUTH}::test_a_refused_account_reads_the_list"),
    ("an emptied ledger asks the store", _no_recall, f"{_TRUTH}::test_an_emptied_redis_allows_no_more_reads"),
    ("a quota is for hours", _constant("PATIENCE", timedelta(days=9)), f"{_ACCESS}::test_a_quota_defers"),
    ("heeded for a day at most", _constant("LONGEST", timedelta(days=7)), "tests/simulation/test_asking_less.py::test_a_quota_without_end_ends_after_a_day"),
    ("until the next tick at most", _unbounded, f"{_TRUTH}::test_a_tick_is_no_longer_held_up_by_what_a_bank_demands"),
    ("failed accounts are retried", _no_retry, f"{_TRUTH}::test_one_account_of_three_that_fails_once_is_retried_alone"),
    ("they alone", _all_again, f"{_TRUTH}::test_one_account_of_three_that_fails_once_is_retried_alone"),
    ("a result adds up", _last_run_only, f"{_TRUTH}::test_one_account_of_three_that_fails_once_is_retried_alone"),
    ("no retry that the budget forbids", lambda: patch.object(concluding, "if_failed", _retry_blindly), f"{_TRUTH}::test_a_planned_sync_that_fails_twice_fails"),
    ("a read cut off is a failure", _not_cut_off, f"{_TRUTH}::test_a_run_that_a_crash_cuts_off_again_and_again_is_not_called_done"),
    ("a wish marks no connection", _marks_for_wishes, f"{_TRUTH}::test_what_was_asked_for_wrongly_marks_no_connection"),
    ("the person lifts attended-only", _never_lifted, f"{_TRUTH}::test_a_person_lifts_what_the_bank_refused_without_them"),
]  # fmt: skip
