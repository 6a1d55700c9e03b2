"""What an error or an alert means to who operates: what happened, what to do, and whose turn it is."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Owner(StrEnum):
    """Who mends it."""

    YOU = "you"
    CUSTOMER = "customer"
    ITSELF = "itself"


@dataclass(frozen=True, slots=True)
class Explanation:
    """An error or an alert in plain words, in English; the catalogues have the other languages."""

    what: str
    do: str
    owner: Owner = Owner.YOU


_RENEW = "Nothing for you: only the customer can renew the consent; they were sent an event. A retry can’t help."

#: Of each code that a job can fail with.
ERRORS: Final = {
    "transient": Explanation(
        "The bank did not answer",
        "Retry when the bank answers again; nothing is lost, the next tick reads the same days.",
    ),
    "rate-limited": Explanation(
        "The bank refused for now: too many requests",
        "Wait: the next tick reads it. Retry earlier only if it is urgent.",
    ),
    "start-over": Explanation(
        "The bank’s list of changes was void", "Retry: the next run reads the whole window again."
    ),
    "store-unavailable": Explanation(
        "The database did not answer", "Check the database and the workers’ way to it, then retry."
    ),
    "unavailable": Explanation("Redis or the database did not answer", "Check both, then retry."),
    "timeout": Explanation(
        "The run took longer than allowed",
        "Retry; if it comes again, raise BANK_SYNC_JOB_TIMEOUT_MS or ask for fewer days at a time.",
    ),
    "stalled": Explanation(
        "Its worker died again and again", "Read the workers’ log (memory, a blocked loop) before you retry."
    ),
    "unexpected": Explanation(
        "Something nobody thought of went wrong",
        "Find the job’s id in the workers’ log: the error stands there with its trace. Then retry.",
    ),
    "credential-error": Explanation(
        "The bank refuses our own key, certificate or address",
        "Check its entry in BANK_SYNC_BANKS and the certificate’s last day, then retry; no customer can mend it.",
    ),
    "malformed-data": Explanation(
        "What the bank sent can’t be read", "Report it to the bank with the job’s id; what was readable is stored."
    ),
    "bank-rejected": Explanation(
        "The bank understood and said no", "Read the reason below; retry once it is mended, or ask the bank."
    ),
    "unsupported": Explanation("The bank can’t do what was asked", "Ask for less: see what the job asked for."),
    "period-rejected": Explanation(
        "The bank does not serve days so far back", "Ask again with a later first day; the stored rows are untouched."
    ),
    "permanent": Explanation("It failed for good", "Read the reason below; a retry can’t help by itself."),
    "retryable": Explanation("It failed, and again when it was retried", "Retry once its reason is gone."),
    "reauth-required": Explanation("The customer has to authorise the access again", _RENEW, Owner.CUSTOMER),
    "consent-expired": Explanation("The consent has ended", _RENEW, Owner.CUSTOMER),
    "account-unavailable": Explanation(
        "The bank no longer gives access to an account",
        "Nothing for you: the account was closed, or the customer took it out of the consent.",
        Owner.CUSTOMER,
    ),
    "unattended-refused": Explanation(
        "The bank answers only while the customer is present",
        "Nothing for you: it is read when the customer presses the button.",
        Owner.CUSTOMER,
    ),
    "connection-disconnected": Explanation(
        "The connection was cut", "Nothing: whoever cut it wanted that. Discard the job.", Owner.CUSTOMER
    ),
    "unknown-connection": Explanation(
        "The connection doesn’t exist any more", "Nothing: it was deleted. Discard the job.", Owner.CUSTOMER
    ),
}
_OTHER: Final = Explanation("It failed", "Read the reason below and the log of the workers; then retry or discard it.")

#: Of each alert.
ALERTS: Final = {
    "failed": Explanation(
        "More jobs have failed than usual", "See what they failed of; one cause often explains most."
    ),
    "waiting": Explanation("Many jobs wait", "Start more workers, or find out what holds them up: see what runs."),
    "stalled": Explanation(
        "Nothing starts although jobs could", "See whether the workers live; restart one that hangs."
    ),
    "no-workers": Explanation("Jobs wait and no worker is alive", "Start a worker: arq bankimport.WorkerSettings."),
    "eviction": Explanation("Redis may throw queued jobs away", "Set maxmemory-policy to noeviction."),
    "redis-refuses-writes": Explanation(
        "Redis takes no writes",
        "Give it memory or disk, or lead us to the primary; until then nothing can be asked for.",
    ),
    "redis-unavailable": Explanation(
        "Redis does not answer", "Start Redis, or mend the way to it. Jobs that were accepted are kept in it."
    ),
    "store-unavailable": Explanation(
        "Workers can’t reach the database", "Check the database and its connections; jobs wait and are retried."
    ),
    "unknown-function": Explanation(
        "Jobs wait for a function that no worker knows",
        "Start a worker of the version that has it, or discard the jobs.",
    ),
    "consumer-behind": Explanation(
        "A service reads its events too slowly", "Look at that service: events are kept for a limited time."
    ),
}


_UNKNOWN: Final = Explanation(
    "Something needs you", "Read what it says; the documentation of the queue has each alarm."
)


def error(code: str | None) -> Explanation:
    """Return what an error code means; a host's own code means that it failed."""
    return ERRORS.get(code or "", _OTHER)


def alert(code: str) -> Explanation:
    """Return what an alert means."""
    return ALERTS.get(code.partition(":")[0], _UNKNOWN)
