"""Which jobs are meant: a filter, and the index in which they are looked for."""

from dataclasses import dataclass

from bankimport.redis.keys import KEYS
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
_PATTERNS = {key.name: key for key in KEYS}


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

    def indexes(self) -> list[str]:
        """Return the sorted sets, without the queue's prefix, each of which has all that is meant; none where only
        the states' own sets together have."""
        if self.state is JobState.FAILED:
            narrow = (
                ("failed_org", self.org_id),
                ("failed_code", self.error_code),
                ("failed_type", self.type),
                ("failed_bank", self.bank),
            )
            if self.error_code is not None and self.bank is not None:
                return [_PATTERNS["failed_kind"].fill(self.error_code, self.bank)]
            return [*(_of(name, value) for name, value in narrow if value is not None), _of("state", self.state)]
        wide = (("org", self.org_id), ("state", self.state))
        return [_of(name, value) for name, value in wide if value is not None]


def _of(name: str, value: str) -> str:
    return _PATTERNS[name].fill(str(value))
