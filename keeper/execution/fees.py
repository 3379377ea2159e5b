"""What to pay for gas: first bid, replacement, and the budget of an action."""

from dataclasses import dataclass
from typing import Any, Final

from keeper.chain.transactions import TRANSACTION_GAS, Fees
from keeper.model.units import Wei

REPLACEMENT: Final = (9, 8)
"""Nodes take a replacement that raises both fee cap and tip by at least 12.5 % (the strictest do not take
less). Source: go-ethereum `txpool.pricebump` 10 %, Parity and Nethermind 12.5 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bid:
    """Fees per unit of gas."""

    fee_per_gas: Wei
    """Cap on base fee and tip together; on a legacy chain the gas price."""

    priority_per_gas: Wei | None
    """Tip; None on a legacy chain."""

    def fields(self) -> dict[str, Any]:
        """Return the fields of a transaction that state this bid."""
        if self.priority_per_gas is None:
            return {"gasPrice": self.fee_per_gas}
        return {
            "type": 2,
            "maxFeePerGas": self.fee_per_gas,
            "maxPriorityFeePerGas": self.priority_per_gas,
        }


def price_now(fees: Fees) -> int:
    """Return what a unit of gas costs in the next block, wei."""
    if fees.legacy_gas_price_wei is not None:
        return fees.legacy_gas_price_wei
    return fees.base_fee_wei + fees.priority_fee_wei


def first_bid(fees: Fees, cap_per_gas: int) -> Bid | None:
    """Return twice the base fee plus the tip, at most the cap: it holds for six full blocks.

    None when the cap does not cover the price of the next block.
    """
    needed = price_now(fees)
    if needed > cap_per_gas:
        return None
    if fees.legacy_gas_price_wei is not None:
        return Bid(fee_per_gas=Wei(needed), priority_per_gas=None)
    cap = min(cap_per_gas, 2 * fees.base_fee_wei + fees.priority_fee_wei)
    return Bid(fee_per_gas=Wei(cap), priority_per_gas=Wei(fees.priority_fee_wei))


def replacement_price(last: Bid, fees: Fees) -> int:
    """Return the least fee per unit of gas that replaces `last` and can be mined in the next block, wei."""
    return max(_raised(last.fee_per_gas), price_now(fees))


def replacement_bid(last: Bid, fees: Fees, cap_per_gas: int) -> Bid | None:
    """Return a bid that replaces `last` in every mempool and suits the next block; None above the cap."""
    floor = _raised(last.fee_per_gas)
    if last.priority_per_gas is None:
        price = max(floor, fees.legacy_gas_price_wei or 0)
        return Bid(fee_per_gas=Wei(price), priority_per_gas=None) if price <= cap_per_gas else None
    tip = max(_raised(last.priority_per_gas), fees.priority_fee_wei)
    cap = max(floor, min(cap_per_gas, 2 * fees.base_fee_wei + tip))
    if cap > cap_per_gas:
        return None
    return Bid(fee_per_gas=Wei(cap), priority_per_gas=Wei(min(tip, cap)))


def gas_limit(estimate: int) -> int:
    """Return a quarter more than the estimate: the state may be another one when it is mined."""
    if estimate >= TRANSACTION_GAS:
        return estimate
    return min(TRANSACTION_GAS, estimate + estimate // 4)


def _raised(amount: int) -> int:
    numerator, denominator = REPLACEMENT
    return -(-amount * numerator // denominator) + 1
