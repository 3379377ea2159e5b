"""Actions held to their promises on a real chain, as execution holds them, and tokens that take a fee."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from eth_utils.crypto import keccak

from keeper.chain.abi import encode
from keeper.chain.client import ChainClient
from keeper.chain.transactions import Tx
from keeper.devnet.node import Node
from keeper.execution.limits import Limits, Pace
from keeper.execution.promise import Promises
from keeper.execution.task import Task
from keeper.model.intent import Simulation
from keeper.model.plan import TxAction, action_id
from keeper.model.promise import Proof
from keeper.model.reads import Address, Send
from keeper.model.snapshot import Snapshot
from keeper.model.units import Wei
from tests.conformance.subject import Subject

LIMITS: Final = Limits(
    max_gas_wei_per_tx=Wei(10**18),
    max_gas_wei_per_hour=Wei(10**18),
    max_gas_wei_per_day=Wei(10**18),
    min_native=Wei(0),
    max_fee_per_gas=Wei(10**12),
    valid_blocks=50,
    require_promise=True,
)
EXACT: Final = replace(LIMITS, promise_tolerance_bps=0)


class Forgetful:
    """Knows of no promise before: every action is tried."""

    def last_proof(self, topic: tuple[str, str]) -> Proof | None:
        return None


@dataclass(frozen=True, slots=True)
class Held:
    """What came of holding one action to its promise."""

    simulations: tuple[Simulation, ...]

    @property
    def last(self) -> Simulation:
        return self.simulations[-1]

    @property
    def proof(self) -> Proof:
        assert self.last.promise is not None, self.last.error
        return self.last.promise

    def found(self, name: str) -> int:
        """The change of the one figure whose name has `name` in it."""
        (line,) = (line for line in self.proof.lines if name in line.name)
        assert line.found is not None
        return line.found


def hold(
    subject: Subject,
    action: TxAction,
    sender: Address,
    *,
    limits: Limits = LIMITS,
    client: ChainClient | None = None,
    sends: Sequence[Send] | None = None,
) -> Held:
    """Simulate an action's calls, or other `sends` in their place, and hold them to its promise."""
    head = subject.client.head()
    task = Task(
        action=action,
        action_id=action_id(action),
        cycle_id="test",
        venue=subject.venue,
        adapter=subject.adapter,
        node=client or subject.client,
        snapshot=Snapshot(blocks=(head,), accounts=(), instruments=(), quotes=()),
        pinned=head,
        sender=sender,
        urgent=False,
    )
    calls = subject.encode(action, sender) if sends is None else sends
    txs = [Tx(to=s.to, data=encode(s), abis=subject.adapter.abis) for s in calls]
    return Held(Promises(limits, Pace(), Forgetful()).simulate(task, txs))


AMOUNT_OF: Final = {"transfer(address,uint256)": 0x24, "transferFrom(address,address,uint256)": 0x44}
"""Where the amount is in the calldata."""


def take_fee(node: Node, token: Address, function: str, percent: int) -> None:
    """Let one of a token's functions move `percent` of the amount that it is asked to move.

    The token's code goes to another address; what takes its place changes the amount and delegates there.
    """
    selector, at = keccak(text=function)[:4].hex(), AMOUNT_OF[function]
    elsewhere = "fee0" + token[6:].lower()
    node.rpc("anvil_setCode", f"0x{elsewhere}", node.rpc("eth_getCode", token, "latest"))
    runtime = (
        "365f5f37"  # the calldata, into memory
        f"5f3560e01c63{selector}1415601f57"  # another function is left as it is
        f"606460{percent:02x}60{at:02x}51020460{at:02x}52"  # amount * percent / 100
        f"5b5f5f365f73{elsewhere}5af4"
        "3d5f5f3e6045573d5ffd"  # whatever comes back, a revert too
        "5b3d5ff3"
    )
    node.rpc("anvil_setCode", token, "0x" + runtime)
