"""Balances: what an account has now, and the last one read of each day."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import and_, delete, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bankimport.models import Balance, BankAccount
from bankimport.stores.sql.schema import balance_history, balances
from bankimport.stores.sql.transacting import transact

_B, _H = balances.c, balance_history.c


class Balances:
    """A part of the SQL store."""

    _engine: AsyncEngine
    _reader: AsyncEngine

    async def put_balances(self, account: BankAccount, balances_: Sequence[Balance]) -> None:
        """See `BankStore`; each is kept as its day's last one too."""
        rows: dict[str, dict[str, Any]] = {
            balance.balance_type: {
                "account_id": account.id,
                "balance_type": balance.balance_type,
                "amount": balance.amount,
                "currency": balance.currency,
                "reference_date": balance.reference_date,
                "fetched_at": balance.fetched_at or datetime.now(UTC),
            }
            for balance in balances_
        }
        dated = [{**row, "day": row["fetched_at"].astimezone(UTC).date()} for row in rows.values()]
        same = and_(_B.account_id == account.id, _B.balance_type.in_(list(rows)))
        that_day = [and_(_H.balance_type == row["balance_type"], _H.day == row["day"]) for row in dated]

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(delete(balances).where(same))
            await connection.execute(insert(balances), list(rows.values()))
            await connection.execute(delete(balance_history).where(_H.account_id == account.id, or_(*that_day)))
            await connection.execute(insert(balance_history), dated)

        if rows:
            await transact(self._engine, work)

    async def balance_history(self, account_id: str, since: date, until: date) -> Sequence[Balance]:
        """See `BalanceHistory`."""
        query = select(balance_history).where(_H.account_id == account_id, _H.day >= since, _H.day <= until)

        async def work(db: AsyncConnection) -> list[Balance]:
            found = await db.execute(query.order_by(_H.balance_type, _H.day))
            return [
                Balance(row.balance_type, row.amount, row.currency, row.reference_date, row.fetched_at) for row in found
            ]

        return await transact(self._reader, work)
