"""Sending and following where an endpoint lies about now, and where the chain itself says what is final."""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, Final

import pytest

from keeper.chain import quorum
from keeper.chain.client import ChainClient
from keeper.chain.settings import Finality
from keeper.execution.l1_fee import GAS_PRICE_ORACLE, OpStackFees
from keeper.execution.limits import Limits
from keeper.model.errors import DataError, TransientError
from keeper.model.intent import Outcome, TxState
from keeper.model.units import Wei
from keeper.store.rows import StoredIntent
from keeper.store.store import Store
from tests.execution.bell import decision
from tests.execution.local_chain import CHAIN_ID, PACE, LocalChain, local_chain
from tests.execution.rig import LIMITS
from tests.execution.test_l1_fee import ORACLE_CODE
from tests.support.rpc_proxy import Fault, RpcProxy, answered, changed, garbage, refused

pytestmark = [pytest.mark.devnet, pytest.mark.faults]

SAFE_LAG: Final = 32
FINALIZED_LAG: Final = 64
"""Of the local node's tags."""

GWEI: Final = 10**9
SEND: Final = "eth_sendRawTransaction"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quorum, "_PATIENCE_S", (0.01, 0.01))


Connected = Callable[..., LocalChain]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalChain]:
    with local_chain(tmp_path_factory.mktemp("present")) as shared:
        yield shared


@pytest.fixture
def local(shared: LocalChain, tmp_path: Path) -> Iterator[LocalChain]:
    """The node, put back afterwards, and a keeper of its own."""
    kept = shared.node.snapshot()
    yield LocalChain(
        node=shared.node, client=shared.client, folder=tmp_path, pace=replace(PACE, receipt_wait_s=30.0)
    )
    # In this order: what waits would else be mined a moment later, on the chain that was put back.
    shared.node.rpc("anvil_dropAllTransactions")
    shared.node.rpc("evm_setAutomine", True)
    shared.node.rpc("evm_mine")
    shared.node.revert(kept)


@pytest.fixture
def through(local: LocalChain) -> Iterator[Connected]:
    """Replaces the client by one with other endpoints and settings."""
    with ExitStack() as stack:

        def made(*urls: str, **settings: Any) -> LocalChain:
            client = ChainClient.connect(
                name="local",
                chain_id=CHAIN_ID,
                endpoints=urls or (local.node.url,),
                timeout_s=5.0,
                **settings,
            )
            stack.callback(client.close)
            local.client = client
            return local

        yield made


@pytest.fixture
def two(local: LocalChain) -> Iterator[tuple[RpcProxy, RpcProxy]]:
    with ExitStack() as stack:
        yield (
            stack.enter_context(RpcProxy(local.node.url)),
            stack.enter_context(RpcProxy(local.node.url)),
        )


def only(local: LocalChain) -> StoredIntent:
    with Store.attach(local.folder / "keeper.sqlite") as store:
        (stored,) = [s for s in store.intents.within(list(TxState)) if s.tx_hash is not None]
    return stored


def ring(local: LocalChain, number: int = 1) -> Outcome:
    return local.carry_out((decision(number, CHAIN_ID),), LIMITS)[-1]


def send(local: LocalChain, number: int = 1) -> Outcome:
    """Carry out a decision without waiting for what becomes of it."""
    patient, local.pace = local.pace, replace(local.pace, receipt_wait_s=0.1)
    outcome = ring(local, number)
    local.pace = patient
    return outcome


def look(local: LocalChain) -> None:
    """A cycle that decides nothing."""
    local.carry_out((), LIMITS)


def nonce_of(local: LocalChain) -> int:
    return int(local.node.rpc("eth_getTransactionCount", local.signer, "latest"), 16)


# Finality


