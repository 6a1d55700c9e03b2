"""Two things at once, on the real scripts: the order that a crowded machine makes rare is made here every time."""

import json

from bankimport.commands import SyncAllOrg, SyncConnection
from bankimport.queue.queue import Enqueue
from bankimport.status import JobState
from tests.faults.field import Field

NO_LIMIT = (3, 1_000_000, 1000)


async def _claim(field: Field, number: int) -> dict[str, bytes]:
    """Claim what there is; return the fence of each job."""
    rows, *_ = await field.queue.scripts.run("claim_jobs", "worker", number, 10, 15_000, *NO_LIMIT)
    return {row[0].decode(): row[6] for row in rows}


async def test_a_batch_cancelled_while_it_lists_its_connections_syncs_none(field: Field) -> None:
    """The cancel comes between the start of a batch and its fan-out: no child is made, and it ends once."""
    batch = await field.queue.enqueue(Enqueue(SyncAllOrg(org_id="org-1")))
    fence = (await _claim(field, 1))[batch]
    await field.queue.cancel(batch)
    child = Enqueue(SyncConnection(org_id="org-1", connection_id="plain")).row()
    await field.queue.scripts.run("fan_out_batch", batch, fence, json.dumps([child]))
    status = await field.status(batch)
    assert (status.state, status.error_code) == (JobState.FAILED, "cancelled")
    assert await field.events() == [
        ("bank.job.queued", batch),
        ("bank.job.started", batch),
        ("bank.job.cancelled", batch),
    ]


async def test_a_lost_record_holds_up_nobody_behind_it(field: Field) -> None:
    """Of the jobs that wait for a connection's running one, a vanished one is passed over."""
    running = await field.sync("plain")
    vanished = await field.sync("plain", force_full_sync=True)
    waiting = await field.sync("plain", start_date="2025-01-01")
    fence = (await _claim(field, 1))[running]
    await field.redis.delete(field.queue.keys.job(vanished))
    await field.queue.scripts.run("complete_job", running, fence, "{}", "")
    assert list(await _claim(field, 2)) == [waiting]
