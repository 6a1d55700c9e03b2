"""For the tests of hosts: a clock, a recorder of events, work until idle, and fakes of the ports."""

from bankimport.testing.clock import ManualClock
from bankimport.testing.recorder import EventRecorder
from bankimport.testing.working import run_until_idle

__all__ = ["EventRecorder", "ManualClock", "run_until_idle"]
