"""Other services are told: endpoints, what is to be delivered to each, and its order for each connection.

Revision: 0007, after 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)
_ENDPOINT = "bank_webhook_endpoints"


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        _ENDPOINT,
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("org_id", sa.String(128)),
        sa.Column("types", sa.Text, nullable=False),
        sa.Column("secrets", sa.Text, nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("disabled_by", sa.String(8)),
        sa.Column("disabled_at", _INSTANT),
        sa.Column("failing_since", _INSTANT),
        sa.Column("taken_at", _INSTANT),
        sa.PrimaryKeyConstraint("id", name=f"pk_{_ENDPOINT}"),
    )
    op.create_index(f"ix_{_ENDPOINT}_org_id", _ENDPOINT, ["org_id"])
    _deliveries()
    _lanes()


def _deliveries() -> None:
    table = "bank_webhook_deliveries"
    op.create_table(
        table,
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("endpoint_id", sa.String(64), nullable=False),
        sa.Column("org_id", sa.String(128), nullable=False),
        sa.Column("connection_id", sa.String(128), nullable=False),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer, server_default="0", nullable=False),
        sa.Column("attempted_at", _INSTANT),
        sa.Column("status", sa.Integer),
        sa.Column("error", sa.String(32)),
        sa.PrimaryKeyConstraint("position", name=f"pk_{table}"),
        sa.UniqueConstraint("id", name=f"uq_{table}_id"),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], [f"{_ENDPOINT}.id"], name=f"fk_{table}_endpoint_id", ondelete="CASCADE"
        ),
    )
    op.create_index(f"ix_{table}_lane", table, ["endpoint_id", "connection_id", "state", "position"])
    op.create_index(f"ix_{table}_org_id", table, ["org_id"])
    op.create_index(f"ix_{table}_state_created_at", table, ["state", "created_at"])


def _lanes() -> None:
    table = "bank_webhook_lanes"
    op.create_table(
        table,
        sa.Column("endpoint_id", sa.String(64), nullable=False),
        sa.Column("connection_id", sa.String(128), nullable=False),
        sa.Column("org_id", sa.String(128), nullable=False),
        sa.Column("next_at", _INSTANT),
        sa.Column("claim", sa.String(32)),
        sa.Column("claimed_until", _INSTANT),
        sa.PrimaryKeyConstraint("endpoint_id", "connection_id", name=f"pk_{table}"),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], [f"{_ENDPOINT}.id"], name=f"fk_{table}_endpoint_id", ondelete="CASCADE"
        ),
    )
    op.create_index(f"ix_{table}_next_at", table, ["next_at"])
    op.create_index(f"ix_{table}_org_id", table, ["org_id"])


def downgrade() -> None:
    """Drop the tables."""
    for table in ("bank_webhook_lanes", "bank_webhook_deliveries", _ENDPOINT):
        op.drop_table(table)
