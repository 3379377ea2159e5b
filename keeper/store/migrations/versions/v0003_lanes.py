"""Lanes by urgency: whose nonce is taken over, what an intent moves, and when it landed."""

import sqlalchemy as sa
from alembic import op

revision = "v0003"
down_revision = "v0002"

_ONE_NONCE = "state != 'dropped' AND displaced_by IS NULL"


def upgrade() -> None:
    """Add the columns. What had landed before counts from the time at which that was noted."""
    for column in (
        sa.Column("urgent", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("displaces", sa.String(length=64)),
        sa.Column("displaced_by", sa.String(length=64)),
        sa.Column("moved_usd", sa.String(length=80), server_default="0", nullable=False),
        sa.Column("asset", sa.String(length=64), server_default="", nullable=False),
        sa.Column("outgoing", sa.String(length=80), server_default="0", nullable=False),
        sa.Column("landed_at_s", sa.Float()),
    ):
        op.add_column("intents", column)
    op.execute("UPDATE intents SET landed_at_s = changed_at_s WHERE block_hash IS NOT NULL")
    op.create_index(op.f("ix_intents_landed_at_s"), "intents", ["landed_at_s"])
    op.drop_index("uq_intents_lane_nonce", table_name="intents")
    op.create_index(
        "uq_intents_lane_nonce",
        "intents",
        ["chain_id", "sender", "nonce"],
        unique=True,
        sqlite_where=sa.text(_ONE_NONCE),
        postgresql_where=sa.text(_ONE_NONCE),
    )
    op.add_column("attempts", sa.Column("l1_fee", sa.String(length=80), server_default="0", nullable=False))
    op.add_column("heads", sa.Column("urgent_native", sa.String(length=80)))
