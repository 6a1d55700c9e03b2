"""What a worker says: one line a run, in JSON to the last one, by level, and nothing that is secret anywhere."""

import json
import os
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import pytest
import redis
import structlog
from structlog.testing import capture_logs

from bankimport import BankConnection, BankImport, Settings
from bankimport.testing import FakeBank, MemoryStore, run_until_idle
from tests.acceptance.conftest import Deploy
from tests.acceptance.deployment import Deployment, Organisation
from tests.processes import ROOT, free_port
from tests.waiting import wait_until

PAGE = ROOT / "docs" / "how-to" / "read-the-log.md"
METRICS_PORT = free_port()
_LINES: list[dict[str, Any]] = []


@pytest.fixture(scope="module")
def deployment(deploy: Deploy) -> Iterator[Deployment]:
    """A deployment that says everything, in JSON, and retries at once."""
    deployment = deploy(
        BANK_SYNC_LOG_FORMAT="json",
        BANK_SYNC_LOG_LEVEL="DEBUG",
        BANK_SYNC_RETRY_DELAY_SCALE="0.01",
        BANK_SYNC_METRICS_PORT=str(METRICS_PORT),
    )
    for name in ("good", "retried", "failed"):
        deployment.insert_connection(name)
    yield deployment


@pytest.fixture
async def story(deployment: Deployment, member: Organisation) -> AsyncIterator[list[dict[str, Any]]]:
    """The lines of three syncs: one goes well, one at the second try, one never. They are made once."""
    if _LINES:
        yield _LINES
        return
    jobs = [await member.synced("good")]
    await member.misbehave("consent-retried", kind="unavailable", endpoint="accounts", times=1)
    jobs.append(await member.synced("retried"))
    await member.misbehave("consent-failed", kind="consent-expired")
    jobs.append(await member.synced("failed"))
    assert [job["state"] for job in jobs] == ["completed", "completed", "failed"]
    worker = next(running for running in deployment.processes.started if "worker" in running.name)
    await wait_until(lambda: worker.output().count("job.finished") >= 4)
    _LINES.extend(json.loads(line) for line in worker.output().splitlines())  # each is JSON, arq's own among them
    yield _LINES


async def test_the_log_of_three_syncs(story: list[dict[str, Any]]) -> None:
    """Every line is JSON; each run has one that says how it ended, with what an operator looks for; who only reads
    errors reads of the job that has failed alone; and docs/how-to/read-the-log.md shows it as it is."""
    finished = [line for line in story if line["event"] == "job.finished"]
    told = [(line["connection_id"], line["attempt"], line["outcome"], line["level"]) for line in finished]
    assert told == [
        ("good", 1, "completed", "info"),
        ("retried", 1, "retried", "warning"),
        ("retried", 2, "completed", "info"),
        ("failed", 1, "failed", "error"),
    ]
    for line in finished:
        assert {"org_id", "job_id", "job_type", "bank", "duration_ms"} <= set(line), line
    assert [line["error_code"] for line in finished if "error_code" in line] == ["transient", "reauth-required"]
    assert finished[0]["rows"] > 0
    levels = {line["event"]: line["level"] for line in story}
    assert (levels["job.started"], levels["job.progress"]) == ("info", "debug")
    states = [line["event_name"] for line in story if line["event"] == "job.state" and line["level"] == "debug"]
    states = [name for name in states if name.startswith("bank.job.")]
    assert states == [
        f"bank.job.{name}"
        for name in ("started", "completed", "started", "retrying", "started", "completed", "started", "failed")
    ]
    told_of = [line for line in story if line["event"] == "connection.status"]
    assert [(line["connection_id"], line["status"], line["level"]) for line in told_of] == [
        ("failed", "REQUIRES_REAUTH", "debug")
    ]
    assert [line["event"] for line in story if line["level"] == "error"] == ["job.finished"]
    assert not [line for line in story if "→" in line["event"] or "←" in line["event"]]
    shown = "\n".join(rendered(line) for line in story if line["level"] != "debug" and line["event"].startswith("job."))
    block = re.compile(r"(?<=```text\n).*?(?=```)", re.DOTALL)
    if os.environ.get("BANKIMPORT_WRITE_DOCS") == "1":
        PAGE.write_text(block.sub(lambda _: f"{shown}\n", PAGE.read_text()))
    [written] = block.findall(PAGE.read_text())
    assert written.strip() == shown


@pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")  # arq closes its pool so
async def test_a_batchs_end(settings: Settings) -> None:
    """The end of a batch, which no run of its own is there to tell, is told as a change of state."""
    store = MemoryStore(BankConnection("giro", "acme", "bank"), BankConnection("sparen", "acme", "bank"))
    all_told = settings.model_copy(update={"log_level": "DEBUG"})
    async with BankImport(all_told, banks={"bank": FakeBank()}, store=store) as bank_import:
        job_id = await bank_import.schedule_org_sync("acme")
        with capture_logs() as logs:
            await run_until_idle(bank_import)
    states = [line["event_name"] for line in logs if line["event"] == "job.state" and line["job_id"] == job_id]
    assert states[-2:] == ["bank.batch.completed", "bank.job.completed"]


_ALIKE = {"timestamp": "2026-03-31T08:00:00Z", "job_id": "V1StGXR8_Z5jdHi6", "duration_ms": 1200, "rows": 142}


def rendered(line: dict[str, Any]) -> str:
    """Return a line as the console shows it; what differs from run to run is made alike."""
    alike = {name: _ALIKE.get(name, value) for name, value in line.items()}
    render = structlog.dev.ConsoleRenderer(colors=False, pad_event_to=14)
    return str(render(None, "", alike)).strip()


async def test_nothing_secret_is_anywhere(deployment: Deployment, story: list[dict[str, Any]]) -> None:
    """No number, no name, no text of a transaction and no consent stands in the log at any level, in an event, in
    Redis, or in the numbers."""
    rows = deployment.query("SELECT iban FROM bank_accounts WHERE iban IS NOT NULL")
    rows += deployment.query("SELECT counterparty_iban FROM bank_transactions WHERE counterparty_iban IS NOT NULL")
    rows += deployment.query("SELECT counterparty_name FROM bank_transactions WHERE length(counterparty_name) > 6")
    rows += deployment.query("SELECT consent_id FROM bank_connections")
    secrets = {str(row[0]) for row in rows}
    assert len(secrets) > 20
    log = "\n".join(json.dumps(line, ensure_ascii=False) for line in story)
    with redis.Redis.from_url(deployment.redis_url) as client:
        stored = "\n".join(f"{key!r} {value!r}" for key, value in _everything(client))
    async with aiohttp.request("GET", f"http://127.0.0.1:{METRICS_PORT}/metrics") as answer:
        numbers = await answer.text()
    for where, text in (("log", log), ("Redis", stored), ("numbers", numbers)):
        assert {secret for secret in secrets if secret in text} == set(), where
    assert 'bankimport_job_runs_total{bank="sandbox",error_code="reauth-required",outcome="failed"' in numbers
    assert 'bankimport_bank_request_seconds_count{bank="sandbox",scope="transactions",status="2xx"}' in numbers
    assert "acme" not in numbers


def _everything(client: "redis.Redis[bytes]") -> Iterator[tuple[bytes, Any]]:
    for key in client.scan_iter():
        kind = client.type(key)
        if kind == b"string":
            yield key, client.get(key)
        elif kind == b"hash":
            yield key, client.hgetall(key)
        elif kind == b"stream":
            yield key, client.xrange(key)
        elif kind == b"zset":
            yield key, client.zrange(key, 0, -1)
        elif kind == b"list":
            yield key, client.lrange(key, 0, -1)
        else:
            yield key, client.smembers(key)
