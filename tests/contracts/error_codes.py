"""Every code by which a bank refuses, met by a real job: on a real queue, store and HTTP, all of an API at once."""

import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import aiohttp
import pytest
import structlog
from yarl import URL

from bankimport import BankImport
from bankimport.errors import BankImportError, ConnectingFailed, InvalidRequest
from bankimport.models import AuthorisationBegun, JobStatus, PsuContext
from bankimport.sandbox import Kind, Switch, create_app
from bankimport.sandbox.counter import NEW_CONSENT, NEW_SESSION, STATE
from bankimport.settings import Settings
from bankimport.stores import SqlStore
from tests.contracts.conftest import serving
from tests.contracts.sandboxed import ALL
from tests.migrated import upgraded
from tests.waiting import wait_until

#: waits are scaled, so that 35 s are 0.7 s; what a bank asks for by itself is not
SCALE: Final = 0.02
#: so many seconds a bank asks for where it is only a brake
BRAKE: Final = 40


@dataclass(frozen=True)
class Refusal:
    """What the bank says: a status and a code in the API's own words, to requests of an endpoint."""

    status: int
    code: str | None
    endpoint: str = "transactions"
    retry_after: int | None = None

    @property
    def key(self) -> str:
        """A name that can be an id."""
        words = "".join(c if c.isalnum() else "-" for c in self.code or "bare")[:40]
        return f"{self.status}-{words}-{self.endpoint}-{self.retry_after or ''}"


@dataclass(frozen=True)
class Seen:
    """What became of it: the job, the connection, the waits of its retries, and the lines that are loud."""

    connection: str
    job: str
    waits: tuple[float, ...]
    says: str
    log: tuple[str, ...]
    events: tuple[str, ...]


@dataclass
class World:
    """All refusals of one API at once."""

    bank_import: BankImport
    lines: list[dict[str, Any]]
    jobs: dict[str, JobStatus] = field(default_factory=dict)
    events: list[Any] = field(default_factory=list)

    async def seen(self, refusal: Refusal) -> Seen:
        """Return what became of one."""
        job = self.jobs[refusal.key]
        connection = await self.bank_import.connections.get(refusal.key)
        assert connection is not None
        own = [event for event in self.events if event.job_id == job.id]
        reason = f" {connection.status_reason}" if connection.status_reason else ""
        deferred = (job.result or {}).get("deferred") or []
        says = job.failed_reason or (job.progress.message if job.progress else "")
        hours = "".join(sorted({f" put off {_hours(each['until'])}" for each in deferred}))
        code = f" {job.error_code}" if job.error_code else ""
        loud = [
            each for each in self.lines if each.get("job_id") == job.id and each["log_level"] in ("warning", "error")
        ]
        return Seen(
            connection=f"{connection.status}{reason}",
            job=f"{job.state}{code}{hours}",
            waits=tuple(_wait(event.data) for event in own if event.name == "bank.job.retrying"),
            says=says,
            log=tuple(f"{each['log_level']} {each['event']} {each.get('outcome')}" for each in loud),
            events=tuple(event.name for event in own if event.name.startswith("bank.connection")),
        )

    def everything(self) -> str:
        """Return all that was said, for those who look for what must not be."""
        records = [job.model_dump_json() for job in self.jobs.values()]
        return f"{self.lines} {records} {[event.data for event in self.events]}"


def _hours(until: str) -> str:
    return f"{(datetime.fromisoformat(until) - datetime.now(UTC)) / timedelta(hours=1):.0f} h"


def _wait(data: Any) -> float:
    """Return a wait in seconds before it was scaled, without its jitter of a tenth at most."""
    waited = (datetime.fromisoformat(data["retryAt"]) - datetime.fromisoformat(data["timestamp"])).total_seconds()
    ours = (wait for wait in (5, 10, 20) if wait * SCALE * 0.97 <= waited <= wait * SCALE * 1.15)
    return next(ours, BRAKE if BRAKE * 0.97 <= waited <= BRAKE * 1.15 else waited)


@contextlib.contextmanager
def captured() -> Iterator[list[dict[str, Any]]]:
    """Collect all lines of the log, each with what is bound to its run."""
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        yield lines  # type: ignore[misc]  # its type is a mapping's


@asynccontextmanager
async def _world(name: str, settings: Settings, **options: Any) -> AsyncIterator[tuple[BankImport, Any, str]]:
    """Yield a host with one bank, the sandbox's switches, and the sandbox's address."""
    url = settings.database_url.get_secret_value()
    await upgraded(url)
    sandbox = create_app(page_size=500)
    async with serving(sandbox) as bank:
        store = SqlStore(url, environment="development")
        async with BankImport(settings, banks={"bank": ALL[name](bank, **options)}, store=store) as bank_import:
            yield bank_import, sandbox[STATE].switches, bank


