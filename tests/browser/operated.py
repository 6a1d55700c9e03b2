"""What the operator's pages are walked over: a bank, a worker, a host, and jobs of every kind that really ran."""

import json
from dataclasses import dataclass, field

import aiohttp

from bankimport import BankImport, Settings
from bankimport.models import JobStatus
from bankimport.providers import providers_from_settings
from bankimport.stores import SqlStore
from tests.acceptance.deployment import Deployment
from tests.processes import ROOT, free_port
from tests.waiting import wait_until


@dataclass
class Operated:
    """A deployment with a host of the pages, and a `BankImport` of the test's own beside it."""

    deployment: Deployment
    origin: str = ""
    jobs: dict[str, str] = field(default_factory=dict)

    @property
    def pages(self) -> str:
        """Where the pages are."""
        return f"{self.origin}/banking/dashboard"

    def own(self) -> BankImport:
        """Return a `BankImport` on the same queue and store."""
        environment = self.deployment.environment
        settings = Settings.load(redis_url=environment["REDIS_URL"], banks=json.loads(environment["BANK_SYNC_BANKS"]))
        store = SqlStore(environment["BANK_SYNC_DATABASE_URL"], environment="development")
        return BankImport(settings, banks=providers_from_settings(settings.banks), store=store)

    def start_host(self) -> None:
        """Start the host with the pages."""
        port = free_port()
        self.origin = f"http://127.0.0.1:{port}"
        program = str(ROOT / "tests" / "browser" / "pages_host.py")
        environment = {**self.deployment.environment, "HOST_PORT": str(port), "PYTHONPATH": str(ROOT)}
        self.deployment.processes.python("pages", program, environment=environment).line_sync("Running on")

    async def misbehave(self, connection: str, **switch: object) -> None:
        """Let the connection's bank misbehave."""
        url = f"{self.deployment.bank_url}/sandbox/consents/consent-{connection}/switches"
        async with aiohttp.ClientSession() as session, session.post(url, json=switch) as answer:
            assert answer.ok, await answer.text()

    async def behave(self, connection: str) -> None:
        """Let the connection's bank behave again."""
        url = f"{self.deployment.bank_url}/sandbox/consents/consent-{connection}/switches"
        async with aiohttp.ClientSession() as session, session.delete(url) as answer:
            assert answer.ok, await answer.text()

    async def ended(self, bank_import: BankImport, job_id: str) -> JobStatus:
        """Wait for the end of a job."""

        async def over() -> JobStatus | None:
            job = await bank_import.get_job_status(job_id)
            return job if job is not None and job.state.is_terminal else None

        job = await wait_until(over, what=f"the end of {job_id}")
        assert job is not None
        return job