@pytest.mark.parametrize(
    ("finality", "lag"), [(Finality.SAFE, SAFE_LAG), (Finality.FINALIZED, FINALIZED_LAG)]
)
def test_a_transaction_is_final_when_the_chain_says_so(
    through: Connected, finality: Finality, lag: int
) -> None:
    local = through(finality=finality)
    assert ring(local).state is TxState.CONFIRMED
    local.mine(lag - 1)
    look(local)
    assert only(local).state is TxState.CONFIRMED, "by confirmations it would be final by now"
    local.mine(1)
    look(local)
    assert only(local).state is TxState.FINALIZED


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("state", [TxState.SENT, TxState.CONFIRMED])
def test_a_reorg_before_the_tag_is_survived_at_each_state(
    through: Connected, depth: int, state: TxState
) -> None:
    local = through(finality=Finality.FINALIZED)
    local.mine(5)
    if state is TxState.SENT:
        local.node.rpc("evm_setAutomine", False)
    assert (ring if state is TxState.CONFIRMED else send)(local).state is state
    if state is TxState.CONFIRMED:
        local.mine(depth - 1)
    local.node.rpc("anvil_reorg", depth, [])
    local.node.rpc("anvil_dropAllTransactions")
    local.node.rpc("evm_setAutomine", True)
    local.mine(1)
    look(local)
    local.mine(1)  # the node answers before it mines
    look(local)
    assert (local.effects(1), only(local).state) == (1, TxState.CONFIRMED)
    assert local.sent() == 1
    local.mine(FINALIZED_LAG)
    look(local)
    assert (local.effects(1), only(local).state) == (1, TxState.FINALIZED)


def test_a_receipt_of_a_block_that_is_gone_makes_nothing_final(local: LocalChain, through: Connected) -> None:
    """The node goes on showing the receipt of a block that a reorg has taken."""
    with RpcProxy(local.node.url) as proxy:
        through(proxy.url)
        assert ring(local).state is TxState.CONFIRMED
        stale = local.node.rpc("eth_getTransactionReceipt", only(local).tx_hash)
        proxy.fault(answered(stale), "eth_getTransactionReceipt")
        local.node.rpc("anvil_reorg", 1, [])
        local.mine(2 * local.final_after)
        look(local)
        assert only(local).state is TxState.CONFIRMED
        proxy.clear()
        look(local)
        local.mine(1)
        look(local)
        assert local.effects(1) == 1
        assert only(local).state is TxState.CONFIRMED


def test_a_node_that_forgets_the_tag_keeps_nothing_from_being_sent(
    local: LocalChain, through: Connected
) -> None:
    with RpcProxy(local.node.url) as proxy:
        through(proxy.url, finality=Finality.FINALIZED)
        proxy.fault(refused(-32602, "unknown block tag"), "eth_getBlockByNumber", when=of_tag("finalized"))
        assert ring(local, 1).success is True
        local.mine(FINALIZED_LAG)
        assert ring(local, 2).success is True
        with Store.attach(local.folder / "keeper.sqlite") as store:
            assert store.intents.counts()[TxState.FINALIZED] == 0
        proxy.clear()
        look(local)
        with Store.attach(local.folder / "keeper.sqlite") as store:
            assert store.intents.counts()[TxState.FINALIZED] == 1


def of_tag(tag: str) -> Callable[[list[Any]], bool]:
    return lambda params: params[0] == tag


@pytest.mark.parametrize("liar", [0, 1])
def test_one_endpoint_alone_makes_nothing_final(
    local: LocalChain, through: Connected, two: tuple[RpcProxy, RpcProxy], liar: int
) -> None:
    through(*(proxy.url for proxy in two), quorum=2, finality=Finality.FINALIZED)
    assert ring(local).state is TxState.CONFIRMED
    head = local.node.rpc("eth_getBlockByNumber", "latest", False)
    two[liar].fault(answered(head), "eth_getBlockByNumber", when=of_tag("finalized"))
    look(local)
    assert only(local).state is TxState.CONFIRMED


# Lies about now


