"""A read too large for memory goes to disk and is decided in portions; here every read is one."""

import asyncio
import time
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bankimport.errors import StoreUnavailable
from bankimport.imports.portions import Portions
from bankimport.jobs import entries, long_read, spool
from tests.simulation.lying_runs import CONNECTION
from tests.simulation.runs import run_job
from tests.simulation.simulated_bank import Ids
from tests.simulation.stored import is_on_disk, store_of
from tests.simulation.world import World, cancelled, days_ago, pending, reported
from tests.soak import SOAK
from tests.waiting import wait_until


@pytest.fixture(autouse=True)
def everything_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three entries are a long read, in portions of nine, written seven at a time."""
    monkeypatch.setattr(entries, "LONG", 2)
    monkeypatch.setattr(long_read, "_PORTION", 9)
    monkeypatch.setattr(spool, "_HELD", 7)


@pytest.mark.timeout(7200 if SOAK else 300)
@pytest.mark.parametrize("ids", list(Ids))
async def test_portions_are_never_wrong(ids: Ids, empty_database: Path, tmp_path: Path) -> None:
    """In portions too the stored booked rows are the bank's after each complete sync, whatever its ids are like."""
    complete = 0
    for number in range(50 if SOAK else 1):
        async with store_of(CONNECTION, empty_database, tmp_path, on_disk=is_on_disk(number, ids)) as store:
            complete += await run_job(100 + number, ids, store, CONNECTION, 120 if SOAK else 30)
    assert complete > 10


async def test_the_same_long_answer_twice(world: World) -> None:
    """A long answer that comes twice changes nothing, and one that grew adds what is new."""
    rows = [reported(f"-{n}.00", days_ago(n % 40), ref=f"t{n}", text=f"Einkauf {n}") for n in range(60)]
    world.shows(*rows)
    assert (await world.sync()).new_transactions == 60
    again = await world.sync(force_full_sync=True)
    assert (again.new_transactions, again.updated_transactions, again.removed_transactions) == (0, 0, 0)
    world.shows(*rows, reported("-3.50", ref="t100"), reported("-3.50", ref="t101"))
    assert (await world.sync(force_full_sync=True)).new_transactions == 2
    assert len(await world.rows()) == 62


async def test_a_long_answer_with_overlap_and_shared_ids(world: World) -> None:
    """Page overlap is one row, a shared id names nothing, a pending form beside its booked one is none."""
    rows = [reported(f"-{n}.00", days_ago(n), ref=f"t{n}", text=f"Einkauf {n}") for n in range(30)]
    shared = [reported("-5.50", days_ago(n), ref="shared", text=f"Miete {n}") for n in (1, 20)]
    world.pages(rows[:14], [*rows[10:], *shared, pending("-3.00", days_ago(3), ref="t3", text="Einkauf 3")])
    assert (await world.sync()).new_transactions == 32
    assert (await world.sync(force_full_sync=True)).new_transactions == 0


async def test_a_long_read_cut_short(world: World) -> None:
    """A long read that is cut inserts what has ids, removes nothing, and the next one gets the rest."""
    rows = [reported(f"-{n}.00", days_ago(n), ref=f"t{n}", text=f"Einkauf {n}") for n in range(40)]
    nameless = [reported("-7.77", days_ago(n), text="Bar") for n in range(3)]
    world.pages([*rows[:20], *nameless], TimeoutError("cut"))
    with pytest.raises(TimeoutError):
        await world.sync()
    assert len(await world.rows()) == 20
    world.shows(*rows, *nameless, cancelled("-9.99", ref="gone"))
    world.clock.advance(timedelta(hours=1))
    assert (await world.sync()).new_transactions == 23
    assert len(await world.rows()) == 43


async def test_another_writes_while_a_long_read_is_decided(world: World) -> None:
    """A run that is overtaken in the middle of its portions decides anew, and doubles nothing."""
    rows = [reported(f"-{n}.00", days_ago(n), ref=f"t{n}", text=f"Einkauf {n}") for n in range(30)]
    world.shows(*rows)
    await world.sync()
    world.shows(*rows, reported("-99.00", ref="new"))
    load, again = world.store.load_rows, True

    async def overtaken(*args: object) -> object:
        nonlocal again
        answer = await load(*args)  # type: ignore[arg-type]  # handed through
        if again:
            again = False
            outer = world.last_run
            await world.sync(force_full_sync=True)
            world.runs += 1
            outer.fence = world.runs
        return answer

    world.store.load_rows = overtaken  # type: ignore[method-assign,assignment]  # somebody else, in between
    await world.sync(force_full_sync=True)
    assert len(await world.rows()) == 31


