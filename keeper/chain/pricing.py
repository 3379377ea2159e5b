"""What gas will cost: the next block's base fee from the latest header, the tip from what blocks paid lately.

| chain | next base fee | where its parameters are |
| --- | --- | --- |
| EIP-1559 | by its formula, exactly | denominator 8, elasticity 2 |
| OP-stack | by the same formula | the header's extra data since Holocene; before it 250 and 6 |
| Arbitrum | moves by a rule of its own, little from block to block: the latest one | nowhere |

Source: EIP-1559; Optimism specifications, "Holocene: Execution Engine", "Jovian: Execution Engine", and
"Canyon: Overview" for the parameters before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from keeper.chain.scalars import count, quantity
from keeper.model.units import NO_WEI, Wei

_HOLOCENE, _JOVIAN = 0, 1
"""Versions of an OP-stack header's extra data."""

_EXTRA_DATA_BYTES: Final = {_HOLOCENE: 9, _JOVIAN: 17}


class BaseFees(StrEnum):
    """By which rule a chain moves its base fee."""

    EIP1559 = "eip-1559"
    OP_STACK = "op-stack"
    ARBITRUM = "arbitrum"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeRules:
    """How the fees of one chain are estimated; see the example configuration."""

    base_fees: BaseFees = BaseFees.EIP1559
    blocks: int = 20
    """How many of the latest blocks are asked what tips they took."""

    percentile: int = 50
    """Of the tips in each of them, by gas."""

    min_tip: Wei = NO_WEI
    max_tip: Wei | None = None
    """Wei per unit of gas, on the estimate; None for no bound."""

    def bounded(self, tip: int) -> Wei:
        """Return a tip within the bounds."""
        return Wei(max(self.min_tip, tip if self.max_tip is None else min(tip, self.max_tip)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Curve:
    denominator: int
    elasticity: int
    floor: int = 0
    """Wei per unit of gas."""


_ETHEREUM: Final = _Curve(denominator=8, elasticity=2)
_CANYON: Final = _Curve(denominator=250, elasticity=6)


def next_base_fee(header: Mapping[str, Any], rule: BaseFees) -> Wei | None:
    """Return the base fee of the block after a JSON-RPC header; None on a chain that has none.

    With target T = gas limit / elasticity, used gas G, base fee B and denominator D:
    B at G = T, B + max(1, B (G - T) / T / D) above, B - B (T - G) / T / D below; every division rounds down.
    Raises `KeyError`, `TypeError` or `ValueError` for a malformed header.
    """
    if header.get("baseFeePerGas") is None:
        return None
    base = quantity(header["baseFeePerGas"])
    if rule is BaseFees.ARBITRUM:
        return Wei(base)
    used, limit = count(header["gasUsed"]), count(header["gasLimit"])
    curve = _ETHEREUM
    if rule is BaseFees.OP_STACK:
        curve, version = _op_stack(str(header.get("extraData") or "0x"))
        if version == _JOVIAN:
            # Jovian puts the footprint of the block's data where the gas of blobs stood.
            used = max(used, count(header.get("blobGasUsed") or "0x0"))
    target = limit // curve.elasticity
    if target == 0 or used == target:
        return Wei(max(base, curve.floor))
    change = base * abs(used - target) // target // curve.denominator
    return Wei(max(curve.floor, base + max(1, change) if used > target else base - change))


def tip_of(history: Mapping[str, Any]) -> int | None:
    """Return the lower median, over the blocks with transactions, of the tip that each block's answer names.

    An empty block tells nothing of what a place in a block costs: an answer shows it as zero. A median
    rather than a mean, so that a block whose makers were paid a fortune does not set the price. None where
    every block was empty.

    Raises `KeyError`, `IndexError`, `TypeError` or `ValueError` for a malformed answer.
    """
    rewards, ratios = history.get("reward") or (), history["gasUsedRatio"]
    tips = [
        quantity(reward[0]) for reward, ratio in zip(rewards, ratios, strict=False) if reward and ratio > 0.0
    ]
    return lower_median(tips) if tips else None


def lower_median(values: Sequence[int]) -> int:
    """Return the middle value, the lower of the two in the middle; 0 of none."""
    return sorted(values)[(len(values) - 1) // 2] if values else 0


def _op_stack(extra_data: str) -> tuple[_Curve, int]:
    """Read denominator, elasticity and least base fee; return them with the version of the format."""
    data = bytes.fromhex(extra_data.removeprefix("0x"))
    version = data[0] if data else -1
    if len(data) != _EXTRA_DATA_BYTES.get(version):
        return _CANYON, -1
    denominator, elasticity = int.from_bytes(data[1:5], "big"), int.from_bytes(data[5:9], "big")
    if not denominator or not elasticity:
        return _CANYON, version
    floor = int.from_bytes(data[9:17], "big")
    return _Curve(denominator=denominator, elasticity=elasticity, floor=floor), version
