"""What a layer-2 chain charges for posting a transaction's data on its layer 1.

| chain | how it is charged | what is counted |
| --- | --- | --- |
| OP-stack | beside the gas, from the sender's balance, without a cap | `GasPriceOracle.getL1Fee` |
| Arbitrum | as gas, which `eth_estimateGas` contains already | nothing on top; `NodeInterface` names it |

Neither is bounded by the fee cap of the transaction: it is known before it is signed, and may differ in the
block that takes it. A fee that cannot be read is an error, never zero. Where several endpoints must agree,
the highest answer counts: one that is told too low would be paid all the same.
Source: Optimism specifications, "L1 cost fees" (Ecotone, Fjord); Arbitrum documentation, "NodeInterface".
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_utils.crypto import keccak

from keeper.chain.errors import AbiMismatch, AnswersDiffer
from keeper.execution.signer.transaction import unsigned
from keeper.model.reads import Address
from keeper.model.units import NO_WEI, Wei

GAS_PRICE_ORACLE: Final = Address("0x420000000000000000000000000000000000000F")
"""Predeploy of every OP-stack chain."""

NODE_INTERFACE: Final = Address("0x00000000000000000000000000000000000000C8")
"""Answered by Arbitrum's nodes themselves; there is no code at it."""

_MOST_APART: Final = 2
"""Between two endpoints' answers: layer 1 moves the prices of gas and blobs by an eighth a block."""

_GET_L1_FEE: Final = "getL1Fee(bytes)"
_L1_COMPONENT: Final = "gasEstimateL1Component(address,bool,bytes)"


@dataclass(frozen=True, slots=True, kw_only=True)
class L1Fee:
    """The layer-1 part of one transaction."""

    on_top: Wei
    """To be paid beside gas limit times fee cap."""

    within_gas: int = 0
    """Units of the gas limit that stand for it."""


NO_L1_FEE: Final = L1Fee(on_top=NO_WEI)


class Viewed(Protocol):
    """What is needed of a chain. `keeper.chain.client.ChainClient` is one."""

    name: str

    def views(self, to: Address, data: str) -> list[tuple[str, bytes]]:
        """Return what a call answers at the head, by host, of as many as must agree. Raises node trouble."""
        ...


class L1Fees(Protocol):
    """Tells the layer-1 part of transactions on one chain."""

    def of(self, tx: Mapping[str, Any]) -> L1Fee:
        """Return it for a complete, unsigned transaction at the head.

        Raises `NodeUnreachable` (also where endpoints differ too much), `NodeRefused` (a revert, for example)
        and `AbiMismatch`.
        """
        ...


class NoL1Fees:
    """A chain that has no layer 1, or does not charge for it."""

    def of(self, tx: Mapping[str, Any]) -> L1Fee:
        """Return none."""
        return NO_L1_FEE


class OpStackFees:
    """A fee beside the gas, as the chain's own oracle tells it."""

    def __init__(self, chain: Viewed) -> None:
        self._chain = chain

    def of(self, tx: Mapping[str, Any]) -> L1Fee:
        """Ask for the unsigned bytes; the oracle itself adds what a signature takes."""
        return L1Fee(
            on_top=Wei(
                _dearest(
                    self._chain, "the L1 fee", GAS_PRICE_ORACLE, _call(_GET_L1_FEE, unsigned(tx)),
                    lambda answer: int(_answered(_GET_L1_FEE, ("uint256",), answer)[0]),
                )
            )
        )  # fmt: skip


class ArbitrumFees:
    """A part of the gas. It is told so that messages can name it, and is not counted twice."""

    def __init__(self, chain: Viewed) -> None:
        self._chain = chain

    def of(self, tx: Mapping[str, Any]) -> L1Fee:
        """Ask the node for the part of the gas that pays for the data."""
        data = bytes.fromhex(str(tx["data"]).removeprefix("0x"))
        gas = _dearest(
            self._chain, "L1 gas", NODE_INTERFACE, _call(_L1_COMPONENT, tx["to"], False, data),
            lambda answer: int(_answered(_L1_COMPONENT, ("uint64", "uint256", "uint256"), answer)[0]),
        )  # fmt: skip
        return L1Fee(on_top=NO_WEI, within_gas=gas)


def _dearest(chain: Viewed, what: str, to: Address, data: str, read: Callable[[bytes], int]) -> int:
    """Return the highest number that an endpoint answers. Raises `AnswersDiffer` where they are far apart."""
    numbers = [(host, read(answer)) for host, answer in chain.views(to, data)]
    highest = max(number for _, number in numbers)
    if highest > _MOST_APART * min(number for _, number in numbers):
        raise AnswersDiffer(chain.name, what, [(host, str(number)) for host, number in numbers])
    return highest


def _call(signature: str, *args: object) -> str:
    types = signature[signature.index("(") + 1 : -1].split(",")
    return "0x" + (keccak(signature.encode())[:4] + encode(types, args)).hex()


def _answered(signature: str, types: tuple[str, ...], answer: bytes) -> tuple[Any, ...]:
    if len(answer) != 32 * len(types):
        raise AbiMismatch(signature, f"expected {32 * len(types)} bytes, found {len(answer)}: see l1_fee")
    try:
        return decode(types, answer)
    except DecodingError:
        raise AbiMismatch(signature, "the answer does not fit its types") from None
