"""What a job asks for, when it asks once more and what it says of itself: each rule, and how it is switched off.

`MUTATIONS` is a list of (the rule, a context manager in which it is off, the test's node id). A mutation patches modules of
this process: the test has to run in it (`pytest.main([node])` inside of the context).
"""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from bankimport.errors import UnattendedRefused
from bankimport.jobs import concluding, listing, results, retrying
from bankimport.jobs.access import Access, May
from bankimport.jobs.results import AccountOutcome
from bankimport.models import Scope
from bankimport.progress import IfFailed
from bankimport.testing.memory_store import MemoryStore
from bankimport.worker import handlers

Mutation = tuple[str, Callable[[], AbstractContextManager[Any]], str]

_TRUTH = "tests/simulation/test_truth.py"
_ACCESS = "tests/simulation/test_access_and_consents.py"
_LESS = "tests/simulation/test_asking_less.py"
_DEFERRED = "tests/simulation/test_deferred.py"
_SYNC = sys.modules["bankimport.jobs.sync_connection"]  # the function of that name hides the module


def _asks_for_ever() -> AbstractContextManager[Any]:
    true = handlers._follow_ups

    def follow_ups(command: Any, *facts: Any) -> Any:
        return true(command.model_copy(update={"triggered_by": None, "scheduled": False}), *facts)

    return patch.object(handlers, "_follow_ups", follow_ups)


def _no_peek() -> AbstractContextManager[Any]:
    async def may(self: Access, stable_key: str, scope: Scope) -> May:
        return May()

    return patch.object(Access, "may", may)


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


