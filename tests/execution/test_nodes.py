"""Transactions through nodes that go wrong: each decision takes effect once, or a reason says why not."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest
from eth_account import Account

from keeper.chain.client import ChainClient
from keeper.devnet import anvil
from keeper.devnet.multicall import install_multicall3
from keeper.devnet.node import Node
from keeper.execution.executor import Executor
from keeper.execution.limits import Pace
from keeper.execution.signer.keystore import KeystoreSigner
from keeper.journal.journal import Journal
from keeper.model.intent import Outcome, TxState
from keeper.model.reads import Address
from keeper.store.store import Store
from tests.execution.bell import BELL, RUNTIME, TWO_STEPS, Bell, bell_venue, plan_of, seen
from tests.execution.rig import LIMITS
from tests.support.rpc_proxy import (
    Exchange,
    Reply,
    RpcProxy,
    answered,
    delayed,
    dropped,
    garbage,
    limited,
    refused,
    swallowed,
)

pytestmark = [pytest.mark.devnet, pytest.mark.faults]

CHAIN_ID: Final = 31_337
KEY: Final = "0x" + "4b" * 32
SEND: Final = "eth_sendRawTransaction"
CLOSED: Final = "0x" + "0" * 63 + "1"


class Site:
    """A node behind two proxies, and a keeper that reads and sends through both."""

    def __init__(self, stack: ExitStack, node: Node, folder: Path) -> None:
        self.node = node
        self.first, self.second = (stack.enter_context(RpcProxy(node.url)) for _ in range(2))
        self._stack = stack
        self._folder = folder
        self._cycles = itertools.count()

    def keeper(self, urls: Sequence[str], **settings: Any) -> None:
        account = Account.from_key(KEY)
        self.client = ChainClient.connect(
            **{"name": "local", "chain_id": CHAIN_ID, "endpoints": urls, "timeout_s": 3.0, **settings}
        )
        self._stack.callback(self.client.close)
        store = self._stack.enter_context(Store.open(self._folder / "keeper.sqlite", "live"))
        journal = self._stack.enter_context(Journal.open(self._folder / "journal.jsonl"))
        self.executor = Executor(
            clients={CHAIN_ID: self.client},
            venues=[(bell_venue(CHAIN_ID), Bell())],
            store=store,
            journal=journal,
            sender=Address(account.address),
            signer=KeystoreSigner(account),
            limits=LIMITS,
            live=True,
            final_after_blocks={CHAIN_ID: 2},
            pace=Pace(receipt_wait_s=1.0, foreign_wait_s=2.0),
        )

    def both(self, **settings: Any) -> None:
        self.keeper([self.first.url, self.second.url], **settings)

    def cycle(self, number: int) -> Outcome:
        """One cycle that decides `number`; returns the last outcome."""
        snapshot = seen([self.client.pin()])
        plan = plan_of([number], CHAIN_ID, snapshot)
        return self.executor.execute(plan, f"cycle-{next(self._cycles)}", snapshot)[-1]

    def effects(self, number: int) -> int:
        return int(self.node.rpc("eth_getStorageAt", BELL, hex(number), "latest"), 16)

    def sent(self) -> int:
        return self.first.count(SEND) + self.second.count(SEND)


@pytest.fixture(scope="module")
def bell_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with anvil.running(CHAIN_ID, log=tmp_path_factory.mktemp("bell") / "anvil.log") as running:
        running.node.rpc("anvil_setBalance", Account.from_key(KEY).address, hex(10**22))
        running.node.rpc("anvil_setCode", BELL, RUNTIME)
        install_multicall3(running.node)
        running.node.rpc("anvil_mine", hex(8))
        yield running.node


@pytest.fixture
def site(bell_node: Node, tmp_path: Path) -> Iterator[Site]:
    kept = bell_node.snapshot()
    with ExitStack() as stack:
        yield Site(stack, bell_node, tmp_path)
    bell_node.revert(kept)


Break = Callable[[RpcProxy], object]

FAULTS: dict[str, Break] = {
    "gone": lambda p: p.fault(dropped()),
    "garbage": lambda p: p.fault(garbage()),
    "slow by 30 s": lambda p: p.fault(delayed(30.0)),
    "HTTP 429": lambda p: p.fault(limited()),
    "-32005": lambda p: p.fault(refused(-32005, "request rate limited")),
    "takes and says nothing": lambda p: p.fault(swallowed(), SEND),
    "refuses with unknown words": lambda p: p.fault(refused(-32603, "internal error 0x5f"), SEND),
    "slow to take": lambda p: p.fault(delayed(30.0), SEND),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_beside_a_sound_node_everything_takes_effect_once(site: Site, fault: str) -> None:
    site.both()
    FAULTS[fault](site.first)
    outcome = site.cycle(1)
    assert (outcome.state, outcome.success) == (TxState.CONFIRMED, True), outcome.reason
    assert site.effects(1) == 1
    site.first.clear()
    assert site.cycle(2).success is True
    assert (site.effects(1), site.effects(2)) == (1, 1)


def test_a_transaction_is_given_to_both_nodes(site: Site) -> None:
    site.both()
    assert site.cycle(1).success is True
    assert site.effects(1) == 1
    assert site.first.count(SEND) == 1


def test_a_lie_in_the_simulation_is_held_by_a_quorum(site: Site) -> None:
    """The first node says that it would go through; it would revert, and cost gas for nothing."""
    site.both(quorum=2)
    assert site.cycle(1).success is True
    site.node.rpc("anvil_setStorageAt", BELL, "0x" + "0" * 64, CLOSED)
    site.node.rpc("evm_mine")
    site.first.fault(refused(-32601, "method not found"), "eth_simulateV1")
    site.first.fault(answered("0x"), "eth_call", when=lambda params: params[0]["to"] == BELL)
    site.first.fault(answered(hex(60_000)), "eth_estimateGas")
    sent = site.sent()
    outcome = site.cycle(2)
    assert outcome.state is TxState.DROPPED
    assert f"{site.first.url} would take it, {site.second.url} would not" in outcome.reason
    assert site.sent() == sent


@pytest.mark.parametrize(("quorum", "steps"), [(1, 1), (2, 0)])
def test_a_lie_in_what_is_read_to_encode_is_held_by_a_quorum(site: Site, quorum: int, steps: int) -> None:
    """The first node says that the first of two steps was made, so that it would be left out."""
    number = TWO_STEPS + 1
    site.both(quorum=quorum)
    pretend = {BELL: {"stateDiff": {f"0x{number:064x}": CLOSED}}}

    def lying(exchange: Exchange) -> Reply:
        transaction, block, *overrides = exchange.params
        exchange.params = [transaction, block, {**(overrides[0] if overrides else {}), **pretend}]
        return exchange.forward()

    site.first.fault(lying, "eth_call", when=lambda params: isinstance(params[1], dict))
    outcome = site.cycle(number)
    assert (site.effects(number), site.effects(number + TWO_STEPS)) == (0, steps)
    if quorum == 2:
        assert (
            f"{site.first.url} and {site.second.url} disagree about erc20/ERC20.balanceOf" in outcome.reason
        )
        assert site.sent() == 0


def test_without_a_witness_nothing_is_sent(site: Site) -> None:
    site.both(quorum=2)
    site.second.fault(dropped())
    outcome = site.cycle(1)
    assert outcome.state is TxState.DROPPED
    assert "quorum of 2, only 1 answered" in outcome.reason
    assert (site.sent(), site.effects(1)) == (0, 0)
    site.second.clear()
    assert site.cycle(1).success is True
    assert site.effects(1) == 1


def test_nothing_is_sent_on_a_chain_that_stands_still(site: Site) -> None:
    site.both(max_head_age_s=0)
    outcome = site.cycle(1)
    assert outcome.state is TxState.DROPPED
    assert "no new block" in outcome.reason
    assert (site.sent(), site.effects(1)) == (0, 0)


def test_a_private_transaction_is_kept_from_the_others(site: Site) -> None:
    site.keeper([site.first.url], private_endpoint=site.second.url)
    assert site.cycle(1).success is True
    assert (site.first.count(SEND), site.second.count(SEND)) == (0, 1)


def test_a_private_transaction_that_is_not_mined_goes_public(site: Site) -> None:
    site.keeper([site.first.url], private_endpoint=site.second.url, private_blocks=2)
    site.second.fault(answered("0x" + "00" * 32), SEND)
    assert site.cycle(1).success is None
    for _ in range(3):
        site.node.rpc("evm_mine")
        site.cycle(1)
    assert site.effects(1) == 1
    assert site.first.count(SEND) >= 1
