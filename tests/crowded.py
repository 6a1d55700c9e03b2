"""What the product waits for, given the time of a crowded machine: whether a call ends in time is asked by tests that are
marked `in_time`, and by no other.

A machine on which four other programs compute keeps one answer of some thousands for longer than two seconds. A test
that asks for something else must not meet that: it isn't what it is about.
"""

from datetime import timedelta

import pytest

from bankimport.redis import connection, deadline
from bankimport.web import authorising
from tests.waiting import PATIENCE


def give_time(patch: pytest.MonkeyPatch) -> None:
    """Let the calls of this process take a minute: those to Redis, to the store, and to the host's functions."""
    patch.setattr(deadline, "LONGEST", PATIENCE)
    patch.setattr(connection, "LONGEST", PATIENCE)
    patch.setattr(connection, "SOCKET_TIMEOUT", PATIENCE)
    patch.setattr(authorising, "LONGEST", timedelta(seconds=PATIENCE))
    patch.setattr(authorising, "SOON", timedelta(seconds=PATIENCE))
