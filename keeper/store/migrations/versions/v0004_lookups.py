"""Lookups that stay as fast when the outbox is long."""

from alembic import op

revision = "v0004"
down_revision = "v0003"


def upgrade() -> None:
    """Index what is asked for every transaction: by state and lane, by lane and block, by topic and block.

    Nothing asks for signed versions by their hash or time.
    """
    op.drop_index("ix_intents_state", table_name="intents")
    op.create_index("ix_intents_state_lane", "intents", ["state", "chain_id", "sender", "nonce"])
    op.create_index("ix_intents_lane_block", "intents", ["chain_id", "sender", "block_number"])
    op.drop_index("ix_intents_kind_subject", table_name="intents")
    for column in ("tx_hash", "signed_at_s"):
        op.drop_index(f"ix_attempts_{column}", table_name="attempts")
    op.create_index("ix_intents_topic_block", "intents", ["kind", "subject", "block_number"])
