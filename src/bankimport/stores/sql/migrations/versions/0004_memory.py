"""What the reads of an account have taught, beside the days that they have covered.

Revision: 0004, after 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; nothing is known yet."""
    op.add_column("bank_accounts", sa.Column("memory", sa.Text, server_default="{}", nullable=False))
