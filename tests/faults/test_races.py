"""Two things at once, on the real scripts: the order that a crowded machine makes rare is made here every time."""

from bankimport.commands import COMMANDS, SyncAllOrg, SyncConnection
from bankimport.queue.queue import Enqueue
from bankimport.status import JobState
from tests.faults.field import Field


async def _claim(field: Field, number: int) -> dict[str, str]:
    """Claim what there is; return the fence of each job."""
    claimed = await field.queue.transitions.claim_jobs("worker", str(number), 10, 0, list(COMMANDS))
    return {row[0].decode(): row[6].decode() for row in claimed.rows}


async def test_a_batch_cancelled_while_it_lists_its_connections_syncs_none(field: Field) -> None:
    """The cancel comes between the start of a batch and its fan-out: no child is made, and it ends once."""
    batch = await field.queue.enqueue(Enqueue(SyncAllOrg(org_id="org-1")))
    fence = (await _claim(field, 1))[batch]
    await field.queue.cancel(batch)
    child = Enqueue(SyncConnection(org_id="org-1", connection_id="plain")).row()
    await field.queue.transitions.fan_out_batch(batch, fence, [child], 0, True)
    status = await field.status(batch)
    assert (status.state, status.error_code) == (JobState.CANCELLED, "cancelled")
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
    await field.queue.transitions.complete_job(running, fence, b"{}", "", "", "ok", [], [], [])
    assert list(await _claim(field, 2)) == [waiting]
