"""What a person types: `bankimport connect` while it waits, and ids of jobs."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from bankimport.cli import connect
from bankimport.models import AuthorisationBegun, AuthorisationStatus, AuthorisationStep
from bankimport.queue.queue import new_job_id
from tests.waiting import PATIENCE


async def test_a_ctrl_c_that_a_driver_has_lost_is_heard() -> None:
    """It met the end of a call to the database: `asyncio.wait_for` of Python 3.11 loses it then."""
    asked, until = asyncio.Event(), datetime.now(UTC) + timedelta(hours=1)

    class Losing:
        async def authorisation(self, connection_id: str) -> AuthorisationStatus:
            asked.set()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.01)
            return AuthorisationStatus(
                id=connection_id, state=AuthorisationStep.WAITING, renewal=False, expires_at=until
            )

    bank_import: Any = SimpleNamespace(connections=Losing())
    waiting = asyncio.create_task(connect._ended(bank_import, AuthorisationBegun(id="conn_1", expires_at=until)))
    await asked.wait()
    waiting.cancel()
    done, _ = await asyncio.wait({waiting}, timeout=PATIENCE)
    try:
        assert done == {waiting}
        assert waiting.cancelled()
    finally:
        waiting.cancel()


def test_no_id_of_a_job_is_taken_for_an_option() -> None:
    """One that began with a dash, as one in 64 did, could be neither shown nor cancelled on the command line."""
    assert [made for made in (new_job_id() for _ in range(3000)) if made.startswith("-")] == []
