"""Every error we raise, as a tree: a branch says what to do about it, a leaf is a state of the world.

    BankImportError
    ├── InvalidSettings          start-up stops; names the variable
    ├── MissingExtra             names the extra to install
    ├── SchemaOutdated           names the command to run
    ├── StartFailed              Redis or the database is away at start-up
    ├── NotStarted               used outside of `async with`
    ├── NotOffered               the host's store or a provider can't do this
    ├── AuthorisationRefused     a callback that is nobody's, or another user's
    ├── ConnectingFailed         the bank, or we, could not begin or end an authorisation
    ├── InvalidRequest           a field of a request is wrong
    ├── NotFound                 an unknown job, connection or organisation, or another's
    ├── Conflict                 the state doesn't allow it
    │   ├── IllegalTransition
    │   └── ConnectionUnusable   disconnected, or its consent is gone
    ├── TooManyPending           carries retry_after
    ├── Unavailable              Redis or the store is away; carries retry_after
    └── JobError                 what a run can end with
        ├── Retryable            try again: Transient, RateLimited, StartOver, StoreUnavailable, JobTimeout
        ├── Permanent            don't: ReauthRequired, CredentialError, AccountUnavailable, UnattendedRefused,
        │                        PeriodRejected, MalformedData, Unsupported, BankRejected, UnknownConnection,
        │                        ConnectionDisconnected, NotGranted
        └── RunInterrupted       not the job's fault: LeaseLost, JobCancelled

A message never holds a token, an IBAN, a name or a URL with a query: it is written here from facts, never copied
from what a bank or a driver said.
"""

from datetime import date, datetime, timedelta
from typing import ClassVar

from bankimport.models import AuthorisationOutcome, Scope


class BankImportError(Exception):
    """The root; `code` is stable and machine-readable."""

    code: ClassVar[str] = "error"


class InvalidSettings(BankImportError):
    """A setting is wrong; start-up stops."""

    code = "invalid-settings"


class MissingExtra(BankImportError):
    """A part of the library needs an optional dependency that is not installed."""

    code = "missing-extra"

    def __init__(self, extra: str, needed_by: str) -> None:
        super().__init__(f"{needed_by} needs the extra {extra!r}: pip install 'bankimport[{extra}]'")
        self.extra = extra


class SchemaOutdated(BankImportError):
    """The database's schema is not the one of this version."""

    code = "schema-outdated"

    def __init__(self, found: str | None, expected: str) -> None:
        super().__init__(
            f"the database schema is at {found or 'nothing'}, this version needs {expected}: "
            "run `bankimport db upgrade`"
        )


class StartFailed(BankImportError):
    """What is needed to serve is away at start-up; the message says how to mend it."""

    code = "start-failed"


class NotStarted(BankImportError):
    """A `BankImport` was used before it was started, or after it was closed."""

    code = "not-started"

    def __init__(self, *, closed: bool = False) -> None:
        when = "after it was closed" if closed else "before it was started"
        super().__init__(
            f"this BankImport was used {when}: use it inside `async with bank_import:`, "
            "or between `await bank_import.start()` and `await bank_import.aclose()`"
        )


class NotOffered(BankImportError):
    """The host's own store, or a provider, doesn't implement what was asked."""

    code = "not-offered"

    def __init__(self, who: str, what: str) -> None:
        super().__init__(f"{who} can't {what}: it doesn't implement that part of its port")


class AuthorisationRefused(BankImportError):
    """A callback can't be acted on: its state is unknown, or somebody else began the authorisation."""

    code = "authorisation-refused"

    def __init__(self, reason: str) -> None:
        super().__init__("this answer of a bank belongs to no authorisation that you have begun")
        self.reason = reason


class ConnectingFailed(BankImportError):
    """An authorisation could not be begun, or an access not revoked: `is_ours` tells our fault from the bank's."""

    code = "connecting-failed"

    def __init__(self, *, is_ours: bool) -> None:
        who = "the bank refuses our key, our address or what we ask for" if is_ours else "the bank failed"
        super().__init__(who)
        self.is_ours = is_ours


class InvalidRequest(BankImportError):
    """A field of a request is wrong; `pointer` is a JSON pointer to it."""

    code = "invalid-request"

    def __init__(self, pointer: str, message: str) -> None:
        super().__init__(f"{pointer}: {message}")
        self.pointer = pointer
        self.message = message


