"""Outbox, halts, heartbeat and found accounts."""

import sqlalchemy as sa
from alembic import op

revision = "v0001"
down_revision = None


def upgrade() -> None:
    """Create every table."""
    op.create_table(
        "cycles",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("cycle_id", sa.String(length=64), nullable=False),
        sa.Column("plan_id", sa.String(length=64)),
        sa.Column("started_at_s", sa.Float(), nullable=False),
        sa.Column("finished_at_s", sa.Float(), nullable=False),
        sa.Column("last_good_at_s", sa.Float()),
        sa.Column("chain_time_s", sa.BigInteger(), nullable=False),
        sa.Column("failure", sa.Text(), nullable=False),
        sa.Column("gaps", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cycles")),
    )
    op.create_table(
        "found",
        sa.Column("venue", sa.String(length=200), nullable=False),
        sa.Column("next_block", sa.BigInteger(), nullable=False),
        sa.Column("keys", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("venue", name=op.f("pk_found")),
    )
    op.create_table(
        "halts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("by", sa.String(length=64), nullable=False),
        sa.Column("at_s", sa.Float(), nullable=False),
        sa.Column("resumed_by", sa.String(length=64)),
        sa.Column("resumed_at_s", sa.Float()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_halts")),
    )
    op.create_table(
        "heads",
        sa.Column("chain_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(length=66), nullable=False),
        sa.Column("pinned", sa.BigInteger(), nullable=False),
        sa.Column("first_seen_s", sa.Float(), nullable=False),
        sa.Column("endpoints", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("chain_id", name=op.f("pk_heads")),
    )
    op.create_table(
        "intents",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("action_id", sa.String(length=64), nullable=False),
        sa.Column("episode", sa.Integer(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("cycle_id", sa.String(length=64), nullable=False),
        sa.Column("chain_id", sa.BigInteger(), nullable=False),
        sa.Column("sender", sa.String(length=42), nullable=False),
        sa.Column("to", sa.String(length=42), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("value", sa.String(length=80), nullable=False),
        sa.Column("gas", sa.BigInteger(), nullable=False),
        sa.Column("max_fee", sa.String(length=80), nullable=False),
        sa.Column("valid_until_block", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("nonce", sa.BigInteger()),
        sa.Column("tx_hash", sa.String(length=66)),
        sa.Column("block_number", sa.BigInteger()),
        sa.Column("block_hash", sa.String(length=66)),
        sa.Column("block_time_s", sa.BigInteger()),
        sa.Column("success", sa.Boolean()),
        sa.Column("gas_used", sa.BigInteger()),
        sa.Column("fee", sa.String(length=80)),
        sa.Column("simulation", sa.JSON()),
        sa.Column("planned_at_s", sa.Float(), nullable=False),
        sa.Column("changed_at_s", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_intents")),
    )
    op.create_index(op.f("ix_intents_action_id"), "intents", ["action_id"])
    op.create_index("ix_intents_kind_subject", "intents", ["kind", "subject"])
    op.create_index(op.f("ix_intents_state"), "intents", ["state"])
    op.create_index(
        "uq_intents_lane_nonce",
        "intents",
        ["chain_id", "sender", "nonce"],
        unique=True,
        sqlite_where=sa.text("state != 'dropped'"),
        postgresql_where=sa.text("state != 'dropped'"),
    )
    op.create_table(
        "meta",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_meta")),
    )
    op.create_table(
        "profiles",
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("health", sa.Float()),
        sa.Column("step", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_profiles")),
    )
    op.create_table(
        "attempts",
        sa.Column("intent_id", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("nonce", sa.BigInteger(), nullable=False),
        sa.Column("cancels", sa.Boolean(), nullable=False),
        sa.Column("tx_hash", sa.String(length=66), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("gas", sa.BigInteger(), nullable=False),
        sa.Column("fee_per_gas", sa.String(length=80), nullable=False),
        sa.Column("priority_per_gas", sa.String(length=80)),
        sa.Column("signed_at_s", sa.Float(), nullable=False),
        sa.Column("signed_at_block", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["intent_id"], ["intents.id"], name=op.f("fk_attempts_intent_id")),
        sa.PrimaryKeyConstraint("intent_id", "number", name=op.f("pk_attempts")),
    )
    op.create_index(op.f("ix_attempts_signed_at_s"), "attempts", ["signed_at_s"])
    op.create_index(op.f("ix_attempts_tx_hash"), "attempts", ["tx_hash"])
    op.create_table(
        "transitions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("intent_id", sa.String(length=64), nullable=False),
        sa.Column("before", sa.String(length=16)),
        sa.Column("after", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("tx_hash", sa.String(length=66)),
        sa.Column("block_number", sa.BigInteger()),
        sa.Column("at_s", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["intent_id"], ["intents.id"], name=op.f("fk_transitions_intent_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transitions")),
    )
    op.create_index(op.f("ix_transitions_intent_id"), "transitions", ["intent_id"])
