"""The tables. `migrations` creates them; a test proves that both say the same."""

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    text,
)


class Exact(TypeDecorator[int]):
    """An integer of any size, as decimal text."""

    impl = String(80)
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> str | None:
        """Write the integer in full."""
        return None if value is None else str(int(value))

    def process_result_value(self, value: Any | None, dialect: Dialect) -> int | None:
        """Read it back."""
        return None if value is None else int(value)


class Told(TypeDecorator[str]):
    """Text that others wrote, such as a contract's reason: what no database takes stands as `?`."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Write what UTF-8 can say, without the character NUL, which PostgreSQL refuses."""
        return None if value is None else value.replace("\0", "?").encode(errors="replace").decode()

    def process_result_value(self, value: Any | None, dialect: Dialect) -> str | None:
        """Read it back."""
        return None if value is None else str(value)


_NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

metadata = MetaData(naming_convention=_NAMES)

meta = Table(
    "meta",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)

intents = Table(
    "intents",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("action_id", String(64), nullable=False, index=True),
    Column("episode", Integer, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("subject", String(200), nullable=False),
    Column("cycle_id", String(64), nullable=False),
    Column("chain_id", BigInteger, nullable=False),
    Column("sender", String(42), nullable=False),
    Column("to", String(42), nullable=False),
    Column("data", Text, nullable=False),
    Column("value", Exact, nullable=False),
    Column("gas", BigInteger, nullable=False),
    Column("max_fee", Exact, nullable=False),
    Column("valid_until_block", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", Told, nullable=False, server_default=""),
    Column("nonce", BigInteger),
    Column("tx_hash", String(66)),
    Column("block_number", BigInteger),
    Column("block_hash", String(66)),
    Column("block_time_s", BigInteger),
    Column("success", Boolean),
    Column("gas_used", BigInteger),
    Column("fee", Exact),
    Column("simulation", JSON),
    Column("planned_at_s", Float, nullable=False),
    Column("changed_at_s", Float, nullable=False),
    Column("urgent", Boolean, nullable=False, server_default=text("false")),
    Column("displaces", String(64)),
    Column("displaced_by", String(64)),
    Column("moved_usd", Exact, nullable=False, server_default="0"),
    Column("asset", String(64), nullable=False, server_default=""),
    Column("outgoing", Exact, nullable=False, server_default="0"),
    Column("landed_at_s", Float, index=True),
    Index("ix_intents_topic_block", "kind", "subject", "block_number"),
    Index("ix_intents_state_lane", "state", "chain_id", "sender", "nonce"),
    Index("ix_intents_lane_block", "chain_id", "sender", "block_number"),
    Index(
        "uq_intents_lane_nonce",
        "chain_id",
        "sender",
        "nonce",
        unique=True,
        sqlite_where=text("state != 'dropped' AND displaced_by IS NULL"),
        postgresql_where=text("state != 'dropped' AND displaced_by IS NULL"),
    ),
)

attempts = Table(
    "attempts",
    metadata,
    Column("intent_id", String(64), ForeignKey("intents.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("nonce", BigInteger, nullable=False),
    Column("cancels", Boolean, nullable=False),
    Column("tx_hash", String(66), nullable=False),
    Column("raw", LargeBinary, nullable=False),
    Column("gas", BigInteger, nullable=False),
    Column("fee_per_gas", Exact, nullable=False),
    Column("priority_per_gas", Exact),
    Column("signed_at_s", Float, nullable=False),
    Column("signed_at_block", BigInteger, nullable=False),
    Column("l1_fee", Exact, nullable=False, server_default="0"),
)

transitions = Table(
    "transitions",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("intent_id", String(64), ForeignKey("intents.id"), nullable=False, index=True),
    Column("before", String(16)),
    Column("after", String(16), nullable=False),
    Column("reason", Told, nullable=False),
    Column("tx_hash", String(66)),
    Column("block_number", BigInteger),
    Column("at_s", Float, nullable=False),
)

halts = Table(
    "halts",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("reason", Told, nullable=False),
    Column("by", String(64), nullable=False),
    Column("at_s", Float, nullable=False),
    Column("resumed_by", String(64)),
    Column("resumed_at_s", Float),
)

cycles = Table(
    "cycles",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("cycle_id", String(64), nullable=False),
    Column("plan_id", String(64)),
    Column("started_at_s", Float, nullable=False),
    Column("finished_at_s", Float, nullable=False),
    Column("last_good_at_s", Float),
    Column("chain_time_s", BigInteger, nullable=False),
    Column("failure", Told, nullable=False),
    Column("gaps", JSON, nullable=False),
)

heads = Table(
    "heads",
    metadata,
    Column("chain_id", BigInteger, primary_key=True),
    Column("name", String(64), nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("hash", String(66), nullable=False),
    Column("pinned", BigInteger, nullable=False),
    Column("first_seen_s", Float, nullable=False),
    Column("endpoints", JSON, nullable=False),
    Column("native", Exact),
    Column("urgent_native", Exact),
)

profiles = Table(
    "profiles",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("health", Float),
    Column("step", String(32), nullable=False),
)

found = Table(
    "found",
    metadata,
    Column("venue", String(200), primary_key=True),
    Column("next_block", BigInteger, nullable=False),
    Column("keys", JSON, nullable=False),
)
