"""What may leave, whatever the plan says."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from keeper.execution.errors import LimitError
from keeper.model.units import NO_WEI, Wei

_HOUR_S: Final = 3600
DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Caps of one lane (chain, signer), wei of its native coin. Gas that may still be spent counts whole."""

    max_gas_wei_per_tx: Wei
    """Gas limit times fee cap."""

    max_gas_wei_per_hour: Wei
    max_gas_wei_per_day: Wei
    min_native: Wei
    """Left with the signer after the dearest outcome."""

    max_fee_per_gas: Wei
    valid_blocks: int
    """An intent that is not signed within so many blocks of its snapshot is dropped."""

    emergency_kinds: frozenset[str] = frozenset()
    """Actions that may pay more than `max_fee_per_gas` while gas costs more than that."""

    emergency_max_fee_per_gas: Wei = NO_WEI
    """What even these never exceed."""

    emergency_max_gas_wei_per_day: Wei = NO_WEI
    """Their budget of a day for it. The other caps on gas do not count it."""

    promise_tolerance_bps: int = 500
    """By how much what follows a price may fall short of its promise in the simulation."""

    require_promise: bool = False
    """Nothing is sent whose promise the node cannot check."""

    def is_emergency(self, kind: str, fee_per_gas: int) -> bool:
        """Whether a transaction of that kind, at that fee, belongs to the emergency class."""
        return kind in self.emergency_kinds and fee_per_gas > self.max_fee_per_gas

    def max_fee(self, kind: str) -> Wei:
        """Return the most that one transaction of a kind may cost, in whichever class it is sent."""
        if kind in self.emergency_kinds:
            return max(self.max_gas_wei_per_tx, self.emergency_max_gas_wei_per_day)
        return self.max_gas_wei_per_tx


def check_limits(
    limits: Limits,
    *,
    worst_fee: Wei,
    value: Wei,
    native: Wei,
    spent: Sequence[tuple[float, Wei]],
    now_s: float,
    emergency: bool = False,
) -> None:
    """Check one transaction before it is signed.

    `spent` is when each other transaction of its class and the last day was signed (wall clock), and what it
    cost or may still cost. Raises `LimitError` with the first limit that is exceeded.
    """
    per_day = ("emergency_max_gas_wei_per_day", DAY_S, limits.emergency_max_gas_wei_per_day)
    caps = [per_day]
    if not emergency:
        _require("max_gas_wei_per_tx", worst_fee, limits.max_gas_wei_per_tx)
        caps = [
            ("max_gas_wei_per_hour", _HOUR_S, limits.max_gas_wei_per_hour),
            ("max_gas_wei_per_day", DAY_S, limits.max_gas_wei_per_day),
        ]
    for name, span_s, allowed in caps:
        before = sum(cost for at_s, cost in spent if at_s >= now_s - span_s)
        _require(name, before + worst_fee, allowed)
    left = native - worst_fee - value
    if left < limits.min_native:
        raise LimitError("min_native", wanted=limits.min_native + worst_fee + value, allowed=native)


def _require(name: str, wanted: int, allowed: int) -> None:
    if wanted > allowed:
        raise LimitError(name, wanted=wanted, allowed=allowed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long things may take before they are pursued."""

    receipt_wait_s: float = 60.0
    """How long a cycle waits for one receipt; afterwards later cycles pursue it."""

    poll_s: float = 0.02
    """First pause between two looks for a receipt; it doubles up to one second."""

    bump_after_blocks: int = 3
    """Blocks without a receipt after which a transaction is replaced at a higher fee."""

    foreign_wait_s: float = 4.0
    """How long our own receipt is looked for before a used nonce is taken as somebody else's: the node that
    counts the nonce and the one that is asked for the receipt may differ by a block."""

    cool_down_s: int = 120
    """Chain time for which a subject is left alone after a revert; doubled with each in a row."""

    max_fill: int = 4
    """Most nonces of others, lost in a reorg, that are filled to free the lane."""
