"""The states of a job and the only ways between them.

The same table guards the Lua scripts: `bankimport.queue` renders it into each script, so a transition that is not
here is refused by the script that would make it.
"""

from enum import StrEnum
from types import MappingProxyType
from typing import Final


class JobState(StrEnum):
    """Where a job is; the names are BullMQ's."""

    WAITING = "waiting"
    DELAYED = "delayed"
    ACTIVE = "active"
    WAITING_CHILDREN = "waiting-children"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        """Whether the job has ended (it may still be retried by hand after it failed or was cancelled)."""
        return self in (JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED)


class Operation(StrEnum):
    """What can happen to a job that exists."""

    START = "start"
    COMPLETE = "complete"
    FAIL = "fail"
    DELAY = "delay"
    GIVE_BACK = "give-back"
    STALL = "stall"
    FAN_OUT = "fan-out"
    PROMOTE = "promote"
    CANCEL = "cancel"
    RETRY = "retry"


_S = JobState
_O = Operation

#: operation -> {state before: state after}. Asking to cancel an active job raises a flag; its run's end is the cancel.
TRANSITIONS: Final = MappingProxyType(
    {
        _O.START: {_S.WAITING: _S.ACTIVE},
        _O.COMPLETE: {_S.ACTIVE: _S.COMPLETED, _S.WAITING_CHILDREN: _S.COMPLETED},
        _O.FAIL: {_S.ACTIVE: _S.FAILED},
        _O.DELAY: {_S.ACTIVE: _S.DELAYED},
        _O.GIVE_BACK: {_S.ACTIVE: _S.WAITING},
        _O.STALL: {_S.ACTIVE: _S.WAITING},
        _O.FAN_OUT: {_S.ACTIVE: _S.WAITING_CHILDREN},
        _O.PROMOTE: {_S.DELAYED: _S.WAITING, _S.WAITING: _S.WAITING},
        _O.CANCEL: {
            _S.WAITING: _S.CANCELLED,
            _S.DELAYED: _S.CANCELLED,
            _S.ACTIVE: _S.CANCELLED,
            _S.WAITING_CHILDREN: _S.CANCELLED,
        },
        _O.RETRY: {_S.FAILED: _S.WAITING, _S.CANCELLED: _S.WAITING},
    }
)


def after(operation: Operation, state: JobState) -> JobState | None:
    """Return the state that `operation` leads to from `state`; None where it is not allowed."""
    return TRANSITIONS[operation].get(state)


class ConnectionStatus(StrEnum):
    """The state of one access to one bank. `PENDING`: its person is authorising it for the first time."""

    PENDING = "PENDING"
    ACTIVE = "ACTIVE"
    ERROR = "ERROR"
    REQUIRES_REAUTH = "REQUIRES_REAUTH"
    DISCONNECTED = "DISCONNECTED"