async def test_a_long_read_finds_an_old_pending_row_by_its_id(world: World) -> None:
    """A pending row from the beginning of the days that count is found by its id, and becomes the booked one."""
    rows = [reported(f"-{n}.00", days_ago(n % 5), ref=f"t{n}", text=f"Einkauf {n}") for n in range(1, 12)]
    world.shows(pending("-50.00", days_ago(14), ref="hotel", text="Hotel"), *rows)
    await world.sync()
    world.shows(reported("-50.00", ref="hotel", text="Hotel"), *rows)
    world.clock.advance(timedelta(hours=8))
    result = await world.sync()
    assert (result.new_transactions, result.updated_transactions) == (0, 1)
    assert [amount for _, _, amount in await world.living()].count(Decimal("-50.00")) == 1


class _Loads:
    """What a store was asked for; each load takes `pause`."""

    def __init__(self, world: World, *, pause: float = 0.0, failing: int | None = None) -> None:
        self.begun = self.ended = 0
        self._load, self._pause, self._failing = world.store.load_rows, pause, failing
        world.store.load_rows = self  # type: ignore[method-assign,assignment]  # the same, watched

    async def __call__(self, *args: Any) -> Any:
        self.begun += 1
        try:
            if self.begun == self._failing:
                raise StoreUnavailable
            await asyncio.sleep(self._pause)
            return await self._load(*args)
        finally:
            self.ended += 1


async def _stored(world: World) -> None:
    world.shows(*(reported(f"-{n}.00", days_ago(n), ref=f"t{n}", text=f"Einkauf {n}") for n in range(90)))
    await world.sync()
    world.runs += 1


async def test_one_portion_is_loaded_ahead(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a portion is decided the next is loaded, and no more than that."""
    await _stored(world)
    loads, take, seen = _Loads(world), Portions.take, list[int]()

    def slow(*args: Any) -> Any:
        until = time.monotonic() + 1
        while loads.ended < len(seen) + 2 and time.monotonic() < until:
            time.sleep(0.005)
        time.sleep(0.02)
        seen.append(loads.begun)
        return take(*args)

    monkeypatch.setattr(Portions, "take", slow)
    result = await world.sync(force_full_sync=True)
    assert (result.new_transactions, result.updated_transactions) == (0, 0)
    assert len(seen) > 5
    assert seen == [*range(2, len(seen) + 1), len(seen)]


async def test_a_portion_ahead_cannot_be_loaded(world: World) -> None:
    """The store's error is the job's, nothing is written, and nobody goes on loading."""
    await _stored(world)
    before = await world.rows()
    loads = _Loads(world, failing=3)
    with pytest.raises(StoreUnavailable):
        await world.sync(force_full_sync=True)
    assert (loads.begun, loads.ended) == (3, 3)
    assert await world.rows() == before


async def test_a_portion_cannot_be_decided_while_the_next_is_loaded(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loading ends with the deciding."""
    await _stored(world)
    loads = _Loads(world, pause=0.05)

    def broken(*_: Any) -> Any:
        while loads.begun < 2:
            time.sleep(0.001)
        raise ArithmeticError

    monkeypatch.setattr(Portions, "take", broken)
    with pytest.raises(ArithmeticError):
        await world.sync(force_full_sync=True)
    assert (loads.begun, loads.ended) == (2, 2)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_cancelled_while_a_portion_is_loaded_ahead(world: World) -> None:
    """A job that is cancelled leaves no load behind, and the next one works."""
    await _stored(world)
    loads = _Loads(world, pause=0.05)
    job = asyncio.create_task(world.sync(force_full_sync=True))
    await wait_until(lambda: loads.begun == 3)
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    assert (loads.begun, loads.ended) == (3, 3)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    world.runs += 1
    assert (await world.sync(force_full_sync=True)).new_transactions == 0
