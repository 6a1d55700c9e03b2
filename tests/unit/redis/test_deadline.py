"""One deadline for a whole call, shared by its steps and by nobody else."""

import asyncio

import pytest

from bankimport.redis import deadline as bounds
from bankimport.redis.deadline import LONGEST, apart, deadline, left

pytestmark = pytest.mark.in_time


async def test_a_call_within_a_call_has_no_time_of_its_own() -> None:
    """The inner call ends when the outer one does; tasks of the call share its time while it runs."""
    assert left() == LONGEST
    async with deadline():
        await asyncio.sleep(0.02)
        async with deadline():
            assert left() <= LONGEST - 0.02
        assert left() <= LONGEST - 0.02
        assert await asyncio.create_task(_left()) <= LONGEST - 0.02
    assert left() == LONGEST


async def test_a_task_that_outlives_its_call() -> None:
    """It has the time of one step again, however long ago its call ended; one that is apart has had it all along."""
    go_on = asyncio.Event()

    async def later() -> float:
        await go_on.wait()
        return left()

    async with deadline():
        outliving = asyncio.create_task(later())
        await asyncio.sleep(0.02)
        assert await asyncio.create_task(_left(), context=apart()) == LONGEST
    go_on.set()
    assert await outliving == LONGEST


async def test_the_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """What doesn't end by itself is cut off a moment after nothing was left."""
    monkeypatch.setattr(bounds, "LONGEST", 0.01)
    with pytest.raises(TimeoutError):
        async with deadline():
            await asyncio.Event().wait()


async def _left() -> float:
    return left()
