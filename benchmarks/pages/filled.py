"""What the pages are looked at over: jobs, connections with their accounts, figures of banks, the audit log."""

import json
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import redis
from sqlalchemy import insert
from tests.queue.driver import Driver

from bankimport.models import AuditEntry, RequestOutcome
from bankimport.queue.queue import Queue
from bankimport.status import ConnectionStatus, JobState
from bankimport.stores import SqlStore
from bankimport.stores.sql.schema import accounts, balance_history, connections
from bankimport.watch.bank_figures import step_of
from benchmarks.filling import DAY, Copies, copy

_BANKS, _ORGANISATIONS, _EACH, _AUDIT = 8, 1000, 2, 10_000
_CODES = ("transient", "timeout", "bank-rejected", "consent-expired", "account-unavailable")
_KINDS = [(code, f"bank-{n}") for n in range(_BANKS) for code in _CODES]
_SHARES = {JobState.COMPLETED: 0.8, JobState.FAILED: 0.15, JobState.CANCELLED: 0.05}
BANKS = json.dumps({f"bank-{n}": {"type": "berlin-group", "base_url": "https://bank.example"} for n in range(_BANKS)})


async def store(filled: SqlStore, number: int) -> None:
    """Write connections of a thousand organisations at eight banks, each with two accounts of half a year; a year of
    balances of the first organisation's; and ten thousand entries of the audit log."""
    now = datetime.now(UTC)
    rows, theirs, history = [], [], []
    for n in range(number):
        rows.append(_connection(n, now))
        theirs += [_account(n, each, now) for each in range(_EACH)]
        if n % _ORGANISATIONS == 1:
            history += [_balance(f"a{n:06}-{each}", day, now) for each in range(_EACH) for day in range(365)]
    async with filled._engine.begin() as db:  # ten thousand through its methods take a minute
        for table, values in ((connections, rows), (accounts, theirs), (balance_history, history)):
            for start in range(0, len(values), 1000):
                await db.execute(insert(table), values[start : start + 1000])
    for n in range(min(_AUDIT, number)):
        at = now - timedelta(minutes=n)
        entry = AuditEntry(id=f"{n:026}", at=at, who="mira", via="page", action="jobs.retry", org_id=f"org-{n % 1000}")
        await filled.add_audit_entry(entry)


def _connection(n: int, now: datetime) -> dict[str, object]:
    status = ConnectionStatus.ERROR if n % 20 == 0 else ConnectionStatus.ACTIVE
    return {
        "id": f"c{n:06}", "org_id": f"org-{n % _ORGANISATIONS}", "bank": f"bank-{n % _BANKS}", "status": status.value,
        "consent_id": f"consent-{n}", "consent_valid_until": now.date() + timedelta(days=n % 180 - 2),
        "last_sync_at": now - timedelta(hours=n % 30), "created_at": now - timedelta(days=100),
    }  # fmt: skip


def _account(n: int, each: int, now: datetime) -> dict[str, object]:
    today = now.date()
    read = ((170, 60), (50, 0))  # and a gap between them
    days = [[str(today - timedelta(days=since)), str(today - timedelta(days=until))] for since, until in read]
    return {
        "id": f"a{n:06}-{each}", "connection_id": f"c{n:06}", "stable_key": f"k{each}", "provider_id": f"p{n}-{each}",
        "iban": f"DE{n:018}{each:02}", "currency": "EUR", "kind": "CACC", "coverage": json.dumps(days),
    }  # fmt: skip


def _balance(account_id: str, day: int, now: datetime) -> dict[str, object]:
    at = now - timedelta(days=day)
    return {
        "account_id": account_id, "balance_type": "closingBooked", "day": at.date(), "fetched_at": at,
        "amount": Decimal(day * 17 % 5000), "currency": "EUR",
    }  # fmt: skip


async def jobs(admin: redis.Redis, driver: Driver, number: int) -> str:
    """Copy real ended jobs, of twenty days and a thousand organisations, the failed ones of eight banks and five codes;
    return the id of one that failed."""
    patterns = {}
    for state in _SHARES:
        await driver.ask(state.value)
        if state is JobState.CANCELLED:
            await driver.queue.cancel(next(iter(await driver.ids(JobState.WAITING))))
        else:
            [claim] = await driver.claim(1)
            await (driver.complete(claim) if state is JobState.COMPLETED else driver.fail(claim, bank="bank-0"))
        [patterns[state]] = await driver.ids(state)
    first = 0
    for state, share in _SHARES.items():
        kinds = _KINDS if state is JobState.FAILED else [("", "")]
        part = max(1, int(number * share / len(kinds)))
        for code, bank in kinds:
            copies = Copies(patterns[state], state, part, first, 20 * DAY / part, _ORGANISATIONS, code, bank)
            copy(admin, driver.queue.keys, copies)
            first += part
    return patterns[JobState.FAILED]


async def banks(queue: Queue) -> None:
    """Write a week of figures of each bank."""
    now, seed = datetime.now(UTC).timestamp(), random.Random(1)  # not a secret
    for n in range(_BANKS):
        async with queue.client.pipeline(transaction=False) as pipe:
            sizes = (("bank_minute", 60, 60), ("bank_hour", 3600, 24), ("bank_quarter", 21600, 28))
            for name, slot in [
                (name, int(now // size) - back) for name, size, number in sizes for back in range(number)
            ]:
                times = {f"t:{step_of(seed.uniform(0.05, 4))}": seed.randrange(1, 90) for _ in range(12)}
                errors = {f"r:{each.value}": seed.randrange(1, 9) for each in RequestOutcome}
                pipe.hset(queue.keys.of(name, f"bank-{n}", str(slot)), mapping={**times, **errors, "q": 3})
            await pipe.execute()
