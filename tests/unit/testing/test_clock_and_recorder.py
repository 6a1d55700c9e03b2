"""The clock and the recorder that hosts are given."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from bankimport.events import Event
from bankimport.testing import EventRecorder, ManualClock

NOW = datetime(2026, 11, 10, tzinfo=UTC)


def event(entry: str, name: str, job_id: str = "j") -> Event:
    """Return an event."""
    return Event(id=entry, name=name, org_id="o", job_id=job_id, timestamp=NOW, data={})


def test_the_clock_stands_still_until_it_is_moved() -> None:
    """It is where it was set, moves on by what it is told, and never goes back."""
    clock = ManualClock(NOW)
    assert (clock(), clock()) == (NOW, NOW)
    assert clock.advance(timedelta(hours=4)) == clock() == NOW + timedelta(hours=4)
    with pytest.raises(ValueError, match="back"):
        clock.advance(timedelta(seconds=-1))


async def test_the_recorder_keeps_events_in_the_order_of_their_ids() -> None:
    """Handlers run side by side, so events may be told out of order: the recorder sorts them, 10 after 9."""
    recorder = EventRecorder()
    for each in (event("5-10", "bank.b"), event("5-9", "bank.a"), event("6-1", "bank.c", "other")):
        await recorder(each)
    assert recorder.names("j") == ["bank.a", "bank.b"]
    assert [each.id for each in recorder.named("bank.c")] == ["6-1"]


async def test_the_recorder_waits_for_an_event() -> None:
    """It returns as soon as the event is there, and gives up when it doesn't come."""
    recorder = EventRecorder()
    waiting = asyncio.create_task(recorder.wait_for("bank.a"))
    await asyncio.sleep(0)
    await recorder(event("1-1", "bank.b"))
    await recorder(event("1-2", "bank.a"))
    assert (await waiting).id == "1-2"
    with pytest.raises(TimeoutError):
        await recorder.wait_for("bank.never", timeout=0.01)
