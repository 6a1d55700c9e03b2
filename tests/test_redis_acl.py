"""The user of docs/how-to/redis-for-production.md may do all that an import needs."""

import re

import pytest
from redis import Redis

from bankimport import BankImport, Settings
from bankimport.models import BankConnection
from bankimport.status import JobState
from bankimport.testing import FakeBank, MemoryStore, run_until_idle
from tests.processes import ROOT, Processes, start_valkey

pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")  # arq calls it


async def test_the_rule_of_the_page_is_enough(processes: Processes) -> None:
    """A job is asked for, imported, followed, paused, erased and counted under it; another key is refused."""
    page = (ROOT / "docs" / "how-to" / "redis-for-production.md").read_text()
    [rule] = re.findall(r"<!-- acl -->\n```text\n(.*)\n```", page)
    valkey = start_valkey(processes, databases=1)
    with Redis.from_url(valkey.url()) as admin:
        admin.execute_command(*rule.split())
        settings = Settings.load(redis_url=f"redis://bankimport:a-long-password@127.0.0.1:{valkey.port}")
        store = MemoryStore(BankConnection("giro", "acme", "bank"))
        async with BankImport(settings, banks={"bank": FakeBank()}, store=store) as bank_import:
            job_id = await bank_import.schedule_immediate_sync("giro")
            await run_until_idle(bank_import)
            assert [event.name async for event in bank_import.follow(job_id)][-1] == "bank.job.completed"
            job = await bank_import.get_job_status(job_id)
            assert job is not None
            assert job.state is JobState.COMPLETED
            await bank_import.pause_queue(reason="x")
            await bank_import.resume_queue()
            assert (await bank_import.get_queue_health()).alerts == ()
            await bank_import.erase_organisation("acme")
        denied = [entry["object"] for entry in admin.acl_log()]
        assert set(denied) <= {"config|get"}  # health does without it
