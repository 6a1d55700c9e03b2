"""What every `ErasingStore` must do. A store's test subclasses it and gives it a `store` fixture: an empty store."""

from datetime import UTC, date, datetime
from typing import Any

from bankimport.models import AuditEntry, AuditFilter, BankAccount
from bankimport.status import ConnectionStatus

AT = datetime(2026, 3, 10, 12, tzinfo=UTC)


async def _fill(store: Any) -> None:
    """Give two organisations a connection with an account each, and an entry about each."""
    for org_id in ("gone", "stays"):
        name = f"{org_id}-giro"
        await store.add_connection(
            org_id=org_id, bank="bank", consent_id="c", valid_until=date(2026, 9, 1), credentials={"a": "b"}, id=name
        )
        connection = await store.connection(name)
        await store.upsert_accounts(connection, [BankAccount("r", "k", "EUR")], fence=1)
        await store.add_audit_entry(
            AuditEntry(id=org_id, at=AT, via="page", action="connection.add", subject=f"connection:{name}")
        )


class ErasureContract:
    """The promises, one test each."""

    async def test_an_organisation_is_gone(self, store: Any) -> None:
        """Its connections, accounts and entries are gone, another's are as they were, and a second time there is
        nothing."""
        await _fill(store)
        removed = await store.erase_organisation("gone", keep_rows=False)
        assert removed["connections"] == 1
        assert list(await store.connections("gone")) == []
        assert list(await store.accounts("gone-giro")) == []
        assert len(await store.accounts("stays-giro")) == 1
        assert [each.id for each in await store.audit_entries(AuditFilter(), before=None, limit=9)] == ["stays"]
        assert set((await store.erase_organisation("gone", keep_rows=False)).values()) == {0}

    async def test_what_the_law_orders_stays(self, store: Any) -> None:
        """Under a legal hold the connection is cut and has no consent and no credentials; accounts and entries stay."""
        await _fill(store)
        await store.erase_organisation("gone", keep_rows=True)
        found = await store.connection("gone-giro")
        assert (found.status, found.consent_id, found.credentials) == (ConnectionStatus.DISCONNECTED, None, None)
        assert len(await store.accounts("gone-giro")) == 1
        assert len(await store.audit_entries(AuditFilter(), before=None, limit=9)) == 2
        assert (await store.connection("stays-giro")).credentials == {"a": "b"}
