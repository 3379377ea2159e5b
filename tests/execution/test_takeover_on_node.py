"""On a real node: a stuck transaction, then urgent work, which is mined first; also when it is killed."""

import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from eth_account import Account

from keeper.chain.client import ChainClient
from keeper.devnet.node import Node
from keeper.execution.crash import crash_point
from keeper.execution.errors import OtherSignerError, SignerMismatchError
from keeper.execution.executor import Executor, Report
from keeper.execution.limits import Limits, Pace
from keeper.execution.signer import KeystoreSigner
from keeper.journal.journal import Journal
from keeper.journal.verify import verify
from keeper.model.book import Balance, Wallet
from keeper.model.intent import Outcome, TxState
from keeper.model.plan import Hedge, MoveCollateral, Plan, TxAction
from keeper.model.reads import Address
from keeper.model.units import Wad, Wei
from keeper.store.rows import ENDED
from keeper.store.store import Store
from tests.execution.bell import Bell, bell_venue, decision, hedging, seen
from tests.execution.local_chain import CHAIN_ID, KEY, LocalChain, local_chain
from tests.execution.rig import LIMITS, never
from tests.execution.simulated_chain import GWEI
from tests.execution.test_kill import ended, fork

pytestmark = [pytest.mark.devnet, pytest.mark.faults]

URGENT_KEY: Final = "0x" + "75" * 32
URGENT: Final[Limits] = replace(LIMITS, urgent_kinds=frozenset({"move_collateral"}))
SPIKED: Final[Limits] = replace(
    URGENT,
    max_fee_per_gas=Wei(10 * GWEI),
    emergency_kinds=URGENT.urgent_kinds,
    emergency_max_fee_per_gas=Wei(200 * GWEI),
    emergency_max_gas_wei_per_day=Wei(10**17),
)
BRIEF: Final = Pace(receipt_wait_s=0.5, poll_s=0.01, foreign_wait_s=0.2)
"""For what is not mined."""

LONG_S: Final = 30.0


@pytest.fixture
def local(tmp_path: Path) -> Iterator[LocalChain]:
    with local_chain(tmp_path) as local:
        local.node.rpc("anvil_setBalance", Account.from_key(URGENT_KEY).address, hex(10**22))
        local.set_base_fee(GWEI)
        yield local


def mine_what_is_sent(local: LocalChain) -> None:
    """From now on a block is mined after each transaction that the keeper hands over, and not before."""
    broadcast = local.client.broadcast

    def send(raw: bytes | str) -> str:
        taken = broadcast(raw)
        local.node.rpc("evm_mine")
        return taken

    local.client.broadcast = send  # type: ignore[method-assign]


def housekeeping(number: int) -> Hedge:
    return replace(hedging(number, CHAIN_ID, counts_on=()), subject=f"desk/{number}")


def rescue(number: int) -> MoveCollateral:
    return decision(number, CHAIN_ID)


class Run:
    """One run of a keeper, with a second signer where asked for."""

    def __init__(
        self,
        local: LocalChain,
        stack: ExitStack,
        *,
        two: bool = False,
        rich: bool = True,
        crash_at: Callable[[str], None] = never,
        pace: Pace = BRIEF,
        limits: Limits = URGENT,
    ) -> None:
        self.local = local
        self.rich = rich
        self.urgent = Address(Account.from_key(URGENT_KEY).address)
        self.store = stack.enter_context(
            Store.open(local.folder / "keeper.sqlite", "live", crash_at=crash_at)
        )
        self.executor = Executor(
            clients={CHAIN_ID: local.client},
            venues=[(bell_venue(CHAIN_ID), Bell())],
            store=self.store,
            journal=stack.enter_context(Journal.open(local.folder / "journal.jsonl")),
            sender=local.signer,
            signer=KeystoreSigner(Account.from_key(KEY)),
            urgent_signer=KeystoreSigner(Account.from_key(URGENT_KEY)) if two else None,
            limits=limits,
            live=True,
            final_after_blocks={CHAIN_ID: 2},
            pace=pace,
        )
        self.report: Report = self.executor.reconcile()

    def carry_out(self, *actions: TxAction) -> tuple[Outcome, ...]:
        snapshot = seen([self.local.client.pin()])
        if self.rich:
            balance = Balance(asset="BELL", amount=Wad(10**36))
            purse = Wallet(owner=self.urgent, chain_id=CHAIN_ID, native=Wad(10**22), balances=(balance,))
            snapshot = replace(snapshot, wallets=(*snapshot.wallets, purse))
        plan = Plan(snapshot_digest=snapshot.digest, params_digest="0" * 64, decisions=(), actions=actions)
        self.local.cycles += 1
        return self.executor.execute(plan, f"cycle-{self.local.cycles}", snapshot)


def test_a_rescue_is_mined_before_the_stuck_transaction_in_front_of_it(local: LocalChain) -> None:
    """The base fee rises above what a hedge may bid, so nobody mines it: a rescue may bid more."""
    local.node.rpc("evm_setAutomine", False)
    with ExitStack() as stack:
        patient = replace(BRIEF, receipt_wait_s=LONG_S, housekeeping_wait_s=0.2)
        run = Run(local, stack, pace=patient, limits=SPIKED)
        (hedged,) = run.carry_out(housekeeping(1))
        assert hedged.state is TxState.SENT
        local.set_base_fee(20 * GWEI)
        assert (local.sent(), local.effects(1)) == (0, 0)
        mine_what_is_sent(local)
        dropped, rescued = run.carry_out(rescue(2))
        assert rescued.success is True
        assert dropped.reason == f"displaced by move_collateral of bell:{CHAIN_ID}:2 at nonce 0"
        assert (local.sent(), local.effects(1), local.effects(2)) == (1, 0, 1)
        local.set_base_fee(GWEI)
        assert run.carry_out(housekeeping(1))[-1].success is True
    assert (local.sent(), local.effects(1), local.effects(2)) == (2, 1, 1)


