"""For the tests of hosts: a clock, a recorder of events, work until idle, and fakes of the ports."""

from bankimport.testing.clock import ManualClock
from bankimport.testing.fakes import FakeBank, FakeRun, MemoryLedger, MemoryNotes
from bankimport.testing.memory_store import MemoryStore
from bankimport.testing.recorder import EventRecorder
from bankimport.testing.server import own_redis
from bankimport.testing.working import run_until_idle

__all__ = [
    "EventRecorder",
    "FakeBank",
    "FakeRun",
    "ManualClock",
    "MemoryLedger",
    "MemoryNotes",
    "MemoryStore",
    "own_redis",
    "run_until_idle",
]
