"""Which bank a connection reaches, where its provider has many: a renewal asks for it again.

Revision: 0006, after 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_TABLES = ("bank_connections", "bank_authorisations")


def upgrade() -> None:
    """Add the columns; what was connected before names its bank once more, at its next renewal."""
    for table in _TABLES:
        op.add_column(table, sa.Column("institution", sa.String(256)))
