"""What may leave, whatever the plan says."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from keeper.execution.errors import LimitError
from keeper.model.units import NO_WEI, ONE, Wad, Wei

HOUR_S: Final = 3600
DAY_S: Final = 86_400
MAX_MOVED_USD: Final = (Wad(500_000 * ONE), Wad(1_000_000 * ONE), Wad(5_000_000 * ONE))
"""Per action, hour and day, unless the configuration says otherwise."""


class Purse(StrEnum):
    """Whose budget of gas a transaction is paid from. What one has spent is not taken from another."""

    ORDINARY = "ordinary"
    URGENT = "urgent"
    """Urgent work while gas costs no more than `max_fee_per_gas`: caps of the same size, counted apart."""

    EMERGENCY = "emergency"
    """Above that: one budget of a day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Caps: on gas of one lane (chain, signer), in wei; on moved value of all lanes together, in USD.

    What may still be spent, or is not final, counts whole.
    """

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

    urgent_kinds: frozenset[str] = frozenset()
    """Actions that do not wait behind others, and whose caps are counted apart: see `urgency`."""

    max_moved_usd_per_tx: Wad = MAX_MOVED_USD[0]
    """Moved by one action: see `moved_value`."""

    max_moved_usd_per_hour: Wad = MAX_MOVED_USD[1]
    max_moved_usd_per_day: Wad = MAX_MOVED_USD[2]

    promise_tolerance_bps: int = 500
    """By how much what follows a price may fall short of its promise in the simulation."""

    require_promise: bool = False
    """Nothing is sent whose promise the node cannot check."""

    def purse(self, kind: str, urgent: bool, fee_per_gas: int) -> Purse:
        """Return what pays for the gas of a transaction of that kind, at that fee per unit of gas."""
        if kind in self.emergency_kinds and fee_per_gas > self.max_fee_per_gas:
            return Purse.EMERGENCY
        return Purse.URGENT if urgent else Purse.ORDINARY

    def max_fee(self, kind: str) -> Wei:
        """Return the most that one transaction of a kind may cost, in whichever class it is sent."""
        if kind in self.emergency_kinds:
            return max(self.max_gas_wei_per_tx, self.emergency_max_gas_wei_per_day)
        return self.max_gas_wei_per_tx


def check_limits(
    limits: Limits,
    *,
    worst_fees: Sequence[Wei],
    value: Wei,
    native: Wei,
    spent: Sequence[tuple[float, Wei]],
    now_s: float,
    purse: Purse = Purse.ORDINARY,
) -> None:
    """Check the transactions of an action together, before the first of them is signed.

    `worst_fees` has one entry for each of them, `value` is the native coin that they carry. `spent` is when
    each other transaction on the same purse landed (wall clock, infinity while it has not), and what it cost
    or may still cost. Raises `LimitError` with the first limit that is exceeded.
    """
    caps = [("emergency_max_gas_wei_per_day", DAY_S, limits.emergency_max_gas_wei_per_day)]
    if purse is not Purse.EMERGENCY:
        _require("max_gas_wei_per_tx", max(worst_fees), limits.max_gas_wei_per_tx)
        caps = [
            ("max_gas_wei_per_hour", HOUR_S, limits.max_gas_wei_per_hour),
            ("max_gas_wei_per_day", DAY_S, limits.max_gas_wei_per_day),
        ]
    worst_fee = sum(worst_fees)
    for name, span_s, allowed in caps:
        since_s = now_s - span_s
        before = sum([cost for at_s, cost in spent if at_s >= since_s])
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

    housekeeping_wait_s: float = 15.0
    """How long it waits at most for one that is not urgent: the next cycle may find urgent work."""

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