@pytest.mark.parametrize("liar", [0, 1])
@pytest.mark.parametrize("lie", [0, 10**6])
def test_a_lie_about_the_nonce_is_not_signed(
    local: LocalChain, through: Connected, two: tuple[RpcProxy, RpcProxy], liar: int, lie: int
) -> None:
    through(*(proxy.url for proxy in two), quorum=2)
    assert ring(local, 1).success is True
    two[liar].fault(answered(hex(lie)), "eth_getTransactionCount")
    outcome = ring(local, 2)
    assert outcome.success is None
    assert "disagree about the nonce" in outcome.reason
    assert local.effects(2) == 0
    two[liar].clear()
    assert ring(local, 2).success is True
    assert (local.effects(1), local.effects(2), local.sent()) == (1, 1, 2)


@pytest.mark.parametrize("voices", [1, 2])
def test_a_nonce_that_is_not_used_gives_nothing_up(
    local: LocalChain, through: Connected, two: tuple[RpcProxy, RpcProxy], voices: int
) -> None:
    """Ours waits in the pool. Who believes that its nonce is used decides the same thing again."""
    through(*(proxy.url for proxy in two), quorum=voices)
    local.node.rpc("evm_setAutomine", False)
    assert send(local).state is TxState.SENT
    two[0].fault(answered("0x1"), "eth_getTransactionCount", when=lambda params: params[1] == "latest")
    look(local)
    two[0].clear()
    assert only(local).state is (TxState.DROPPED if voices == 1 else TxState.SENT)
    if voices == 2:
        local.mine(1)
        look(local)
        assert (local.effects(1), only(local).state) == (1, TxState.CONFIRMED)


@pytest.mark.parametrize("liar", [0, 1])
def test_a_receipt_that_one_endpoint_hides_gives_nothing_up(
    local: LocalChain, through: Connected, two: tuple[RpcProxy, RpcProxy], liar: int
) -> None:
    through(*(proxy.url for proxy in two), quorum=2)
    two[liar].fault(answered(None), "eth_getTransactionReceipt")
    assert send(local).state is TxState.SENT
    local.mine(1)
    look(local)
    assert only(local).state is TxState.SENT
    two[liar].clear()
    look(local)
    assert (only(local).state, local.effects(1), local.sent()) == (TxState.CONFIRMED, 1, 1)


def test_a_forged_receipt_is_not_believed(
    local: LocalChain, through: Connected, two: tuple[RpcProxy, RpcProxy]
) -> None:
    through(*(proxy.url for proxy in two), quorum=2)
    assert ring(local, 1).success is True
    forged = local.node.rpc("eth_getTransactionReceipt", only(local).tx_hash)
    local.node.rpc("evm_setAutomine", False)
    two[0].fault(answered(forged), "eth_getTransactionReceipt")
    assert send(local, 2).state is TxState.SENT
    two[0].clear()
    local.mine(1)
    look(local)
    assert (local.effects(2), local.sent()) == (1, 2)


@pytest.mark.parametrize("liar", [0, 1])
def test_a_lie_about_the_tip_is_not_paid(
    local: LocalChain, through: Connected, two: tuple[RpcProxy, RpcProxy], liar: int
) -> None:
    through(*(proxy.url for proxy in two), quorum=2)
    two[liar].fault(answered(None), "eth_feeHistory")
    two[liar].fault(answered(hex(60 * GWEI)), "eth_maxPriorityFeePerGas")
    assert ring(local).success is True
    sent = local.node.rpc("eth_getTransactionByHash", only(local).tx_hash)
    assert int(sent["maxPriorityFeePerGas"], 16) <= 2 * GWEI


TIGHT: Final[Limits] = replace(LIMITS, max_gas_wei_per_tx=Wei(10**15))


