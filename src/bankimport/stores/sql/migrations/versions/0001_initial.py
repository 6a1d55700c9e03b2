"""The first schema: connections, accounts, transactions, their aliases, balances.

Revision: 0001, after nothing
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _money() -> sa.types.TypeEngine:  # type: ignore[type-arg]  # whichever the database has
    sqlite = op.get_bind().dialect.name == "sqlite"
    return sa.String(40) if sqlite else sa.Numeric(28, 8)


def upgrade() -> None:
    """Create the tables."""
    instant = sa.DateTime(timezone=True)
    op.create_table(
        "bank_connections",
        sa.Column("id", sa.String(128), nullable=False),
        sa.Column("org_id", sa.String(128), nullable=False),
        sa.Column("bank", sa.String(128), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("status_reason", sa.String(128)),
        sa.Column("consent_id", sa.String(512)),
        sa.Column("consent_valid_until", sa.Date),
        sa.Column("credentials", sa.Text),
        sa.Column("last_sync_at", instant),
        sa.Column("next_sync_at", instant),
        sa.Column("created_at", instant, nullable=False),
        sa.Column("fence", sa.BigInteger, server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_bank_connections"),
    )
    op.create_index("ix_bank_connections_org_id_id", "bank_connections", ["org_id", "id"])
    op.create_index("ix_bank_connections_consent_valid_until", "bank_connections", ["consent_valid_until"])
    op.create_table(
        "bank_accounts",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("connection_id", sa.String(128), nullable=False),
        sa.Column("stable_key", sa.String(128), nullable=False),
        sa.Column("provider_id", sa.String(512), nullable=False),
        sa.Column("iban", sa.String(64)),
        sa.Column("currency", sa.String(8)),
        sa.Column("name", sa.Text),
        sa.Column("kind", sa.String(64)),
        sa.Column("version", sa.BigInteger, server_default="0", nullable=False),
        sa.Column("coverage", sa.Text, server_default="[]", nullable=False),
        sa.Column("cursor", sa.Text),
        sa.Column("attended_only", sa.Boolean, server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["bank_connections.id"], name="fk_bank_accounts_connection_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_bank_accounts"),
        sa.UniqueConstraint("connection_id", "stable_key", name="uq_bank_accounts_connection_id_stable_key"),
    )
    op.create_table(
        "bank_transactions",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("booking_date", sa.Date),
        sa.Column("value_date", sa.Date),
        sa.Column("amount", _money(), nullable=False),
        sa.Column("currency", sa.String(8), nullable=False),
        sa.Column("counterparty_name", sa.Text),
        sa.Column("counterparty_iban", sa.String(64)),
        sa.Column("remittance", sa.Text),
        sa.Column("missing_at_bank", sa.Integer, server_default="0", nullable=False),
        sa.Column("first_seen_at", instant, nullable=False),
        sa.Column("updated_at", instant, nullable=False),
        sa.Column("raw", sa.Text),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("deleted_by_user", sa.Boolean, server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["bank_accounts.id"], name="fk_bank_transactions_account_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_bank_transactions"),
    )
    op.create_index("ix_bank_transactions_account_id_day", "bank_transactions", ["account_id", "day"])
    op.create_table(
        "bank_transaction_ids",
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("namespace", sa.String(64), nullable=False),
        sa.Column("value", sa.String(512), nullable=False),
        sa.Column("transaction_id", sa.String(64), nullable=False),
        sa.Column("quality", sa.String(8), nullable=False),
        sa.ForeignKeyConstraint(
            ["transaction_id"],
            ["bank_transactions.id"],
            name="fk_bank_transaction_ids_transaction_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("account_id", "namespace", "value", "transaction_id", name="pk_bank_transaction_ids"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_bank_transaction_ids_transaction_id", "bank_transaction_ids", ["transaction_id"])
    op.create_table(
        "bank_balances",
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("balance_type", sa.String(64), nullable=False),
        sa.Column("amount", _money(), nullable=False),
        sa.Column("currency", sa.String(8), nullable=False),
        sa.Column("reference_date", sa.Date),
        sa.Column("fetched_at", instant),
        sa.ForeignKeyConstraint(
            ["account_id"], ["bank_accounts.id"], name="fk_bank_balances_account_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("account_id", "balance_type", name="pk_bank_balances"),
    )


def downgrade() -> None:
    """Drop the tables, with everything in them."""
    for table in (
        "bank_balances",
        "bank_transaction_ids",
        "bank_transactions",
        "bank_accounts",
        "bank_connections",
    ):
        op.drop_table(table)
