"""A bare local node with small contracts whose behaviour is known to the instruction."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from keeper.chain import quorum
from keeper.chain.abi import event
from keeper.chain.client import ChainClient
from keeper.devnet.anvil import Anvil, running
from keeper.devnet.multicall import install_multicall3
from keeper.devnet.node import Node
from keeper.model.reads import Address
from tests.chain.honest import Wired
from tests.support.rpc_proxy import RpcProxy

CHAIN_ID = 10
HEIGHT = 100

WHO = Address("0x00000000000000000000000000000000000A0001")
"""Any function: answers `msg.sender` as a number."""

COUNT = Address("0x00000000000000000000000000000000000A0002")
"""`balanceOf` answers a counter, everything else raises it by one."""

BURN = Address("0x00000000000000000000000000000000000A0003")
"""Takes 26 gas times its first argument, then answers 1."""

SWALLOW = Address("0x00000000000000000000000000000000000A0004")
"""Passes the call on to `BURN` and answers whether that went well: 1 or, for want of gas, 0."""

POISON = Address("0x00000000000000000000000000000000000A0005")
"""Invalid instruction: eats all gas it is given, as an `assert` of old compilers does."""

QUIET = Address("0x00000000000000000000000000000000000A0006")
"""Reverts without data."""

LOUD = Address("0x00000000000000000000000000000000000A0007")
"""Reverts with `Error("NO")`."""

NOBODY = Address("0x00000000000000000000000000000000000A0008")
"""No code."""

EVENTS = Address("0x00000000000000000000000000000000000A0009")
"""Emits `PositionLiquidated(0xAA, 0xBB, 5, 0, 0, 0)` of curie/ClearingHouse."""

GATE = Address("0x00000000000000000000000000000000000A000A")
"""`approve` opens it for ever; every other function reverts without data until then."""

_NO = "08c379a0" + f"{32:064x}" + f"{2:064x}" + "4e4f".ljust(64, "0")
_LIQUIDATED = event("curie/ClearingHouse", "PositionLiquidated").selector.hex()

_CODES = {
    WHO: "3360005260206000f3",
    COUNT: "60003560e01c6370a0823114602257600054600101600055600160005260206000f35b60005460005260206000f3",
    BURN: "6004355b600190038060035760016000" + "5260206000f3",
    SWALLOW: f"3660006000376000600036600073{BURN[2:].lower()}5afa60005260206000f3",
    POISON: "fe",
    QUIET: "60006000fd",
    LOUD: f"60{len(_NO) // 2:02x}600c60003960{len(_NO) // 2:02x}6000fd{_NO}",
    GATE: "60003560e01c63095ea7b3146025576000546" + "01a5760006000fd5b600160005260206000f3"
    "5b6001600055600160005260206000f3",
    EVENTS: f"600560005260bb60aa7f{_LIQUIDATED}60806000a300",
}


@pytest.fixture(scope="session")
def bare_anvil(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Anvil]:
    with running(CHAIN_ID, log=tmp_path_factory.mktemp("bare") / "anvil.log") as anvil:
        install_multicall3(anvil.node)
        for address, code in _CODES.items():
            anvil.node.rpc("anvil_setCode", address, "0x" + code)
        anvil.node.rpc("evm_mine")
        yield anvil


@pytest.fixture
def node(bare_anvil: Anvil) -> Iterator[Node]:
    """The node, put back afterwards."""
    name = bare_anvil.node.snapshot()
    yield bare_anvil.node
    bare_anvil.node.revert(name)


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """At least a hundred blocks on a node of its own: one that was put back forgets older states."""
    with running(CHAIN_ID, log=tmp_path_factory.mktemp("probed") / "anvil.log") as anvil:
        install_multicall3(anvil.node)
        anvil.node.rpc("anvil_mine", hex(HEIGHT))
        yield anvil.node


@pytest.fixture
def site(chain: Node) -> Iterator[RpcProxy]:
    with RpcProxy(chain.url) as proxy:
        yield proxy


@pytest.fixture
def proxy(node: Node) -> Iterator[RpcProxy]:
    """The same node through a proxy that can misbehave."""
    with RpcProxy(node.url) as proxy:
        yield proxy


@pytest.fixture
def wired(monkeypatch: pytest.MonkeyPatch) -> type[Wired]:
    """Clients and probes made meanwhile speak to a node that is sound but for `Wired.answer`."""
    for module in ("client", "probes"):
        monkeypatch.setattr(f"keeper.chain.{module}.Endpoint", Wired)
    monkeypatch.setattr(quorum, "_PATIENCE_S", (0.0,))
    monkeypatch.setattr(Wired, "answer", None)
    return Wired


@pytest.fixture
def connect() -> Iterator[Callable[..., ChainClient]]:
    """Makes clients, and closes them."""
    clients: list[ChainClient] = []

    def made(*urls: str, **settings: Any) -> ChainClient:
        given = {"name": "test", "chain_id": CHAIN_ID, "call_gas": 10_000_000, "timeout_s": 5.0, **settings}
        clients.append(ChainClient.connect(endpoints=urls, **given))
        return clients[-1]

    yield made
    for client in clients:
        client.close()
