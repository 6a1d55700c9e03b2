"""People connect their banks: the authorisations that go on, and how they ended.

Revision: 0003, after 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    instant = sa.DateTime(timezone=True)
    op.create_table(
        "bank_authorisations",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("state_hash", sa.String(64), nullable=False),
        sa.Column("org_id", sa.String(128), nullable=False),
        sa.Column("connection_id", sa.String(128), nullable=False),
        sa.Column("bank", sa.String(128), nullable=False),
        sa.Column("user_id", sa.String(256), nullable=False),
        sa.Column("is_renewal", sa.Boolean, nullable=False),
        sa.Column("return_to", sa.Text),
        sa.Column("consent_id", sa.String(512)),
        sa.Column("details", sa.Text, nullable=False),
        sa.Column("secrets", sa.Text),
        sa.Column("created_at", instant, nullable=False),
        sa.Column("expires_at", instant, nullable=False),
        sa.Column("step", sa.String(16), nullable=False),
        sa.Column("claimed_at", instant),
        sa.Column("outcome", sa.String(16)),
        sa.Column("reason", sa.String(64)),
        sa.Column("same_login", sa.String(128)),
        sa.PrimaryKeyConstraint("id", name="pk_bank_authorisations"),
        sa.UniqueConstraint("state_hash", name="uq_bank_authorisations_state_hash"),
    )
    table = "bank_authorisations"
    op.create_index("ix_bank_authorisations_connection_id_created_at", table, ["connection_id", "created_at"])
    op.create_index("ix_bank_authorisations_org_id_expires_at", table, ["org_id", "expires_at"])
    op.create_index("ix_bank_authorisations_user_id_bank", table, ["user_id", "bank"])


def downgrade() -> None:
    """Drop the table, and connections that wait for their first authorisation, which a version before can't read."""
    op.execute("DELETE FROM bank_connections WHERE status = 'PENDING'")
    op.drop_table("bank_authorisations")