class NotFound(BankImportError):
    """There is no such thing, or it belongs to another organisation; which of the two is not said."""

    code = "not-found"

    def __init__(self, what: str) -> None:
        super().__init__(f"no such {what}")


class Conflict(BankImportError):
    """The state of what was asked about doesn't allow it."""

    code = "conflict"


class IllegalTransition(Conflict):
    """The job's state doesn't allow the operation."""

    code = "illegal-transition"

    def __init__(self, job_id: str, operation: str, state: str) -> None:
        super().__init__(f"job {job_id} is {state}: it cannot {operation}")
        self.state = state


class ConnectionUnusable(Conflict):
    """The connection is disconnected, or its consent has ended."""

    code = "connection-unusable"

    def __init__(self, connection_id: str, why: str) -> None:
        super().__init__(f"connection {connection_id} can't be synced: {why}")


class TooManyPending(BankImportError):
    """The organisation has too many unfinished jobs."""

    code = "too-many-pending"

    def __init__(self, limit: int, retry_after: timedelta) -> None:
        super().__init__(f"the organisation has {limit} unfinished jobs, which is the limit")
        self.retry_after = retry_after


class Unavailable(BankImportError):
    """Redis or the store can't be reached now; `what` is away, `reason` is why, where that is known."""

    code = "unavailable"

    def __init__(self, what: str, retry_after: timedelta = timedelta(seconds=5), *, reason: str | None = None) -> None:
        super().__init__(f"{what} is not available" + (f": {reason}" if reason else ""))
        self.what = what
        self.reason = reason
        self.retry_after = retry_after


class JobError(BankImportError):
    """What a run of a job can end with. `scope` is what was being read, where that is known."""

    code = "job-error"
    #: whether who operates the queue can mend it; else it is the person's turn, or was asked for wrongly
    operator_mends: ClassVar[bool] = True

    def __init__(self, message: str, *, scope: Scope | None = None) -> None:
        super().__init__(message)
        self.scope = scope


class Retryable(JobError):
    """Trying again may help."""

    code = "retryable"
    retry_after: timedelta | None = None


class Transient(Retryable):
    """The bank or the way to it failed for now: network, time-out, 502, 503, 504."""

    code = "transient"

    def __init__(self, message: str, *, scope: Scope | None = None, retry_after: timedelta | None = None) -> None:
        super().__init__(message, scope=scope)
        self.retry_after = retry_after


class RateLimited(Retryable):
    """The bank refuses for now (429). `retry_at` is when it said it would answer again, if it did.

    Seconds are waited for; hours are a quota (RTS (EU) 2018/389 Art. 36(5)(b)) and defer the read.
    """

    code = "rate-limited"

    def __init__(
        self, *, scope: Scope | None = None, retry_at: datetime | None = None, retry_after: timedelta | None = None
    ) -> None:
        super().__init__("the bank limits the rate of access", scope=scope)
        self.retry_at = retry_at
        self.retry_after = retry_after


class StartOver(Retryable):
    """What was read of a delta is void. `cursor` is where it begins again: the one before, since the changes have
    changed while they were read, or None, since the bank no longer knows that one."""

    code = "start-over"

    def __init__(self, *, cursor: str | None) -> None:
        super().__init__("the bank's list of changes begins anew", scope=Scope.TRANSACTIONS)
        self.cursor = cursor


class StoreUnavailable(Retryable):
    """The store's database is away, locked, or could not serialize the transaction."""

    code = "store-unavailable"

    def __init__(self, message: str = "the store is not available") -> None:
        super().__init__(message)


class JobTimeout(Retryable):
    """The run took longer than `BANK_SYNC_JOB_TIMEOUT_MS`."""

    code = "timeout"

    def __init__(self, limit: timedelta) -> None:
        super().__init__(f"the run took longer than {limit.total_seconds():g} s")


class Permanent(JobError):
    """Trying again can't help."""

    code = "permanent"


