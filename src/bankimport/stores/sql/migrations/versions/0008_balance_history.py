"""Balances over time: the last one read of each day. What is known today is the first.

Revision: 0008, after 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table, and begin it with the balances that are known."""
    table = "bank_balance_history"
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    op.create_table(
        table,
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("balance_type", sa.String(64), nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("amount", sa.String(40) if is_sqlite else sa.Numeric(28, 8), nullable=False),
        sa.Column("currency", sa.String(8), nullable=False),
        sa.Column("reference_date", sa.Date),
        sa.Column("fetched_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "balance_type", "day", name=f"pk_{table}"),
        sa.ForeignKeyConstraint(
            ["account_id"], ["bank_accounts.id"], name=f"fk_{table}_account_id", ondelete="CASCADE"
        ),
    )
    day = "date(fetched_at)" if is_sqlite else "CAST(fetched_at AT TIME ZONE 'UTC' AS date)"
    columns = "amount, currency, reference_date, fetched_at"
    op.execute(
        f"INSERT INTO {table} (account_id, balance_type, day, {columns}) "  # noqa: S608  # constants
        f"SELECT account_id, balance_type, {day}, {columns} FROM bank_balances WHERE fetched_at IS NOT NULL"
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("bank_balance_history")
