"""The tables: a public contract (design §8), which hosts query. Columns marked internal are ours alone."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from bankimport.stores.sql.column_types import Instant, Json, Money

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


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

# The last one read of each day, for as long as the account is kept.
balance_history = Table(
    "bank_balance_history",
    metadata,
    Column("account_id", ForeignKey("bank_accounts.id", ondelete="CASCADE"), primary_key=True),
    Column("balance_type", String(64), primary_key=True),
    Column("day", Date, primary_key=True),
    Column("amount", Money, nullable=False),
    Column("currency", String(8), nullable=False),
    Column("reference_date", Date),
    Column("fetched_at", Instant, nullable=False),
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

# Not public: `bank_import.webhooks` and the page *Webhooks* read them. Their secrets are encrypted as credentials are.
webhook_endpoints = Table(
    "bank_webhook_endpoints",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("url", Text, nullable=False),
    Column("org_id", String(128)),
    Column("types", Text, nullable=False),
    Column("secrets", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("disabled_by", String(8)),
    Column("disabled_at", Instant),
    Column("failing_since", Instant),
    Column("taken_at", Instant),
    Index(None, "org_id"),
)

#: Positions grow: those of one connection are given out under the lock of its row, so they are in the order of commits.
_position = BigInteger().with_variant(Integer(), "sqlite")

webhook_deliveries = Table(
    "bank_webhook_deliveries",
    metadata,
    Column("position", _position, primary_key=True, autoincrement=True),
    Column("id", String(64), nullable=False),
    Column("endpoint_id", ForeignKey("bank_webhook_endpoints.id", ondelete="CASCADE"), nullable=False),
    Column("org_id", String(128), nullable=False),
    Column("connection_id", String(128), nullable=False),
    Column("type", String(64), nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("attempted_at", Instant),
    Column("status", Integer),
    Column("error", String(32)),
    UniqueConstraint("id"),
    Index("ix_bank_webhook_deliveries_lane", "endpoint_id", "connection_id", "state", "position"),
    Index(None, "org_id"),
    Index(None, "state", "created_at"),
)

# One row for each endpoint and connection. `next_at` is null while nothing waits.
webhook_lanes = Table(
    "bank_webhook_lanes",
    metadata,
    Column("endpoint_id", ForeignKey("bank_webhook_endpoints.id", ondelete="CASCADE"), primary_key=True),
    Column("connection_id", String(128), primary_key=True),
    Column("org_id", String(128), nullable=False),
    Column("next_at", Instant),
    Column("claim", String(32)),
    Column("claimed_until", Instant),
    Index(None, "next_at"),
    Index(None, "org_id"),
)
