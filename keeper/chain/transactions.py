"""What a chain says about transactions and their price."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from eth_utils.crypto import keccak

from keeper.chain.codec import checksummed
from keeper.chain.scalars import count, hash_of, quantity
from keeper.model.promise import Transfer
from keeper.model.reads import Address
from keeper.model.units import NO_WEI, Wei

TRANSACTION_GAS: Final = 16_777_216
"""Gas limit of one transaction. Source: EIP-7825, 2**24."""

_TRANSFER: Final = "0x" + keccak(text="Transfer(address,address,uint256)").hex()
_OF_ERC20, _OF_ERC721 = 3, 4
"""Topics of the one event: an ERC-721 indexes the id as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tx:
    """A call that may become a transaction."""

    to: Address
    data: str
    """Calldata, 0x-prefixed."""

    value: Wei = NO_WEI
    abis: tuple[str, ...] = ()
    """Whose custom errors may come back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fees:
    """What gas costs at the head, wei per unit of gas."""

    base_fee_wei: int
    """Of the latest block; 0 on a chain without EIP-1559."""

    priority_fee_wei: int
    legacy_gas_price_wei: int | None
    """Set on a chain without EIP-1559: the one price there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """That a transaction was mined, and how it ended."""

    tx_hash: str
    block_number: int
    block_hash: str
    status: int
    """1 succeeded, 0 reverted."""

    gas_used: int
    effective_gas_price: int
    """Wei per unit of gas."""

    l1_fee: int = 0
    """Wei that an OP-stack chain charged beside the gas, for the data that it posts."""

    transfers: tuple[Transfer, ...] = ()
    """Tokens that changed hands, in order."""


def receipt_of(raw: Mapping[str, Any]) -> Receipt:
    """Read a JSON-RPC receipt. Raises `KeyError`, `TypeError` or `ValueError` for one that is none."""
    return Receipt(
        tx_hash=hash_of(raw["transactionHash"]),
        block_number=count(raw["blockNumber"]),
        block_hash=hash_of(raw["blockHash"]),
        status=quantity(raw["status"], bits=1),
        gas_used=count(raw["gasUsed"]),
        effective_gas_price=quantity(raw["effectiveGasPrice"]),
        l1_fee=quantity(raw.get("l1Fee") or "0x0"),
        # None would tell of no transfer, and pass for a promise that was broken, or kept.
        transfers=transfers_of(raw["logs"]),
    )


def transfers_of(logs: Sequence[Mapping[str, Any]]) -> tuple[Transfer, ...]:
    """Return the token transfers among raw logs, in order; a log of another shape is none.

    Raises `KeyError`, `TypeError` or `ValueError` for what is no log.
    """
    found: list[Transfer] = []
    if not isinstance(logs, list):
        raise TypeError("logs are no list")
    for log in logs:
        topics = log["topics"]
        if len(topics) not in (_OF_ERC20, _OF_ERC721) or topics[0].lower() != _TRANSFER:
            continue
        item = len(topics) == _OF_ERC721
        amount = topics[3] if item else log["data"]
        if len(amount) != len(_TRANSFER):
            continue
        found.append(
            Transfer(
                token=checksummed(log["address"]),
                giver=_address(topics[1]),
                taker=_address(topics[2]),
                amount=quantity(amount),
                item=item,
            )
        )
    return tuple(found)


def _address(topic: str) -> Address:
    return checksummed("0x" + topic[-40:])


def price_of(history: Mapping[str, Any]) -> Wei:
    """Return wei per gas from an `eth_feeHistory` answer that ends at the block of interest.

    The block's base fee, plus the median over the blocks of the median priority fee paid. The answer's last
    base fee is the node's forecast of the next block, which a later look at the same block may not repeat.
    Raises `KeyError`, `IndexError`, `TypeError` or `ValueError` for a malformed answer.
    """
    base = quantity(history["baseFeePerGas"][-2:][0])
    return Wei(base + _lower_median([quantity(r[0]) for r in history.get("reward") or () if r]))


def _lower_median(values: Sequence[int]) -> int:
    return sorted(values)[(len(values) - 1) // 2] if values else 0