def test_a_miner_that_has_the_cheaper_one_is_adopted_and_the_rescue_signed_anew(local: LocalChain) -> None:
    """A node that forgot the replacement gets the first version again, from another sender's pool."""
    local.node.rpc("evm_setAutomine", False)
    with ExitStack() as stack:
        run = Run(local, stack)
        run.carry_out(housekeeping(1))
        run.carry_out(rescue(2))
        (hedge,) = (s for s in run.store.intents.within([TxState.SENT]) if s.kind == "hedge")
        (version,) = run.store.intents.attempts(hedge.intent.id)
        local.node.rpc("anvil_dropAllTransactions")
        local.node.rpc("eth_sendRawTransaction", "0x" + version.raw.hex())
        local.node.rpc("evm_mine")
        mine_what_is_sent(local)
        outcomes = run.carry_out(rescue(2))
        assert outcomes[-1].success is True
        assert any("landed before it could be displaced" in o.reason for o in outcomes)
    assert (local.sent(), local.effects(1), local.effects(2)) == (2, 1, 1)


@pytest.mark.parametrize(
    "boundary",
    [
        "signed.before",
        "signed.written",
        "signed.after",
        "sent.after",
        "broadcast.before",
        "broadcast.after",
        "dropped.written",
        "confirmed.written",
        "confirmed.after",
    ],
)
def test_killed_while_it_takes_over(local: LocalChain, boundary: str) -> None:
    local.node.rpc("evm_setAutomine", False)

    def dying() -> None:
        armed: list[Callable[[str], None]] = [never]
        # Connections of its own: those of the parent are the parent's.
        local.node = Node(local.node.url)
        local.client = ChainClient(name="local", chain_id=CHAIN_ID, endpoints=[local.node.url])
        with ExitStack() as stack:
            run = Run(local, stack, crash_at=lambda name: armed[0](name))
            run.carry_out(housekeeping(1))
            mine_what_is_sent(local)
            armed[0] = crash_point(boundary)
            run.carry_out(rescue(2))

    assert ended(fork(dying)) == -signal.SIGKILL
    deadline_s = time.monotonic() + LONG_S
    with ExitStack() as stack:
        run = Run(local, stack)
        while not settled(local, run) and time.monotonic() < deadline_s:
            wanted: Mapping[int, TxAction] = {1: housekeeping(1), 2: rescue(2)}
            run.carry_out(*(action for n, action in wanted.items() if not local.effects(n)))
            local.node.rpc("evm_mine")
        assert (local.effects(1), local.effects(2)) == (1, 1)
        assert {s.state for s in run.store.intents.within(list(TxState))} <= ENDED
        landed = {s.nonce for s in run.store.intents.within([TxState.CONFIRMED, TxState.FINALIZED])}
        assert landed == set(range(local.sent()))
    assert verify(local.folder / "journal.jsonl").ok


def settled(local: LocalChain, run: Run) -> bool:
    return local.effects(1) == local.effects(2) == 1 and run.store.intents.lanes() == ()


def test_a_signer_of_its_own_is_not_blocked_by_housekeeping(local: LocalChain) -> None:
    local.node.rpc("evm_setAutomine", False)
    with ExitStack() as stack:
        run = Run(local, stack, two=True)
        run.carry_out(housekeeping(1))
        (rescued,) = run.carry_out(rescue(2))
        assert rescued.state is TxState.SENT
        hedge, top_up = sorted(run.store.intents.within([TxState.SENT]), key=lambda s: s.kind)
        assert (hedge.intent.sender, hedge.nonce) == (local.signer, 0)
        assert (top_up.intent.sender, top_up.nonce) == (run.urgent, 0)
        assert (top_up.displaces, hedge.displaced_by) == (None, None)
        local.node.rpc("evm_mine")
        outcomes = run.carry_out()
        assert [o.success for o in outcomes] == [True, True]
    assert (local.effects(1), local.effects(2)) == (1, 1)


def test_a_rescue_that_its_signer_cannot_pay_takes_over_in_the_other_lane(local: LocalChain) -> None:
    """The wallet of the urgent signer is empty, so the ordinary one pays, from behind its own hedge."""
    local.node.rpc("evm_setAutomine", False)
    with ExitStack() as stack:
        run = Run(local, stack, two=True, rich=False)
        run.carry_out(housekeeping(1))
        mine_what_is_sent(local)
        dropped, rescued = run.carry_out(rescue(2))
    assert (dropped.state, rescued.success) == (TxState.DROPPED, True)
    assert (local.sent(), local.effects(1), local.effects(2)) == (1, 0, 1)


def test_both_lanes_are_reconciled_at_the_start(local: LocalChain) -> None:
    local.node.rpc("evm_setAutomine", False)
    with ExitStack() as stack:
        run = Run(local, stack, two=True)
        run.carry_out(housekeeping(1))
        run.carry_out(rescue(2))
    local.node.rpc("evm_mine")
    with ExitStack() as stack, pytest.raises(OtherSignerError, match="1 open transactions"):
        Run(local, stack)
    with ExitStack() as stack:
        report = Run(local, stack, two=True).report
    assert [line.reaction.value for line in report.lines] == ["adopted", "adopted"]
    assert (local.effects(1), local.effects(2)) == (1, 1)


def test_two_signers_are_two_keys(local: LocalChain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.execution.test_takeover_on_node.URGENT_KEY", KEY)
    with ExitStack() as stack, pytest.raises(SignerMismatchError, match=r"leave signer\.urgent out"):
        Run(local, stack, two=True)
