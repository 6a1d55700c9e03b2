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

from bankimport.access import attendance, budget
from bankimport.jobs.access import Access
from bankimport.models import PsuContext, Scope
from bankimport.ports import Asks
from bankimport.providers import http
from bankimport.testing.fakes import MemoryLedger

Mutation = tuple[str, Callable[[], AbstractContextManager[Any]], str]

_BUDGET = "tests/unit/access/test_budget.py"
_TRUTH = "tests/simulation/test_truth.py"
_ACCESS = "tests/simulation/test_access_and_consents.py"
_SHARED = "tests/simulation/test_shared_accounts.py"
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


_all_ours = _due(
    lambda history, facts: replace(
        history, reads=tuple(replace(one, connection_id=facts["connection_id"]) for one in history.reads)
    )
)


def _given_up() -> AbstractContextManager[Any]:
    true = budget.due

    def due(history: Any, **facts: Any) -> Any:
        return facts["now"] + timedelta(hours=1) if history.failures >= budget.CIRCUIT else true(history, **facts)

    return patch.object(budget, "due", due)


def _uncounted(scope: Scope) -> Callable[[], AbstractContextManager[Any]]:
    """Let requests of a scope go past the ledger."""
    true = Access._reserve

    async def reserve(self: Access, key: Any, **more: Any) -> None:
        if key.scope is not scope:
            await true(self, key, **more)

    return lambda: patch.object(Access, "_reserve", reserve)


def _no_recall() -> AbstractContextManager[Any]:
    return patch.object(budget, "forgotten", lambda *facts: None)


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


def _always_four() -> AbstractContextManager[Any]:
    return patch.object(Access, "_limit", lambda self, scope: 4)


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
    ("an emptied ledger asks the store", _no_recall, f"{_TRUTH}::test_an_emptied_redis_allows_no_more_reads"),
    ("a quota is for hours", _constant("PATIENCE", timedelta(days=9)), f"{_ACCESS}::test_a_quota_defers"),
    ("heeded for a day at most", _constant("LONGEST", timedelta(days=7)), "tests/simulation/test_asking_less.py::test_a_quota_without_end_ends_after_a_day"),
    ("transactions are counted", _uncounted(Scope.TRANSACTIONS), f"{_ACCESS}::test_never_more_than_four_unattended_reads"),
    ("the consent is counted", _uncounted(Scope.CONSENT), f"{_TRUTH}::test_a_consent_that_the_bank_counts_is_asked_about_within_its_budget"),
    ("further pages are counted", _further_pages_are_free, f"{_TRUTH}::test_where_each_page_counts_each_is_counted"),
    ("what the bank doesn't count has no limit", _all_scopes_count, f"{_TRUTH}::test_a_scope_that_the_bank_does_not_count_has_no_limit"),
    ("a contract without a limit is read at every tick", _always_four, f"{_ACCESS}::test_a_contract_without_a_limit"),
    ("every attempt counts", _failures_are_free, f"{_TRUTH}::test_the_list_of_accounts_has_its_own_four"),
    ("nothing is sent twice", _sent_again, "tests/contracts/test_on_the_wire.py::test_a_request_whose_connection_is_cut_is_sent_once"),
    ("a request may have the fourth when the day's planned reads are done", _slot(lambda asks, **_: {"limit": 4 if asks is Asks.PLANNED else 3}), f"{_BUDGET}::test_the_fourth_is_kept_for_the_schedule"),
    ("another connection's read puts off nothing", _all_ours, f"{_SHARED}::test_both_are_read_and_never_more_than_four_times_a_day"),
    ("days read by hand put off nothing", _as_read(asks=Asks.WHOLE), f"{_SHARED}::test_days_imported_by_hand_put_off_no_planned_read"),
    ("the person isn't counted", _the_person_counts, f"{_ACCESS}::test_the_fifth_unattended_read_is_deferred"),
    ("forceFullSync lifts nothing", _ungated_full_syncs, f"{_ACCESS}::test_the_fifth_unattended_read_is_deferred"),
    ("a private address is no person", lambda: patch.object(attendance, "is_public", lambda address: True), f"{_ACCESS}::test_attended_passes_a_public_address_only"),
    ("nobody waits for a quarter of an hour", lambda: patch.object(attendance, "PRESENT", timedelta(days=1)), f"{_ACCESS}::test_a_request_that_waited_too_long_is_unattended"),
    ("headers that say that nothing is left are believed", _learns_nothing, f"{_ACCESS}::test_what_a_bank_says_is_left_is_believed"),
    ("a 429 of hours closes", _closes_nothing, f"{_ACCESS}::test_a_quota_defers"),
    ("a 429 of seconds is waited for", _constant("PATIENCE", timedelta(0)), f"{_ACCESS}::test_a_brake_is_waited_for"),
    ("an emptied ledger asks when the bank was asked in vain, too", _only_syncs_are_recalled, f"{_TRUTH}::test_an_emptied_redis_allows_no_more_reads"),
    ("whoever comes first after that", _the_person_hides_what_was_read, f"{_TRUTH}::test_an_emptied_redis_is_remembered_though_the_person_comes_first"),
    ("and no longer than the day", _recalled_for_twice_as_long, f"{_LOG}[an emptied Redis]"),
    ("by the bank's log: an emptied ledger", _no_recall, f"{_LOG}[an emptied Redis]"),
    ("by the bank's log: who failed is tried again", _given_up, f"{_LOG}[outages]"),
    ("by the bank's log: its limits are heeded for a day", _constant("LONGEST", timedelta(days=3)), f"{_LOG}[the bank's own limits]"),
]  # fmt: skip
