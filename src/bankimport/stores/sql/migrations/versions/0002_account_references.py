"""Accounts are recognised by their references: what named them before becomes one. A connection remembers when its bank
was last asked, for the day on which Redis is emptied.

Revision: 0002, after 0001
"""

import re

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table and the columns; a stored account was last listed under its connection's consent."""
    op.create_table(
        "bank_account_references",
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("value", sa.String(128), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["bank_accounts.id"],
            name="fk_bank_account_references_account_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("account_id", "kind", "value", name="pk_bank_account_references"),
    )
    op.create_index("ix_bank_account_references_value", "bank_account_references", ["value"])
    op.add_column("bank_connections", sa.Column("asked_at", sa.DateTime(timezone=True)))
    op.add_column("bank_accounts", sa.Column("consent_id", sa.String(512)))
    op.add_column("bank_accounts", sa.Column("is_listed", sa.Boolean, server_default="1", nullable=False))
    op.add_column("bank_accounts", sa.Column("undecided", sa.String(16)))
    op.execute(
        "UPDATE bank_accounts SET consent_id = "
        "(SELECT consent_id FROM bank_connections WHERE bank_connections.id = bank_accounts.connection_id)"
    )
    accounts = sa.table("bank_accounts", sa.column("id"), sa.column("stable_key"), sa.column("iban"))
    references = sa.table("bank_account_references", sa.column("account_id"), sa.column("kind"), sa.column("value"))
    bind = op.get_bind()
    for account_id, key, iban in bind.execute(sa.select(accounts.c.id, accounts.c.stable_key, accounts.c.iban)).all():
        named = {("key", key)}
        text = re.sub(r"[^A-Z0-9]", "", (iban or "").upper()).replace("X", "*")
        if text:
            parts = {text[4:], re.sub("^[A-Z]{4}", "", text[4:])}
            named |= {("iban", text), *(("bbanOfIban", part) for part in parts if part)}
        rows = [{"account_id": account_id, "kind": kind, "value": value} for kind, value in sorted(named)]
        bind.execute(sa.insert(references), rows)


def downgrade() -> None:
    """Forget what the references say; the accounts stay."""
    op.drop_column("bank_connections", "asked_at")
    for column in ("undecided", "is_listed", "consent_id"):
        op.drop_column("bank_accounts", column)
    op.drop_table("bank_account_references")
