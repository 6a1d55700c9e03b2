"""What people did: a table that only grows, which the database itself sees to.

Revision: 0005, after 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_SQLITE = (
    "CREATE TRIGGER bank_audit_append_only BEFORE UPDATE ON bank_audit "
    "BEGIN SELECT RAISE(ABORT, 'bank_audit is append-only'); END",
)
_POSTGRESQL = (
    "CREATE FUNCTION bank_audit_refuse() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'bank_audit is append-only'; END $$",
    "CREATE TRIGGER bank_audit_append_only BEFORE UPDATE ON bank_audit "
    "FOR EACH ROW EXECUTE FUNCTION bank_audit_refuse()",
)


def upgrade() -> None:
    """Add the table and the trigger."""
    op.create_table(
        "bank_audit",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("who", sa.String(256)),
        sa.Column("via", sa.String(16), nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("org_id", sa.String(128)),
        sa.Column("subject", sa.String(256)),
        sa.Column("reason", sa.Text),
        sa.Column("facts", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_bank_audit"),
    )
    op.create_index("ix_bank_audit_org_id_id", "bank_audit", ["org_id", "id"])
    op.create_index("ix_bank_audit_subject_id", "bank_audit", ["subject", "id"])
    for statement in _SQLITE if op.get_bind().dialect.name == "sqlite" else _POSTGRESQL:
        op.execute(statement)


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("bank_audit")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION bank_audit_refuse()")
