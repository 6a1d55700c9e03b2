"""What every `BankStore` must do. A store's test subclasses `StoreContract` and gives it a `store` fixture."""

import asyncio
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from bankimport.errors import LeaseLost
from bankimport.models import (
    Balance,
    BankAccount,
    BankConnection,
    BankId,
    Consent,
    ConsentStatus,
    DayRead,
    Doubt,
    DoubtReason,
    IdQuality,
    IdWorth,
    Interval,
    Memory,
    RowStatus,
    StoredTransaction,
    Transaction,
    TransactionStatus,
    Window,
)
from bankimport.ports import BankStore, ChangeSet, NewRow, RowMark, RowUpdate
from bankimport.status import ConnectionStatus

DAY = date(2026, 3, 10)
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
ALWAYS = Window(date(2000, 1, 1))


def transaction(number: int = 0, **changes: Any) -> Transaction:
    """Return a booked transaction; `number` makes it different from others."""
    fields: dict[str, Any] = {
        "status": TransactionStatus.BOOKED,
        "day": DAY + timedelta(days=number % 30),
        "amount": Decimal(f"-{number}.05"),
        "currency": "EUR",
        "booking_date": DAY + timedelta(days=number % 30),
        "value_date": DAY,
        "ids": (BankId("transactionId", f"t{number}"), BankId("endToEndId", "shared", IdQuality.WEAK)),
        "counterparty_name": "Café Nord",
        "counterparty_iban": "DE02120300000000202051",
        "remittance": "zwei Kaffee",
        "raw": {"number": number},
    }
    return Transaction(**{**fields, **changes})


def inserts(*numbers: int) -> ChangeSet:
    """Return a change set of new rows, one a number."""
    return ChangeSet(inserts=[NewRow(f"row-{number}", transaction(number)) for number in numbers])


class Lazy(Collection[NewRow]):
    """New rows made as they are read, again and again."""

    def __init__(self, count: int, first: int = 0) -> None:
        self._count = count
        self._first = first

    def __len__(self) -> int:
        return self._count

    def __contains__(self, row: object) -> bool:
        return any(row == each for each in self)

    def __iter__(self) -> Iterator[NewRow]:
        for number in range(self._first, self._first + self._count):
            yield NewRow(f"lazy-{number}", transaction(number))


async def rows_of(store: BankStore, account: BankAccount) -> dict[str, StoredTransaction]:
    """Return all rows of an account by id."""
    rows, _ = await store.load_rows(account, ALWAYS, ())
    return {row.id: row for row in rows}