class ReauthRequired(Permanent):
    """The person has to authorise again: the consent is `expired`, `revoked`, or the bank wants an `action`."""

    code = "reauth-required"
    operator_mends = False

    def __init__(self, reason: str, *, scope: Scope | None = None, suspicious: bool = False) -> None:
        super().__init__(f"the person has to authorise the access again ({reason})", scope=scope)
        self.reason = reason
        #: the bank's answer is ambiguous (a bare 401): confirm with one `consent()` before a connection is marked
        self.suspicious = suspicious


class ConsentExpired(ReauthRequired):
    """The consent's last day is over."""

    code = "consent-expired"

    def __init__(self, connection_id: str, valid_until: date | None = None) -> None:
        super().__init__("expired")
        self.args = (f"the consent of connection {connection_id!r} ended on {valid_until or 'an unknown day'}",)


class CredentialError(Permanent):
    """Our own key, certificate, address or contract is refused, `what` where that is told: alarm the operator, mark no
    user."""

    code = "credential-error"

    def __init__(
        self, what: str = "the bank refuses our own key, certificate or address", *, scope: Scope | None = None
    ) -> None:
        super().__init__(what, scope=scope)


class AccountUnavailable(Permanent):
    """One account can't be read any more; the others can."""

    code = "account-unavailable"
    operator_mends = False

    def __init__(self, *, scope: Scope | None = None) -> None:
        super().__init__("the bank no longer gives access to this account", scope=scope)


class UnattendedRefused(Permanent):
    """The bank answers only while the person is present."""

    code = "unattended-refused"
    operator_mends = False

    def __init__(self, *, scope: Scope | None = None) -> None:
        super().__init__("the bank answers only while the person is present", scope=scope)


class PeriodRejected(Permanent):
    """The bank doesn't serve days so far back; `suggested_from` is the first it does, if it said so."""

    code = "period-rejected"
    operator_mends = False

    def __init__(self, *, suggested_from: date | None = None) -> None:
        super().__init__("the bank doesn't serve the period asked for", scope=Scope.TRANSACTIONS)
        self.suggested_from = suggested_from


class MalformedData(Permanent):
    """What the bank sent can't be read, or is larger, deeper or longer than we accept."""

    code = "malformed-data"


class Unsupported(Permanent):
    """The bank or its provider can't do what was asked."""

    code = "unsupported"
    operator_mends = False


class BankRejected(Permanent):
    """Any other 4xx: the bank understood and said no."""

    code = "bank-rejected"

    def __init__(self, status: int, *, scope: Scope | None = None) -> None:
        super().__init__(f"the bank answered {status}", scope=scope)
        self.status = status


class UnknownConnection(Permanent):
    """The connection of the job doesn't exist (any more)."""

    code = "unknown-connection"
    operator_mends = False

    def __init__(self, connection_id: str) -> None:
        super().__init__(f"there is no connection {connection_id!r}")


class ConnectionDisconnected(Permanent):
    """The user has cut the connection."""

    code = "connection-disconnected"
    operator_mends = False

    def __init__(self, connection_id: str) -> None:
        super().__init__(f"connection {connection_id!r} is disconnected")


class NotGranted(Permanent):
    """An authorisation ended without a consent: the person's doing, the bank's, or ours (`outcome`)."""

    code = "not-granted"
    operator_mends = False

    def __init__(self, outcome: AuthorisationOutcome, *, scope: Scope | None = Scope.CONSENT) -> None:
        super().__init__(f"the authorisation ended without a consent ({outcome})", scope=scope)
        self.outcome = outcome


class RunInterrupted(JobError):
    """The run ended for a reason that is not the job's: no attempt is counted by it."""

    code = "interrupted"


class LeaseLost(RunInterrupted):
    """This worker no longer owns the job (a blocked loop, a frozen host): it must write nothing."""

    code = "lease-lost"

    def __init__(self, of: str) -> None:
        super().__init__(f"the lease of {of} was lost to a later run")


class JobCancelled(RunInterrupted):
    """Somebody cancelled the job."""

    code = "cancelled"

    def __init__(self, job_id: str) -> None:
        super().__init__(f"job {job_id} was cancelled")


def codes_beyond_operators() -> list[str]:
    """Return the codes of what a job can fail with and no operator can mend."""
    kinds, codes = [JobError], set()
    while kinds:
        kind = kinds.pop()
        kinds += kind.__subclasses__()
        if not kind.operator_mends:
            codes.add(kind.code)
    return sorted(codes)
