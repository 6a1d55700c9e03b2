"""A job over its runs: what earlier ones have finished isn't read again, and what they brought adds up (design §5)."""

from collections.abc import Iterable
from dataclasses import replace

from pydantic import ValidationError

from bankimport.access.budget import RETRY_PATIENCE
from bankimport.errors import AccountUnavailable, Permanent, Retryable, Transient
from bankimport.jobs.access import Access, longest_wait
from bankimport.jobs.results import AccountNote, AccountOutcome, AccountResult, SyncResult, added
from bankimport.jobs.sync_account import AccountSync
from bankimport.models import BankAccount, Scope
from bankimport.ports import JobNotes
from bankimport.progress import IfFailed, JobRun
from bankimport.retry import is_retryable

#: outcomes after which a later run of the job tries again
_OPEN = (AccountOutcome.DEFERRED, AccountOutcome.NOT_DUE)


class Earlier:
    """What the runs of one job have done so far, account by account."""

    def __init__(self, notes: JobNotes | None, run: JobRun, known: dict[str, AccountNote]) -> None:
        self._notes, self._run, self._known = notes, run, known

    @classmethod
    async def load(cls, notes: JobNotes | None, run: JobRun) -> "Earlier":
        """Return what is noted; a note that nobody can read is none."""
        known = {}
        for account_id, text in (await notes.load(run.job_id) if notes is not None else {}).items():
            try:
                known[account_id] = AccountNote.model_validate_json(text)
            except ValidationError:
                continue
        return cls(notes, run, known)

    def finished(self, account: BankAccount) -> AccountSync | None:
        """Return how an account ended that need not be read again."""
        note = self._known.get(account.id)
        if note is None or not note.is_finished:
            return None
        return AccountSync(note.result, _error_of(note.result))

    def still(self, account: BankAccount, idle: AccountSync | None) -> AccountSync | None:
        """Return how an account ends that isn't asked for in this run: what failed before has failed."""
        note = self._known.get(account.id)
        if idle is None or note is None or note.result.outcome is not AccountOutcome.FAILED:
            return idle
        return replace(idle, result=note.result, error=Transient(note.result.error or "failed"), deferred=())

    def results(self) -> tuple[AccountResult, ...]:
        """Return what the runs have brought, of each account."""
        return tuple(note.result for note in self._known.values())

    async def add(self, account: BankAccount, sync: AccountSync) -> AccountSync:
        """Note how an account ended in this run; return it with what earlier runs brought."""
        before = self._known.get(account.id)
        result = sync.result if before is None else added(before.result, sync.result)
        failed = sync.error is not None and is_retryable(sync.error)
        note = AccountNote(result=result, is_finished=not failed and result.outcome not in _OPEN)
        self._known[account.id] = note
        if self._notes is not None:
            self._run.ensure_owned()
            await self._notes.put(self._run.job_id, account.id, note.model_dump_json(exclude_none=True))
        return replace(sync, result=result)


def _error_of(result: AccountResult) -> Permanent | None:
    if result.outcome is not AccountOutcome.FAILED:
        return None
    return AccountUnavailable() if result.error_code == AccountUnavailable.code else Permanent(result.error or "failed")


async def if_failed(access: Access, result: SyncResult, keys: Iterable[tuple[str, Scope]]) -> IfFailed:
    """Return what a run leaves that fails for now: a retry begins when the budget allows the first of `keys` to be
    asked for again, and if that is too far off there is none."""
    now = access.clock()
    waits = [((await access.may(stable_key, scope)).at or now) - now for stable_key, scope in keys]
    wait = min(waits, default=None)
    left = result.model_dump(mode="json", exclude_none=True)
    return IfFailed(left, wait if wait is not None and wait <= RETRY_PATIENCE else None)


def bounded(error: Exception, access: Access) -> Exception:
    """Return the error with a wait that is no longer than the bank is heeded."""
    if isinstance(error, Retryable) and error.retry_after is not None:
        error.retry_after = min(error.retry_after, longest_wait(access.asks))
    return error
