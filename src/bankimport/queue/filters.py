"""Which jobs are meant: a filter, and the index in which they are looked for."""

from dataclasses import dataclass

from bankimport.redis.keys import Keys
from bankimport.status import JobState

#: The order in which jobs of every state are listed: what moves first, what is over last.
STATES = (
    JobState.ACTIVE,
    JobState.WAITING,
    JobState.DELAYED,
    JobState.WAITING_CHILDREN,
    JobState.FAILED,
    JobState.CANCELLED,
    JobState.COMPLETED,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """What the jobs meant have in common; None: any."""

    org_id: str | None = None
    state: JobState | None = None
    type: str | None = None
    connection_id: str | None = None
    error_code: str | None = None
    #: the one that was being asked as a job failed; only failed jobs are found by it
    bank: str | None = None

    def fields(self) -> dict[str, str]:
        """Return what the record of a job that is meant has in its fields."""
        named = {"org": self.org_id, "state": self.state, "type": self.type, "code": self.error_code, "bank": self.bank}
        return {name: value for name, value in named.items() if value is not None}


def indexes_of(wanted: JobFilter, keys: Keys) -> list[str]:
    """Return the sorted sets each of which has all that is meant; none where only the states have it together."""
    if wanted.state is not JobState.FAILED:
        wide = (("org", wanted.org_id), ("state", wanted.state))
        return [keys.of(name, value) for name, value in wide if value is not None]
    if wanted.error_code is not None and wanted.bank is not None:
        return [keys.of("failed_kind", wanted.error_code, wanted.bank)]
    narrow = {"org": wanted.org_id, "code": wanted.error_code, "type": wanted.type, "bank": wanted.bank}
    found = [keys.of(f"failed_{name}", value) for name, value in narrow.items() if value is not None]
    return [*found, keys.state(wanted.state)]
