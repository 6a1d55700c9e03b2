"""The rules of docs/explanation/budget.md, each with a way to switch it off and the test that has to turn red.

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

from bankimport.access import attendance, budget
from bankimport.errors import UnattendedRefused
from bankimport.jobs import concluding, listing, results, retrying
from bankimport.jobs.access import Access, May
from bankimport.jobs.results import AccountOutcome
from bankimport.models import PsuContext, Scope
from bankimport.ports import Asks
from bankimport.progress import IfFailed
from bankimport.providers import http
from bankimport.testing.fakes import MemoryLedger
from bankimport.testing.memory_store import MemoryStore
from bankimport.worker import handlers

Mutation = tuple[str, Callable[[], AbstractContextManager[Any]], str]

_BUDGET = "tests/unit/access/test_budget.py"
_TRUTH = "tests/simulation/test_truth.py"
_ACCESS = "tests/simulation/test_access_and_consents.py"
_LESS = "tests/simulation/test_asking_less.py"
_SHARED = "tests/simulation/test_shared_accounts.py"
_DEFERRED = "tests/simulation/test_deferred.py"
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


def _as_read(**changes: Any) -> Callable[[], AbstractContextManager[Any]]:
    """Let the schedule take what was asked for, and by whom, for something else."""
    return _due(lambda history, facts: replace(history, reads=tuple(replace(one, **changes) for one in history.reads)))


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


@contextmanager
def _in_workers(lines: str) -> Iterator[None]:
    """Let the processes that a test starts begin with these lines."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "sitecustomize.py").write_text(lines)
        with patch.dict(os.environ, PYTHONPATH=folder):
            yield


def _forgetful_workers() -> AbstractContextManager[Any]:
    return _in_workers("from bankimport.jobs.retrying import Earlier; Earlier.finished = lambda self, account: None")


def _further_pages_are_free() -> AbstractContextManager[Any]:
    true = Access._reserve

    async def reserve(self: Access, key: Any, *, begins: bool = True) -> None:
        if begins:
            await true(self, key)

    return patch.object(Access, "_reserve", reserve)


def _failures_are_free() -> AbstractContextManager[Any]:
    async def ask(self: Access, key: Any, request: Callable[[], Any]) -> Any:
        answer = await request()
        await self._reserve(key)
        return answer

    return patch.object(Access, "_ask", ask)


def _all_scopes_count() -> AbstractContextManager[Any]:
    return patch.object(Access, "_counts", lambda self, scope: True)


def _sent_again() -> AbstractContextManager[Any]:
    async def as_it_likes(request: Any, handler: Any) -> Any:
        return await handler(request)

    return patch.object(http, "_once", as_it_likes)


def _no_list_for_the_person() -> AbstractContextManager[Any]:
    true = listing.Listing.__init__

    def init(self: listing.Listing, ground: Any, stored: Any, at: Any) -> None:
        true(self, replace(ground, access=replace(ground.access, psu=None)), stored, at)

    return patch.object(listing.Listing, "__init__", init)


def _ungated_full_syncs() -> AbstractContextManager[Any]:
    true = _SYNC._ground

    async def ground(command: Any, *facts: Any) -> Any:
        made = await true(command, *facts)
        there = PsuContext("8.8.8.8") if command.force_full_sync else made.access.psu
        return replace(made, access=replace(made.access, psu=there))

    return patch.object(_SYNC, "_ground", ground)


def _the_person_counts() -> AbstractContextManager[Any]:
    true = Access._reserve

    async def reserve(self: Access, key: Any, **more: Any) -> None:
        await true(replace(self, psu=None), key, **more)

    return patch.object(Access, "_reserve", reserve)


def _learns_nothing() -> AbstractContextManager[Any]:
    async def learn(self: Access, key: Any, quota: Any) -> None:
        return None

    return patch.object(Access, "_learn", learn)


def _closes_nothing() -> AbstractContextManager[Any]:
    async def close(self: MemoryLedger, key: Any, until: Any) -> None:
        return None

    return patch.object(MemoryLedger, "close", close)


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
            self.ledger._closed = before  # type: ignore[attr-defined]
            raise

    return patch.object(Access, "accounts", accounts)


def _only_syncs_are_recalled() -> AbstractContextManager[Any]:
    true = budget.forgotten
    return patch.object(budget, "forgotten", lambda synced, asked, now: true(synced, None, now))


def _recalled_for_twice_as_long() -> AbstractContextManager[Any]:
    true = budget.forgotten

    def longer(*facts: Any) -> Any:
        until = true(*facts)
        return until and until + budget.ROLLING

    return patch.object(budget, "forgotten", longer)


def _the_person_hides_what_was_read() -> AbstractContextManager[Any]:
    true = Access._recall

    async def recall(self: Access, stored: Any) -> None:
        if self.psu is None:
            await true(self, stored)

    return patch.object(Access, "_recall", recall)