async def begun(name: str, refusals: Sequence[Refusal], settings: Settings) -> dict[tuple[int, str | None], str]:
    """Return what a host is told whose person begins while the bank refuses."""
    found: dict[tuple[int, str | None], str] = {}
    async with _world(name, settings) as (bank_import, switches, _):
        for each in refusals:
            switches.add(NEW_CONSENT, Switch(kind=Kind.ERROR, status=each.status, code=each.code))
            with pytest.raises(BankImportError) as told:
                await _connect(bank_import, name)
            switches.clear(NEW_CONSENT)
            more = ""
            if isinstance(told.value, ConnectingFailed):
                more = ", ours" if told.value.is_ours else ", the bank's"
            elif isinstance(told.value, InvalidRequest):
                more = f" {told.value.pointer}"
            found[each.status, each.code] = f"{told.value.code}{more}"
            assert "misbehaves" not in str(told.value)
        assert await bank_import.connections.list("acme") == []
    return found


async def ended(
    refusals: Sequence[Refusal], settings: Settings
) -> dict[tuple[int, str | None], tuple[str, str | None, set[str]]]:
    """Return outcome, reason and the levels of the log of who brings a code to Enable Banking that it refuses."""
    found: dict[tuple[int, str | None], tuple[str, str | None, set[str]]] = {}
    async with _world("enable-banking", settings) as (bank_import, switches, _), aiohttp.ClientSession() as browser:
        for each in refusals:
            begun = await _connect(bank_import, "enable-banking")
            form = {"person": "anna", "decision": "consent"}
            async with browser.post(str(begun.url), data=form, allow_redirects=False) as sent:
                brought = dict(URL(sent.headers["Location"]).query)
            switches.add(NEW_SESSION, Switch(kind=Kind.ERROR, status=each.status, code=each.code))
            with captured() as lines:
                end = await bank_import.connections.finish("bank", brought, user="anna")
                assert end == await bank_import.connections.finish("bank", brought, user="anna"), "once more, the same"
            switches.clear(NEW_SESSION)
            assert await bank_import.connections.get(begun.id) is None
            found[each.status, each.code] = (end.outcome.value, end.reason, {line["log_level"] for line in lines})
    return found


async def _connect(bank_import: BankImport, name: str) -> AuthorisationBegun:
    institution = {"enable-banking": "DE:Sandbox Bank", "gocardless": "SANDBOXFINANCE_SFIN0000"}.get(name)
    psu = PsuContext("93.184.216.34", "Mozilla/5.0")
    return await bank_import.connections.connect(
        org_id="acme",
        bank="bank",
        user="anna",
        institution=institution,
        callback_url="https://host.example/callback",
        psu=psu,
    )


@asynccontextmanager
async def refused(name: str, refusals: Sequence[Refusal], settings: Settings) -> AsyncIterator[World]:
    """Let one connection meet each refusal; yield when all jobs have ended or wait for long."""
    settings = settings.model_copy(
        update={"retry_delay_scale": SCALE, "rate_limit_max": 1000, "org_concurrency": 20, "concurrency": 20}
    )
    with captured() as lines:
        async with _world(name, settings, unattended_limit=None) as (bank_import, switches, _):
            world = World(bank_import, lines)
            until = (datetime.now(UTC) + timedelta(days=60)).date()
            for key in (*(each.key for each in refusals), "last"):  # before twenty jobs write into the same file
                await bank_import.connections.add(
                    org_id="acme", bank="bank", consent_id=f"person-{key}", valid_until=until, id=key
                )
            for each in refusals:
                fields = {"endpoint": each.endpoint, "retry_after": each.retry_after}
                switch = Switch(kind=Kind.ERROR, status=each.status, code=each.code, **fields)
                switches.add(f"person-{each.key}", switch)
            ids = {each.key: await bank_import.schedule_immediate_sync(each.key) for each in refusals}

            async def over() -> bool:
                soon = datetime.now(UTC) + timedelta(seconds=3)
                for key in ids.keys() - world.jobs.keys():
                    job = await bank_import.get_job_status(ids[key])
                    assert job is not None
                    if not job.state.is_terminal and (job.delayed_until is None or job.delayed_until <= soon):
                        return False
                    world.jobs[key] = job
                return True

            async with bank_import.working():
                await wait_until(over, 90, what=f"the jobs of {name}")
                last = await bank_import.schedule_immediate_sync("last")
                async for event in bank_import.events(org_id="acme", after="0"):
                    world.events.append(event)
                    if event.job_id == last and event.name == "bank.job.completed":  # the bank is well otherwise
                        break
                yield world