@contextmanager
def _in_workers(lines: str) -> Iterator[None]:
    """Let the processes that a test starts begin with these lines."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "sitecustomize.py").write_text(lines)
        with patch.dict(os.environ, PYTHONPATH=folder):
            yield


def _forgetful_workers() -> AbstractContextManager[Any]:
    return _in_workers("from bankimport.jobs.retrying import Earlier; Earlier.finished = lambda self, account: None")


def _no_list_for_the_person() -> AbstractContextManager[Any]:
    true = listing.Listing.__init__

    def init(self: listing.Listing, ground: Any, stored: Any, at: Any) -> None:
        true(self, replace(ground, access=replace(ground.access, psu=None)), stored, at)

    return patch.object(listing.Listing, "__init__", init)


def _refused_is_forgotten() -> AbstractContextManager[Any]:
    async def only(self: MemoryStore, account: Any, *, only: bool = True) -> bool:
        return True

    return patch.object(MemoryStore, "set_attended_only", only)


def _refused_list_is_forgotten() -> AbstractContextManager[Any]:
    true = Access.accounts

    async def accounts(self: Access) -> Any:
        before = dict(self.ledger._closed)  # type: ignore[attr-defined]  # the ledger in memory
        try:
            return await true(self)
        except UnattendedRefused:
            self.ledger._closed = before  # type: ignore[attr-defined]  # the fake ledger's
            raise

    return patch.object(Access, "accounts", accounts)


def _never_says_when() -> AbstractContextManager[Any]:
    async def next_planned(self: Access, account: Any) -> None:
        return None

    return patch.object(Access, "next_planned", next_planned)


def _leaves_nothing() -> AbstractContextManager[Any]:
    true = retrying.if_failed

    async def if_failed(*facts: Any) -> IfFailed:
        return replace(await true(*facts), result={})

    return patch.object(concluding, "if_failed", if_failed)


def _all_is_well(*outcomes: AccountOutcome) -> Callable[[], AbstractContextManager[Any]]:
    return lambda: patch.object(results, "_DONE", results._DONE | set(outcomes))


def _all_retryable() -> AbstractContextManager[Any]:
    return patch.object(concluding, "is_retryable", lambda error: True)


def _only_good_words() -> AbstractContextManager[Any]:
    return patch.object(concluding, "last_word", lambda result: f"Sync completed: {result.new_transactions} new")


MUTATIONS: list[Mutation] = [
    ("due before anything is asked", _no_peek, f"{_TRUTH}::test_a_tick_with_nothing_due_says_so"),
    ("the list once a day", _list_each_time, f"{_TRUTH}::test_the_list_of_accounts_is_read_once_a_day"),
    ("the list with a new consent", _any_consent, f"{_TRUTH}::test_a_renewed_consent_reads_the_list"),
    ("the list for a refused account", _never_look_again, f"{_TRUTH}::test_a_refused_account_reads_the_list"),
    ("until the next tick at most", _unbounded, f"{_TRUTH}::test_a_tick_is_no_longer_held_up_by_what_a_bank_demands"),
    ("failed accounts are retried", _no_retry, f"{_TRUTH}::test_one_account_of_three_that_fails_once_is_retried_alone"),
    ("they alone", _all_again, f"{_TRUTH}::test_one_account_of_three_that_fails_once_is_retried_alone"),
    ("a result adds up", _last_run_only, f"{_TRUTH}::test_one_account_of_three_that_fails_once_is_retried_alone"),
    ("no retry that the budget forbids", lambda: patch.object(concluding, "if_failed", _retry_blindly), f"{_TRUTH}::test_a_planned_sync_that_fails_twice_fails"),
    ("a read cut off is a failure", _not_cut_off, f"{_TRUTH}::test_a_run_that_a_crash_cuts_off_again_and_again_is_not_called_done"),
    ("a wish marks no connection", _marks_for_wishes, f"{_TRUTH}::test_what_was_asked_for_wrongly_marks_no_connection"),
    ("the list when the person is there", _no_list_for_the_person, f"{_TRUTH}::test_the_list_of_accounts_is_read_once_a_day"),
    ("what was deferred comes back", lambda: patch.object(handlers, "_follow_ups", lambda *facts: []), f"{_DEFERRED}::test_each_deferred_account_comes_back_in_its_time"),
    ("once", _asks_for_ever, f"{_DEFERRED}::test_a_bank_that_refuses_again_is_left_to_the_schedule"),
    ("who is refused without the person is left alone", _refused_is_forgotten, f"{_ACCESS}::test_unattended_refused"),
    ("a list refused without the person is left alone for a day", _refused_list_is_forgotten, f"{_LESS}::test_a_list_of_accounts_that_only_a_person_may_read_is_asked_for_once_a_day"),
    ("`next_sync_at` says when", _never_says_when, f"{_TRUTH}::test_after_three_failures_it_is_read_once_a_day"),
    ("a retry waits for its place", lambda: patch.object(retrying, "RETRY_PATIENCE", timedelta(0)), f"{_TRUTH}::test_the_retry_waits_for_yesterdays_read_to_leave_the_budget"),
    ("no finished account is read after a crash", _all_again, f"{_TRUTH}::test_what_was_finished_before_a_crash_is_not_read_again"),
    ("nor after a SIGKILL", _forgetful_workers, "tests/acceptance/test_killed_between_accounts.py"),
    ("a failed run says what it has imported", _leaves_nothing, f"{_TRUTH}::test_an_account_that_keeps_failing_fails_the_job_and_marks_nothing"),
    ("what no retry can help isn't retried", _all_retryable, f"{_TRUTH}::test_an_account_that_is_gone_for_good_makes_the_job_partial"),
    ("a failed account is no success", _all_is_well(AccountOutcome.FAILED), f"{_TRUTH}::test_an_account_that_is_gone_for_good_makes_the_job_partial"),
    ("a deferred account is no success", _all_is_well(AccountOutcome.DEFERRED), f"{_ACCESS}::test_a_quota_defers"),
    ("the last word says what was left", _only_good_words, f"{_TRUTH}::test_the_last_word_says_what_was_left"),
    ("the person lifts attended-only", _never_lifted, f"{_TRUTH}::test_a_person_lifts_what_the_bank_refused_without_them"),
]  # fmt: skip