def _never_says_when() -> AbstractContextManager[Any]:
    async def next_planned(self: Access, account: Any) -> None:
        return None

    return patch.object(Access, "next_planned", next_planned)


def _always_four() -> AbstractContextManager[Any]:
    return patch.object(Access, "_limit", lambda self, scope: 4)


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
    ("transactions are counted", _uncounted(Scope.TRANSACTIONS), f"{_ACCESS}::test_never_more_than_four_unattended_reads"),
    ("the consent is counted", _uncounted(Scope.CONSENT), f"{_TRUTH}::test_a_consent_that_the_bank_counts_is_asked_about_within_its_budget"),
    ("further pages are counted", _further_pages_are_free, f"{_TRUTH}::test_where_each_page_counts_each_is_counted"),
    ("what the bank doesn't count has no limit", _all_scopes_count, f"{_TRUTH}::test_a_scope_that_the_bank_does_not_count_has_no_limit"),
    ("a contract without a limit is read at every tick", _always_four, f"{_ACCESS}::test_a_contract_without_a_limit"),
    ("every attempt counts", _failures_are_free, f"{_TRUTH}::test_the_list_of_accounts_has_its_own_four"),
    ("nothing is sent twice", _sent_again, "tests/contracts/test_on_the_wire.py::test_a_request_whose_connection_is_cut_is_sent_once"),
    ("the list when the person is there", _no_list_for_the_person, f"{_TRUTH}::test_the_list_of_accounts_is_read_once_a_day"),
    ("a request may have the fourth when the day's planned reads are done", _slot(lambda asks, **_: {"limit": 4 if asks is Asks.PLANNED else 3}), f"{_BUDGET}::test_the_fourth_is_kept_for_the_schedule"),
    ("another connection's read puts off nothing", _as_read(connection_id="connection-1"), f"{_SHARED}::test_both_are_read_and_never_more_than_four_times_a_day"),
    ("days read by hand put off nothing", _as_read(asks=Asks.WHOLE), f"{_SHARED}::test_days_imported_by_hand_put_off_no_planned_read"),
    ("the person isn't counted", _the_person_counts, f"{_ACCESS}::test_the_fifth_unattended_read_is_deferred"),
    ("forceFullSync lifts nothing", _ungated_full_syncs, f"{_ACCESS}::test_the_fifth_unattended_read_is_deferred"),
    ("a private address is no person", lambda: patch.object(attendance, "is_public", lambda address: True), f"{_ACCESS}::test_attended_passes_a_public_address_only"),
    ("nobody waits for a quarter of an hour", lambda: patch.object(attendance, "PRESENT", timedelta(days=1)), f"{_ACCESS}::test_a_request_that_waited_too_long_is_unattended"),
    ("headers that say that nothing is left are believed", _learns_nothing, f"{_ACCESS}::test_what_a_bank_says_is_left_is_believed"),
    ("a 429 of hours closes", _closes_nothing, f"{_ACCESS}::test_a_quota_defers"),
    ("a 429 of seconds is waited for", _constant("PATIENCE", timedelta(0)), f"{_ACCESS}::test_a_brake_is_waited_for"),
    ("what was deferred comes back", lambda: patch.object(handlers, "_follow_ups", lambda *facts: []), f"{_DEFERRED}::test_each_deferred_account_comes_back_in_its_time"),
    ("once", lambda: patch.object(handlers, "DEFERRED", "another word"), f"{_DEFERRED}::test_a_bank_that_refuses_again_is_left_to_the_schedule"),
    ("who is refused without the person is left alone", _refused_is_forgotten, f"{_ACCESS}::test_unattended_refused"),
    ("a list refused without the person is left alone for a day", _refused_list_is_forgotten, f"{_LESS}::test_a_list_of_accounts_that_only_a_person_may_read_is_asked_for_once_a_day"),
    ("an emptied ledger asks when the bank was asked in vain, too", _only_syncs_are_recalled, f"{_TRUTH}::test_an_emptied_redis_allows_no_more_reads"),
    ("whoever comes first after that", _the_person_hides_what_was_read, f"{_TRUTH}::test_an_emptied_redis_is_remembered_though_the_person_comes_first"),
    ("and no longer than the day", _recalled_for_twice_as_long, f"{_LOG}[an emptied Redis]"),
    ("by the bank's log: an emptied ledger", _no_recall, f"{_LOG}[an emptied Redis]"),
    ("by the bank's log: well again, read within 30 hours", _constant("CIRCUIT_GAP", timedelta(hours=47)), f"{_LOG}[outages]"),
    ("by the bank's log: its limits are heeded for a day", _constant("LONGEST", timedelta(days=3)), f"{_LOG}[the bank's own limits]"),
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
