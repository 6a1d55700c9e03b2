"""How long does a person wait for a page? With a million finished jobs in Redis and 10,000 connections in the store.

The host is a process of its own, as it is deployed; its pages are asked for one after the other over one connection,
and are timed from the first byte that is sent to the last that is read.
"""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp
from tests.processes import ROOT, free_port
from tests.queue.driver import Driver

from bankimport.stores import SqlStore, upgrade_async
from benchmarks.bench import Bench, note, our_queue
from benchmarks.pages import filled
from benchmarks.table import lines, percentile

#: What is wanted of 95 in 100: of operators' pages, and of the page of one organisation.
OPERATORS, ORGANISATIONS = 200.0, 50.0
HEAD = ("page", "p50 ms", "p95 ms", "longest ms", "kB", "wanted p95", "met")
_FULL, _CONNECTIONS, _TIMES, _WARM = 1_000_000, 10_000, 100, 5
_PAGES = {
    "Now": "/dashboard",
    "Jobs": "/dashboard/jobs",
    "Jobs, failed": "/dashboard/jobs?state=failed",
    "Jobs, failed at a bank": "/dashboard/jobs?state=failed&bank=bank-1",
    "Jobs of an organisation": "/dashboard/jobs?org=org-1",
    "Jobs of a connection": "/dashboard/jobs?org=org-1&connection=c000001",
    "A job": "/dashboard/jobs/{job}",
    "Before a bulk retry": "/dashboard/bulk?action=retry&scope=all&state=failed&code=transient&bank=bank-1",
    "Failures": "/dashboard/failures",
    "Connections": "/dashboard/connections",
    "Connections, needing renewal": "/dashboard/connections?health=needs-renewal",
    "A connection": "/dashboard/connections/c000001",
    "Banks, a day": "/dashboard/banks",
    "Banks, a week": "/dashboard/banks?period=week",
    "Webhooks": "/dashboard/webhooks",
    "Workers and schedules": "/dashboard/workers",
    "Audit": "/dashboard/audit",
    "One organisation's own": "/organisations/org-1/bank-connections/page",
}


async def measure(bench: Bench) -> str:
    """Return the table."""
    with TemporaryDirectory(prefix="pages-") as directory:
        url = f"sqlite+aiosqlite:///{Path(directory) / 'bank.db'}"
        bench.admin.flushall()
        job_id = await _fill(bench, url)
        origin = _host(bench, url)
        rows = []
        async with aiohttp.ClientSession(cookies={"role": "operator"}) as session:
            for name, path in _PAGES.items():
                note(f"  {name}")
                address = f"{origin}/banking{path.format(job=job_id)}"
                rows.append(_row(name, path, *await _asked(session, address, bench.count(_TIMES))))
    return lines(HEAD, rows)


async def _fill(bench: Bench, url: str) -> str:
    number, connections = bench.count(_FULL), bench.count(_CONNECTIONS)
    note(f"  {connections:,} connections, {number:,} finished jobs")
    await upgrade_async(url)
    store = SqlStore(url, environment="development")
    await filled.store(store, connections)
    await store.aclose()
    async with our_queue(bench) as queue:
        driver = Driver(queue)
        job_id = await filled.jobs(bench.admin, driver, number)
        await filled.banks(queue)
    return job_id


def _host(bench: Bench, url: str) -> str:
    port = free_port()
    environment = {
        "REDIS_URL": bench.url,
        "BANK_SYNC_DATABASE_URL": url,
        "BANK_SYNC_BANKS": filled.BANKS,
        "BANK_SYNC_LOG_LEVEL": "WARNING",
        "HOST_PORT": str(port),
        "PYTHONPATH": str(ROOT),
    }
    program = str(ROOT / "tests" / "browser" / "pages_host.py")
    bench.processes.python("pages", program, environment=environment).line_sync("Running on")
    return f"http://127.0.0.1:{port}"


async def _asked(session: aiohttp.ClientSession, address: str, number: int) -> tuple[list[float], int]:
    """Return how long (ms) each answer took, and how large the last one was."""
    times, size = [], 0
    for turn in range(number + _WARM):
        began = time.monotonic()
        async with session.get(address, headers={"Accept-Encoding": "identity"}) as answer:
            text = await answer.read()
        took = 1000 * (time.monotonic() - began)
        if answer.status != 200:
            raise RuntimeError(f"{address} answered {answer.status}: {text[:2000]!r}")
        size = len(text)
        if turn >= _WARM:
            times.append(took)
        await asyncio.sleep(0)
    return times, size


def _row(name: str, path: str, times: Sequence[float], size: int) -> list[str]:
    wanted = OPERATORS if path.startswith("/dashboard") else ORGANISATIONS
    slow = percentile(times, 0.95)
    figures = [f"{percentile(times, 0.5):.1f}", f"{slow:.1f}", f"{max(times):.1f}", f"{size / 1000:.0f}"]
    return [name, *figures, f"≤ {wanted:.0f} ms", "yes" if slow <= wanted else "**no**"]
