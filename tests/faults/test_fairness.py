"""A crowd of one organisation holds up neither another one nor a person, and no connection is synced twice at once."""

import asyncio
import time
from collections import Counter
from itertools import pairwise

from tests.faults.field import Field
from tests.queue.lab import Mark
from tests.soak import SOAK
from tests.waiting import wait_until

CROWD = 5000 if SOAK else 1000
PLACES = 3


def most_at_once(found: list[Mark], by: str) -> Counter[str]:
    """Return, for each value of a mark's field, the largest number of runs between their start and their end."""
    running: Counter[str] = Counter()
    most: Counter[str] = Counter()
    for mark in sorted(found, key=lambda mark: mark.at):
        key = getattr(mark, by)
        if mark.word == "start":
            running[key] += 1
            most[key] = max(most[key], running[key])
        elif mark.word == "end":
            running[key] -= 1
    return most


async def test_a_crowd_of_one_organisation_holds_up_nobody_else(field: Field) -> None:
    """Behind thousands of another's jobs, a scheduled job starts within 2 s and a manual one within 1 s."""
    await field.workers(2, BANK_SYNC_CONCURRENCY="5")
    crowd = await field.syncs((f"quiet-0-{number}" for number in range(CROWD)), org_id="crowd", scheduled=True)
    await wait_until(lambda: field.marks("start"))
    loop = asyncio.get_running_loop()
    asked = loop.time()
    scheduled = await field.sync("sleep-10-scheduled", org_id="other", scheduled=True)
    await field.mark("start", scheduled, timeout=2)
    assert loop.time() - asked < 2
    asked = loop.time()
    manual = await field.sync("sleep-10-manual", org_id="other")
    await field.mark("start", manual, timeout=1)
    assert loop.time() - asked < 1
    own = await field.sync("sleep-10-own", org_id="crowd")
    await field.mark("start", own, timeout=1)
    ended = [await field.ended(job_id) for job_id in (scheduled, manual, own)]
    assert {job.attempts_made for job in ended} == {0}
    await wait_until(lambda: _ended(field, 20))
    found = [mark for mark in await field.marks() if mark.job_id in set(crowd)]
    together = [Mark(mark.word, mark.job_id, mark.fence, "crowd", mark.at) for mark in found]
    assert most_at_once(together, "connection_id") == {"crowd": PLACES}


async def _ended(field: Field, count: int) -> bool:
    return len(await field.marks("end")) >= count


async def test_a_person_waits_for_no_window_of_the_limiter(field: Field) -> None:
    """Under the default limit, which the crowd uses up, a manual job starts within 1 s, whenever it is asked for."""
    await field.workers(2, BANK_SYNC_RATE_LIMIT_MAX="10")
    for crowd in range(5):
        await field.syncs((f"plain-{crowd}-{n}" for n in range(200)), org_id=f"crowd-{crowd}", scheduled=True)
    waits = []
    for number in range(2):
        seen = len(await field.marks("start"))
        await wait_until(lambda: _started(field, seen + 10))  # noqa: B023  # awaited within the turn
        asked = time.time()
        waits.append((await field.mark("start", await field.sync(f"manual-{number}"))).at - asked)
    assert max(waits) < 0.8, waits
    claimed = [round(mark.at * 1000) for mark in await field.marks("start")]
    length = claimed[-1] - claimed[0]
    assert len(claimed) > 0.85 * length / 1000 * 10, "the limit is used up all the same"


async def _started(field: Field, count: int) -> bool:
    return len(await field.marks("start")) >= count


async def test_many_organisations_take_turns(field: Field) -> None:
    """Organisations of very different size are served in turn, so the small ones are done long before the large one."""
    large = await field.syncs((f"sleep-20-large-{number}" for number in range(90)), org_id="large", scheduled=True)
    small = [
        job_id
        for org in range(10)
        for job_id in await field.syncs(
            (f"sleep-20-{org}-{n}" for n in range(3)), org_id=f"small-{org}", scheduled=True
        )
    ]
    await field.worker(BANK_SYNC_CONCURRENCY="4")
    await field.drained()
    order = [mark.job_id for mark in await field.marks("start")]
    last_small = max(order.index(job_id) for job_id in small)
    assert last_small < 60, "three rounds of eleven organisations, and no more than that of the large one among them"
    await field.check_ended_once([*large, *small])


async def test_one_connection_is_never_synced_twice_at_once(field: Field) -> None:
    """A schedule's, a person's and a full sync of the same connections, all at once, run one after the other."""
    await field.workers(2, BANK_SYNC_CONCURRENCY="10")
    job_ids = set()
    for turn in range(4):
        for number in range(3):
            connection = f"sleep-60-{number}"
            job_ids.add(await field.sync(connection, scheduled=True))
            job_ids.add(await field.sync(connection))
            job_ids.add(await field.sync(connection, force_full_sync=True))
            job_ids.add(await field.sync(connection, start_date=f"2025-01-0{turn + 1}"))
    await field.drained()
    found = await field.marks()
    assert most_at_once(found, "connection_id") == {f"sleep-60-{number}": 1 for number in range(3)}
    for number in range(3):
        starts = [m for m in found if m.connection_id == f"sleep-60-{number}" and m.word == "start"]
        assert all(first.fence < second.fence for first, second in pairwise(starts))
    await field.check_ended_once(job_ids)