@pytest.mark.parametrize("liar", [0, 1])
@pytest.mark.parametrize(("told", "sent"), [(0, False), (10**13, False), (6 * 10**14, True), (10**16, False)])
def test_a_lie_about_the_layer_1_fee_is_not_spent(
    local: LocalChain, through: Connected, two: tuple[RpcProxy, RpcProxy], liar: int, told: int, sent: bool
) -> None:
    """The fee is 5e14 of a budget of 1e15; at twice as much and above nothing fits."""
    through(*(proxy.url for proxy in two), quorum=2)
    local.node.rpc("anvil_setCode", GAS_PRICE_ORACLE, ORACLE_CODE)
    local.set_slot(GAS_PRICE_ORACLE, 0, 5 * 10**14)
    local.set_base_fee(GWEI)
    lie: Fault = answered(f"0x{told:064x}")
    two[liar].fault(lie, "eth_call", when=lambda params: params[0]["to"] == GAS_PRICE_ORACLE)
    fees = {CHAIN_ID: OpStackFees(local.client)}
    (outcome,) = local.carry_out((decision(1, CHAIN_ID),), TIGHT, fees)
    assert (outcome.success is True) == sent
    if not sent:
        assert "disagree about the L1 fee" in outcome.reason
        assert (two[0].count(SEND), two[1].count(SEND)) == (0, 0)
    else:
        with Store.attach(local.folder / "keeper.sqlite") as store:
            (version,) = store.intents.attempts(outcome.intent_id)
        assert version.l1_fee == told
        assert version.worst_fee <= TIGHT.max_gas_wei_per_tx


METHODS: Final = (
    "eth_blockNumber",
    "eth_call",
    "eth_chainId",
    "eth_estimateGas",
    "eth_feeHistory",
    "eth_getBalance",
    "eth_getBlockByNumber",
    "eth_getTransactionByHash",
    "eth_getTransactionCount",
    "eth_getTransactionReceipt",
    "eth_maxPriorityFeePerGas",
    SEND,
    "eth_simulateV1",
)
"""All that reading, sending and following ask for."""


@pytest.mark.parametrize("method", METHODS)
def test_garbage_for_one_method_is_asked_of_the_other_endpoint(
    local: LocalChain, through: Connected, two: tuple[RpcProxy, RpcProxy], method: str
) -> None:
    through(*(proxy.url for proxy in two))
    two[0].fault(garbage(), method)
    assert ring(local).success is True
    look(local)
    assert (local.effects(1), local.sent()) == (1, 1)


NO_RECEIPT: Final = ("eth_getTransactionReceipt", None)
"""No nonsense but a lie, which only another endpoint shows: see the receipts above."""


@pytest.mark.parametrize(
    ("method", "nonsense"), sorted({*product(METHODS, ("lots", None))} - {NO_RECEIPT}, key=str)
)
def test_nonsense_for_one_method_does_no_harm(
    local: LocalChain, through: Connected, method: str, nonsense: object
) -> None:
    """Well-formed answers that mean nothing, from the only endpoint there is."""
    with RpcProxy(local.node.url) as proxy:
        through(proxy.url)
        proxy.fault(answered(nonsense), method)
        with contextlib.suppress(TransientError, DataError):
            send(local)
        proxy.clear()
        look(local)  # what was sent all the same is found before the same thing is decided again
        local.mine(1)
        if local.effects(1) == 0:
            ring(local)
        look(local)
        assert (local.effects(1), nonce_of(local)) == (1, 1)


def test_a_head_far_ahead_cancels_nothing(
    local: LocalChain, through: Connected, two: tuple[RpcProxy, RpcProxy]
) -> None:
    """By the first endpoint's head, what was sent is out of date."""
    through(*(proxy.url for proxy in two), quorum=2)
    local.node.rpc("evm_setAutomine", False)
    assert send(local).state is TxState.SENT
    two[0].fault(
        changed(lambda block: {**block, "number": hex(int(block["number"], 16) + 1000)}),
        "eth_getBlockByNumber",
        when=of_tag("latest"),
    )
    sent = two[0].count(SEND) + two[1].count(SEND)
    look(local)
    assert two[0].count(SEND) + two[1].count(SEND) == sent
    two[0].clear()
    local.mine(1)
    look(local)
    assert (local.effects(1), only(local).state) == (1, TxState.CONFIRMED)
