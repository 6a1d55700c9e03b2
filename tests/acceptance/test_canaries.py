"""Secrets put in at twenty places that fail come out nowhere: no line, answer, event, record, number or trace."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
import redis
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from structlog.testing import capture_logs

from bankimport import (
    BankAccount,
    BankConnection,
    BankImport,
    Event,
    PsuContext,
    ReportedTransaction,
    Settings,
    TransactionStatus,
)
from bankimport.telemetry import telemetry
from bankimport.testing import FakeBank, MemoryStore, run_until_idle
from tests.acceptance.test_logs import _everything

pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")  # arq closes its pool so

CANARY = "canary-7f3a"
IBAN = "DE89370400440532013000"
SECRETS = (CANARY, IBAN)
ACCOUNT = BankAccount(provider_id="p-1", stable_key=f"key-{CANARY}", iban=IBAN, name=f"owner {CANARY}", currency="EUR")
ROW = ReportedTransaction(
    TransactionStatus.BOOKED,
    amount="-3.50",
    currency="EUR",
    booking_date="2026-11-10",
    counterparty_name=f"person {CANARY}",
    counterparty_iban=IBAN,
    remittance=f"text {CANARY}",
)


class Leaky(Exception):
    """An error of a driver or of a host, whose text holds what it should not."""

    def __init__(self) -> None:
        super().__init__(f"token {CANARY} of {IBAN}")


class LeakyStore(MemoryStore):
    """A store that fails with a secret at one of its methods."""

    fails = ""

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if not name.startswith("_") and name == super().__getattribute__("fails"):

            async def fail(*_: Any, **__: Any) -> Any:
                raise Leaky

            return fail
        return found


class LeakyBank(FakeBank):
    """A bank that fails with a secret at one of its methods."""

    fails = ""

    async def _fail(self, name: str) -> None:
        if name == self.fails:
            raise Leaky

    async def capabilities(self, connection: BankConnection) -> Any:
        """See `BankProvider`."""
        await self._fail("capabilities")
        return await super().capabilities(connection)

    async def consent(self, connection: BankConnection, psu: PsuContext | None) -> Any:
        """See `BankProvider`."""
        await self._fail("consent")
        return await super().consent(connection, psu)

    async def accounts(self, connection: BankConnection, psu: PsuContext | None) -> Sequence[BankAccount]:
        """See `BankProvider`."""
        await self._fail("accounts")
        return await super().accounts(connection, psu)

    async def balances(self, connection: BankConnection, account: BankAccount, psu: PsuContext | None) -> Any:
        """See `BankProvider`."""
        await self._fail("balances")
        return await super().balances(connection, account, psu)


async def authorize(request: web.Request, action: str, org_id: str | None) -> bool:
    """A host that fails with a secret where it is asked to."""
    if request.headers.get("X-Fail"):
        raise Leaky
    return True


async def fails_async(event: Event) -> None:
    """A host's handler that fails."""
    raise Leaky


def fails_plain(event: Event) -> None:
    """A host's plain handler that fails."""
    raise Leaky


OF_BANK = ("capabilities", "consent", "accounts", "balances")
OF_STORE = ("connection", "upsert_accounts", "account_state", "load_rows", "apply", "put_balances", "note_sync")
REQUESTS: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/giro/sync", {"json": {CANARY: 1}}),
    ("POST", "/giro/sync", {"json": {"triggeredBy": f"{IBAN} {CANARY}"}}),
    ("POST", "/giro/sync", {"json": {"startDate": CANARY}}),
    ("POST", "/giro/sync", {"data": f'{{"{CANARY}', "headers": {"Content-Type": "application/json"}}),
    ("POST", "/giro/sync", {"json": {}, "headers": {"Idempotency-Key": f"{CANARY} {IBAN}"}}),
    ("POST", "/giro/sync", {"json": {}, "headers": {"Origin": f"https://{CANARY}.example"}}),
    ("GET", f"/jobs?cursor={CANARY}-{IBAN}", {}),
    ("GET", f"/jobs/{CANARY}", {"headers": {"Authorization": f"Bearer {CANARY}"}}),
    ("GET", "/jobs", {"headers": {"X-Fail": "1"}}),
]


@pytest.fixture
async def serving(settings: Settings) -> AsyncIterator[tuple[BankImport, LeakyBank, LeakyStore, str]]:
    """A host over a bank and a store that fail as they are told."""
    bank, store = LeakyBank(), LeakyStore()
    bank.accounts_answer = [ACCOUNT]
    bank.show(ACCOUNT, ROW)
    fast = settings.model_copy(update={"retry_delay_scale": 0.001})
    async with BankImport(fast, banks={"bank": bank}, store=store) as bank_import:
        bank_import.on("bank.sync.*", fails_async)
        bank_import.on("bank.job.*", fails_plain)
        app = web.Application()
        app.add_subapp("/api", bank_import.web_app(authorize=authorize))
        async with TestServer(app) as host:
            yield bank_import, bank, store, str(host.make_url("/api/organisations/acme/bank-connections"))


async def test_nothing_comes_out(
    serving: tuple[BankImport, LeakyBank, LeakyStore, str],
    redis_url: str,
    capsys: pytest.CaptureFixture[str],
    exporter: InMemorySpanExporter,
) -> None:
    """Through a bank and a store that fail at each method, handlers and a host that fail, and requests that hold
    secrets where they are wrong: twenty paths and more."""
    bank_import, bank, store, url = serving
    answers: list[str] = []
    paths: list[Callable[[], None]] = []
    paths += [lambda name=name: setattr(bank, "fails", name) for name in OF_BANK]  # type: ignore[misc]  # bound at once
    paths += [lambda name=name: setattr(store, "fails", name) for name in OF_STORE]  # type: ignore[misc]  # bound at once
    with capture_logs() as logs:
        for number, path in enumerate(paths):
            bank.fails, store.fails = "", ""
            name = f"c{number}"
            store.add(BankConnection(name, "acme", "bank", consent_id=CANARY, credentials={"token": CANARY}))
            job_id = await bank_import.schedule_immediate_sync(name, psu=PsuContext("8.8.8.8", "app"))
            path()
            await run_until_idle(bank_import, delayed=True)
            store.fails = ""
            answers.append(str(await bank_import.get_job_status(job_id)))
        async with ClientSession() as session:
            for method, path_, options in REQUESTS:
                async with session.request(method, f"{url}{path_}", **options) as answer:
                    assert answer.status >= 400
                    told = {**await answer.json(), "detail": ""} if f"/jobs/{CANARY}" in path_ else await answer.json()
                    answers.append(json.dumps(told).replace(f'"pointer": "/{CANARY}"', ""))  # the field's own name
    assert len(paths) + len(REQUESTS) >= 20
    assert [line for line in logs if line["event"] == "event.handler_failed"]
    with redis.Redis.from_url(redis_url) as client:
        stored = "\n".join(f"{key!r} {value!r}" for key, value in _everything(client))
    printed = capsys.readouterr()
    numbers = telemetry.enable()
    assert numbers is not None
    from prometheus_client import generate_latest

    counted = generate_latest(numbers.registry).decode()
    assert len(exporter.get_finished_spans()) > len(paths)
    where = {
        "log": json.dumps(logs, default=str),
        "answers and records": "\n".join(answers),
        "Redis": stored,
        "numbers": counted,
        "streams": printed.out + printed.err,
        "traces": "\n".join(span.to_json() for span in exporter.get_finished_spans()),
    }
    assert {name for name, text in where.items() for secret in SECRETS if secret in text} == set()
