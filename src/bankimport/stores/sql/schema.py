"""The tables: a public contract (design §8), which hosts query. Columns marked internal are ours alone."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Numeric,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.types import TypeEngine

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Money(TypeDecorator[Decimal]):
    """An exact amount: NUMERIC where the database has it, decimal text in SQLite, whose numbers are binary floats."""

    impl = Numeric(28, 8)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the column's type in this database."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(String(40))
        return dialect.type_descriptor(Numeric(28, 8))

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        """Return the amount as the driver takes it."""
        return format(value, "f") if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        """Return the amount as it was given: NUMERIC's trailing zeros beyond the cents are gone."""
        if value is None:
            return None
        return Decimal(value) if dialect.name == "sqlite" else _shortened(value)


def _shortened(value: Decimal) -> Decimal:
    short = value.normalize()
    exponent = short.as_tuple().exponent
    return short.quantize(Decimal("0.01")) if isinstance(exponent, int) and exponent > -2 else short


class Instant(TypeDecorator[datetime]):
    """An aware instant, in UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the instant in UTC; SQLite keeps no zone."""
        if value is None:
            return None
        at = value.astimezone(UTC)
        return at.replace(tzinfo=None) if dialect.name == "sqlite" else at

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the instant, aware."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


_json = json.JSONEncoder(separators=(",", ":"), default=str).encode


class Json(TypeDecorator[Mapping[str, Any]]):
    """A JSON object as text: read back as it was, on every database."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Mapping[str, Any] | None, dialect: Dialect) -> str | None:
        """Return the object's text."""
        return None if value is None else _json(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        """Return the object."""
        return None if value is None else json.loads(value)


connections = Table(
    "bank_connections",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("org_id", String(128), nullable=False),
    Column("bank", String(128), nullable=False),
    Column("status", String(32), nullable=False),
    Column("status_reason", String(128)),
    Column("consent_id", String(512)),
    Column("consent_valid_until", Date),
    Column("credentials", Text),
    Column("last_sync_at", Instant),
    Column("next_sync_at", Instant),
    Column("asked_at", Instant),
    Column("created_at", Instant, nullable=False),
    Column("institution", String(256)),
    Column("fence", BigInteger, nullable=False, server_default="0"),  # internal: the latest run that has written
    Index(None, "org_id", "id"),
    Index(None, "consent_valid_until"),
)

accounts = Table(
    "bank_accounts",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("connection_id", ForeignKey("bank_connections.id", ondelete="CASCADE"), nullable=False),
    Column("stable_key", String(128), nullable=False),
    Column("provider_id", String(512), nullable=False),
    Column("consent_id", String(512)),  # internal: the consent under which `provider_id` was listed
    Column("iban", String(64)),
    Column("currency", String(8)),
    Column("name", Text),
    Column("kind", String(64)),
    Column("is_listed", Boolean, nullable=False, server_default="1"),
    Column("undecided", String(16)),
    Column("version", BigInteger, nullable=False, server_default="0"),  # internal: compare-and-set
    Column("coverage", Text, nullable=False, server_default="[]"),  # internal: days read completely on two days
    Column("memory", Text, nullable=False, server_default="{}"),  # internal: what else its reads have taught
    Column("cursor", Text),  # internal: of a delta
    Column("attended_only", Boolean, nullable=False, server_default="0"),  # internal
    UniqueConstraint("connection_id", "stable_key"),
)

account_references = Table(
    "bank_account_references",
    metadata,
    Column("account_id", ForeignKey("bank_accounts.id", ondelete="CASCADE"), primary_key=True),
    Column("kind", String(64), primary_key=True),
    Column("value", String(128), primary_key=True),
    Index(None, "value"),
)

# Internal as a whole. No foreign key to the connection: a callback that comes late finds how it ended.
authorisations = Table(
    "bank_authorisations",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("state_hash", String(64), nullable=False),
    Column("org_id", String(128), nullable=False),
    Column("connection_id", String(128), nullable=False),
    Column("bank", String(128), nullable=False),
    Column("user_id", String(256), nullable=False),
    Column("is_renewal", Boolean, nullable=False),
    Column("return_to", Text),
    Column("consent_id", String(512)),
    Column("details", Json, nullable=False),
    Column("secrets", Text),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("step", String(16), nullable=False),
    Column("claimed_at", Instant),
    Column("outcome", String(16)),
    Column("reason", String(64)),
    Column("same_login", String(128)),
    Column("institution", String(256)),
    UniqueConstraint("state_hash"),
    Index(None, "connection_id", "created_at"),
    Index(None, "org_id", "expires_at"),
    Index(None, "user_id", "bank"),
)

transactions = Table(
    "bank_transactions",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("account_id", ForeignKey("bank_accounts.id", ondelete="CASCADE"), nullable=False),
    Column("status", String(16), nullable=False),
    Column("booking_date", Date),
    Column("value_date", Date),
    Column("amount", Money, nullable=False),
    Column("currency", String(8), nullable=False),
    Column("counterparty_name", Text),
    Column("counterparty_iban", String(64)),
    Column("remittance", Text),
    Column("missing_at_bank", Integer, nullable=False, server_default="0"),
    Column("first_seen_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("raw", Json),
    Column("day", Date, nullable=False),  # internal: the date that reconciliation goes by
    Column("deleted_by_user", Boolean, nullable=False, server_default="0"),  # internal
    Index(None, "account_id", "day"),
)

# A row's aliases go with it; a foreign key of their own to the account would only be checked once more for each.
transaction_ids = Table(
    "bank_transaction_ids",
    metadata,
    Column("account_id", String(64), primary_key=True),
    Column("namespace", String(64), primary_key=True),
    Column("value", String(512), primary_key=True),
    Column("transaction_id", ForeignKey("bank_transactions.id", ondelete="CASCADE"), primary_key=True),
    Column("quality", String(8), nullable=False),  # internal
    Index(None, "transaction_id"),
    sqlite_with_rowid=False,  # all but a word of it is its primary key
)

balances = Table(
    "bank_balances",
    metadata,
    Column("account_id", ForeignKey("bank_accounts.id", ondelete="CASCADE"), primary_key=True),
    Column("balance_type", String(64), primary_key=True),
    Column("amount", Money, nullable=False),
    Column("currency", String(8), nullable=False),
    Column("reference_date", Date),
    Column("fetched_at", Instant),
)

# Append-only: a trigger refuses updates. Not public: `bank_import.audit` and the page *Audit* read it.
audit = Table(
    "bank_audit",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("at", Instant, nullable=False),
    Column("who", String(256)),
    Column("via", String(16), nullable=False),
    Column("action", String(64), nullable=False),
    Column("org_id", String(128)),
    Column("subject", String(256)),
    Column("reason", Text),
    Column("facts", Json, nullable=False),
    Index(None, "org_id", "id"),
    Index(None, "subject", "id"),
)