class StoreContract:
    """The promises, one a test. `add` makes a connection in the store under test."""

    async def add(self, store: Any, org_id: str = "acme", **fields: Any) -> BankConnection:
        """Add a connection."""
        connection_id = await store.add_connection(org_id=org_id, bank="sandbox", **fields)
        connection: BankConnection | None = await store.connection(connection_id)
        assert connection is not None
        return connection

    async def account(self, store: Any, *, fence: int = 1) -> BankAccount:
        """Add a connection with one account."""
        connection = await self.add(store)
        listed: Sequence[BankAccount] = await store.upsert_accounts(
            connection, [BankAccount("r1", "k1", "EUR")], fence=fence
        )
        return listed[0]

    async def test_a_connection_comes_back_as_it_was_added(self, store: Any) -> None:
        """What was added is what is read."""
        until = date(2026, 9, 1)
        added = await self.add(store, consent_id="c-1", valid_until=until)
        assert (added.org_id, added.bank, added.consent_id, added.consent_valid_until) == (
            "acme",
            "sandbox",
            "c-1",
            until,
        )
        assert added.status is ConnectionStatus.ACTIVE

    async def test_an_unknown_connection_is_none(self, store: Any) -> None:
        """Nothing is made up."""
        assert await store.connection("nobody") is None

    async def test_connections_of_an_organisation_are_its_own(self, store: Any) -> None:
        """Another organisation's connections are never among them, and the order is stable."""
        ours = {(await self.add(store)).id for _ in range(3)}
        await self.add(store, "globex")
        listed = [connection.id for connection in await store.connections("acme")]
        assert set(listed) == ours
        assert listed == [connection.id for connection in await store.connections("acme")]

    async def test_syncable_organisations_come_once_in_a_stable_order(self, store: Any) -> None:
        """Each organisation with a syncable connection, once: ACTIVE, ERROR, and REQUIRES_REAUTH while it is valid."""
        for org_id in ("b", "a", "a", "c", "d", "e", "f", "g", "h"):
            await self.add(store, org_id)
        statuses = {"c": ConnectionStatus.DISCONNECTED, "d": ConnectionStatus.ERROR}
        for org_id, status in statuses.items():
            [connection] = await store.connections(org_id)
            await store.set_connection_status(connection.id, [ConnectionStatus.ACTIVE], status)
        today, yesterday = NOW.date(), NOW.date() - timedelta(days=1)
        ending = f"consent-ending:{today}:1"
        for org_id, until, reason in (
            ("e", today, None),
            ("f", yesterday, ending),
            ("g", today, "revoked"),
            ("h", today, ending),
        ):
            [connection] = await store.connections(org_id)
            await store.set_connection_status(
                connection.id, [ConnectionStatus.ACTIVE], ConnectionStatus.REQUIRES_REAUTH, reason
            )
            await store.set_consent(connection.id, Consent(ConsentStatus.VALID, until))
        assert [org_id async for org_id in store.syncable_organisations(NOW)] == ["a", "b", "d", "e", "h"]

    async def test_consents_that_end_soon_are_found(self, store: Any) -> None:
        """All that end before the day, grouped by organisation; none that was disconnected or has no end."""
        for org_id, until in (("b", DAY), ("a", DAY), ("a", DAY + timedelta(days=9)), ("a", None)):
            await self.add(store, org_id, valid_until=until)
        gone = await self.add(store, "a", valid_until=DAY)
        await store.set_connection_status(gone.id, [ConnectionStatus.ACTIVE], ConnectionStatus.DISCONNECTED)
        found = [each.org_id async for each in store.consents_ending(DAY + timedelta(days=7))]
        assert found == ["a", "b"]

    async def test_a_status_changes_only_from_what_it_is(self, store: Any) -> None:
        """Compare and set: the answer says whether something changed."""
        added = await self.add(store)
        error = ConnectionStatus.ERROR
        assert not await store.set_connection_status(added.id, [ConnectionStatus.DISCONNECTED], error)
        assert await store.set_connection_status(added.id, [ConnectionStatus.ACTIVE], error, "why")
        assert not await store.set_connection_status(added.id, [error], error, "why")
        assert await store.set_connection_status(added.id, [error], error, "other")
        now = await store.connection(added.id)
        assert (now.status, now.status_reason) == (error, "other")

    async def test_a_sync_is_noted(self, store: Any) -> None:
        """When it was, and when the next is due."""
        added = await self.add(store)
        await store.note_sync(added.id, NOW, NOW + timedelta(hours=8))
        now = await store.connection(added.id)
        assert (now.last_sync_at, now.next_sync_at) == (NOW, NOW + timedelta(hours=8))
        await store.note_sync(added.id, None, NOW + timedelta(hours=24))
        await store.note_asked(added.id, NOW + timedelta(hours=1))
        now = await store.connection(added.id)
        assert (now.last_sync_at, now.next_sync_at) == (NOW, NOW + timedelta(hours=24))
        assert now.asked_at == NOW + timedelta(hours=1)

    async def test_accounts_keep_their_ids_over_a_renewed_consent(self, store: Any) -> None:
        """The same stable key with a new resource id is the same account; the order is the caller's."""
        connection = await self.add(store)
        first = await store.upsert_accounts(
            connection, [BankAccount("r1", "k1", "EUR"), BankAccount("r2", "k2", "EUR")], fence=1
        )
        again = await store.upsert_accounts(
            connection, [BankAccount("n2", "k2", "EUR"), BankAccount("n1", "k1", "EUR")], fence=2
        )
        assert [account.id for account in again] == [first[1].id, first[0].id]
        assert [account.provider_id for account in again] == ["n2", "n1"]

    async def test_a_row_comes_back_with_everything(self, store: Any) -> None:
        """Amount, sign, dates, currency, texts and aliases are as they were written."""
        account = await self.account(store)
        assert await store.apply(account, 0, inserts(7), None, None, 1)
        row = (await rows_of(store, account))["row-7"]
        expected = transaction(7)
        assert row.status is RowStatus.BOOKED
        for field in ("day", "amount", "currency", "booking_date", "value_date", "counterparty_name", "remittance"):
            assert getattr(row.transaction, field) == getattr(expected, field)
        assert set(row.transaction.ids) == set(expected.ids)

    @pytest.mark.parametrize("amount", ["0.01", "-0.1", "12345678901234.56", "1.2345", "100", "-99999999999999.99"])
    async def test_amounts_are_exact(self, store: Any, amount: str) -> None:
        """No amount passes through a binary float."""
        account = await self.account(store)
        changes = ChangeSet(inserts=[NewRow("r", transaction(1, amount=Decimal(amount)))])
        await store.apply(account, 0, changes, None, None, 1)
        assert (await rows_of(store, account))["r"].transaction.amount == Decimal(amount)

    async def test_rows_of_a_window_and_rows_that_are_named(self, store: Any) -> None:
        """A row outside the window is loaded when an id names it, with all its aliases, and once."""
        account = await self.account(store)
        await store.apply(account, 0, inserts(0, 5, 20), None, None, 1)
        window = Window(DAY + timedelta(days=5), DAY + timedelta(days=6))
        named = [BankId("transactionId", "t20"), BankId("transactionId", "t5"), BankId("transactionId", "nobody")]
        rows, version = await store.load_rows(account, window, named)
        assert sorted(row.id for row in rows) == ["row-20", "row-5"]
        assert {len(row.transaction.ids) for row in rows} == {2}
        assert version == 1

    async def test_a_lost_race_writes_nothing(self, store: Any) -> None:
        """Of two writers with the same version one wins; the other is told, and none of its rows is there."""
        account = await self.account(store)
        answers = await asyncio.gather(
            *(store.apply(account, 0, inserts(number), None, None, 1) for number in (1, 2, 3, 4))
        )
        assert sorted(answers) == [False, False, False, True]
        assert len(await rows_of(store, account)) == 1
        assert (await store.account_state(account)).version == 1

    async def test_rows_memory_and_cursor_are_written_together(self, store: Any) -> None:
        """One transaction for all; `None` leaves what is remembered, and all of it comes back as it was."""
        account = await self.account(store)
        memory = Memory(
            (Interval(DAY, DAY + timedelta(days=3)), Interval(DAY + timedelta(days=9), DAY + timedelta(days=9))),
            (DayRead(DAY + timedelta(days=4), DAY + timedelta(days=5), DAY + timedelta(days=6)),),
            {"transactionId": IdWorth(12.5, 0.25, True)},
            (Doubt(DoubtReason.EDGE, TransactionStatus.BOOKED, DAY, Decimal("-3.50"), "EUR"),),
            timedelta(days=60),
        )
        await store.apply(account, 0, inserts(1), memory, "cursor-1", 1)
        await store.apply(account, 1, ChangeSet(), None, "cursor-2", 1)
        state = await store.account_state(account)
        assert (state.version, state.memory, state.cursor) == (2, memory, "cursor-2")

    async def test_an_update_keeps_the_row_and_adds_aliases(self, store: Any) -> None:
        """Pending becomes booked in the same row; old ids go on naming it."""
        account = await self.account(store)
        pending = transaction(1, status=TransactionStatus.PENDING, booking_date=None)
        await store.apply(account, 0, ChangeSet(inserts=[NewRow("r", pending)]), None, None, 1)
        booked = transaction(1, ids=(BankId("transactionId", "new"),), amount=Decimal("-3.20"))
        await store.apply(account, 1, ChangeSet(updates=[RowUpdate("r", RowStatus.BOOKED, booked)]), None, None, 1)
        row = (await rows_of(store, account))["r"]
        assert (row.status, row.transaction.amount) == (RowStatus.BOOKED, Decimal("-3.20"))
        assert {alias.value for alias in row.transaction.ids} == {"t1", "shared", "new"}

    async def test_a_mark_changes_bookkeeping_alone(self, store: Any) -> None:
        """Removed and missing rows stay, with all they hold."""
        account = await self.account(store)
        await store.apply(account, 0, inserts(1), None, None, 1)
        await store.apply(account, 1, ChangeSet(marks=[RowMark("row-1", RowStatus.REMOVED, 2)]), None, None, 1)
        row = (await rows_of(store, account))["row-1"]
        assert (row.status, row.missing_at_bank, row.transaction.amount) == (RowStatus.REMOVED, 2, Decimal("-1.05"))

    async def test_an_older_run_is_refused(self, store: Any) -> None:
        """From the moment a later run has been there, an earlier one can write neither accounts nor rows."""
        account = await self.account(store, fence=5)
        [connection] = await store.connections("acme")
        with pytest.raises(LeaseLost):
            await store.apply(account, 0, inserts(1), None, None, 4)
        with pytest.raises(LeaseLost):
            await store.upsert_accounts(connection, [BankAccount("r1", "k1")], fence=4)
        assert await rows_of(store, account) == {}
        assert await store.apply(account, 0, inserts(1), None, None, 6)
        with pytest.raises(LeaseLost):
            await store.apply(account, 1, inserts(2), None, None, 5)

    async def test_balances_replace_those_of_their_type(self, store: Any) -> None:
        """The last one counts."""
        account = await self.account(store)
        for amount in ("1.10", "-2.20"):
            await store.put_balances(account, [Balance("closingBooked", Decimal(amount), "EUR", DAY, NOW)])
        await store.put_balances(account, [])

    async def test_balances_over_time(self, store: Any) -> None:
        """Of each day the last one read is kept, type by type; days that aren't asked for are left out."""
        account = await self.account(store)
        for day, amount in ((0, "1.10"), (0, "2.20"), (1, "3.30"), (5, "4.40")):
            at = NOW + timedelta(days=day)
            await store.put_balances(account, [Balance("closingBooked", Decimal(amount), "EUR", DAY, at)])
        await store.put_balances(account, [Balance("expected", Decimal("9.90"), "EUR", None, NOW)])
        found = await store.balance_history(account.id, NOW.date(), NOW.date() + timedelta(days=2))
        assert [(each.balance_type, str(each.amount), each.fetched_at) for each in found] == [
            ("closingBooked", "2.20", NOW),
            ("closingBooked", "3.30", NOW + timedelta(days=1)),
            ("expected", "9.90", NOW),
        ]

    async def test_attended_only_is_noted_once(self, store: Any) -> None:
        """The answer says whether it is new."""
        account = await self.account(store)
        assert await store.set_attended_only(account)
        assert not await store.set_attended_only(account)
        assert await store.set_attended_only(account, only=False)
        assert not await store.set_attended_only(account, only=False)
        assert await store.set_attended_only(account)
        assert (await store.account_state(account)).attended_only

    async def test_a_large_change_set_is_streamed(self, store: Any) -> None:
        """Inserts may be made as they are read; a slice at a time is in memory."""
        account = await self.account(store)
        assert await store.apply(account, 0, ChangeSet(inserts=Lazy(5000)), None, None, 1)
        assert len(await rows_of(store, account)) == 5000

    async def test_many_organisations_stream(self, store: Any) -> None:
        """More than a page of them come, each once."""
        for number in range(30):
            await self.add(store, f"org-{number:04}")
        found: Sequence[str] = [org_id async for org_id in store.syncable_organisations(NOW)]
        assert found == [f"org-{number:04}" for number in range(30)]
