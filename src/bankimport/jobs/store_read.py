"""Reconcile what was read with what is stored, and write it in one step, again if somebody was quicker."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import date
from typing import Final

from bankimport.errors import StoreUnavailable
from bankimport.imports import Decision, reconcile, window_to_load
from bankimport.jobs.long_read import LongRead
from bankimport.jobs.read_account import AccountRead
from bankimport.models import AccountState, BankAccount, StoredTransaction, Transaction, Window
from bankimport.ports import BankStore
from bankimport.progress import JobRun

#: How often a lost compare-and-set is tried again; every loss means that somebody else's write got through.
ATTEMPTS: Final = 5
#: A window that holds no row: what is loaded with it is found by its ids alone.
NO_DAYS: Final = Window(date.max, date.max)
#: From so many entries on, deciding is left to a thread, so that leases are renewed meanwhile.
_MANY: Final = 2000


def new_id() -> str:
    """Return an id for a new row. Later ones sort after earlier ones, so that indexes grow at their end alone: a
    million random ids are a million pages to fetch and write back."""
    return f"{time.time_ns():016x}{os.urandom(8).hex()}"


Rest = Callable[[date], Awaitable[None]]


async def store_read(
    read: AccountRead, account: BankAccount, state: AccountState, run: JobRun, store: BankStore, ask_rest: Rest
) -> Decision:
    """Write everything the read changes in one transaction: rows, what was learned and the cursor; return what it was.

    `state` is the account's from before the read; it is asked for again only if somebody has written since. `ask_rest`
    asks the bank for what it has left out of its answer.

    Raises:
        LeaseLost: a later run has written already.
        StoreUnavailable: others kept writing; a retry decides anew.
    """
    for _ in range(ATTEMPTS):
        decision = await _decide(read, account, state, store)
        cut = None if decision is None else decision.cut_before
        if cut is not None and cut < date.max and not read.was_cut:
            read.was_cut = True
            await ask_rest(cut)
            decision = await _decide(read, account, state, store)
        if decision is None:
            state = await store.account_state(account)
            continue
        memory = read.taught(decision.memory, decision.cut_before, decision.unsure)
        cursor = read.cursor if read.is_delta and read.is_complete else state.cursor
        if not decision.change_set and memory == state.memory and cursor == state.cursor:
            return decision
        run.ensure_owned()
        if await store.apply(account, state.version, decision.change_set, memory, cursor, run.fence):
            return decision
        state = await store.account_state(account)
    raise StoreUnavailable("the account was written by others again and again")


async def _decide(read: AccountRead, account: BankAccount, state: AccountState, store: BankStore) -> Decision | None:
    """Return what the read changes and teaches; None if somebody has written since `state`."""
    if read.entries.is_long and not read.is_delta:
        return await LongRead(read.reading, read.entries, account, store).decide(state, new_id)
    entries = list(read.entries)
    stored, version = await _load(read, entries, account, state, store)
    if version != state.version:
        return None

    def decide() -> Decision:
        return reconcile(read.reading, entries, stored, new_id=new_id, memory=state.memory, removed=read.removed)

    if len(entries) + len(stored) < _MANY:
        return decide()
    return await asyncio.to_thread(decide)


async def _load(
    read: AccountRead, entries: Sequence[Transaction], account: BankAccount, state: AccountState, store: BankStore
) -> tuple[Sequence[StoredTransaction], int]:
    """Load the rows that take part: first by their days, then those that only an id names, which are few."""
    days = [entry.day for entry in entries]
    window = window_to_load(read.window, min(days, default=None), max(days, default=None))
    stored, version = await store.load_rows(account, window, ())
    if state.version == 0:  # nothing was ever written: there is nothing to find by its id
        return stored, version
    known = {key for row in stored for key in row.names}
    named_now = (bank_id for entry in entries for bank_id in entry.lookups)
    unknown = {bank_id.key: bank_id for bank_id in named_now if bank_id.key not in known}
    unknown |= {bank_id.key: bank_id for bank_id in read.removed}
    if not unknown:
        return stored, version
    named, later = await store.load_rows(account, NO_DAYS, list(unknown.values()))
    loaded = {row.id for row in stored}
    return [*stored, *(row for row in named if row.id not in loaded)], version if later == version else -1
