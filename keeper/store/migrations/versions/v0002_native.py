"""The signer's balance in native coin, by chain."""

import sqlalchemy as sa
from alembic import op

revision = "v0002"
down_revision = "v0001"


def upgrade() -> None:
    """Add the column; it is unknown until the next cycle."""
    op.add_column("heads", sa.Column("native", sa.String(length=80)))
