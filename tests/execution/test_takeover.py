"""Urgent work takes the nonce over from what is in front of it: every way that this can end."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from keeper.execution.errors import DroppedLandedError
from keeper.execution.limits import Limits
from keeper.journal.journal import read
from keeper.journal.verify import verify
from keeper.model.intent import OPEN, TxState
from keeper.model.plan import Hedge, MoveCollateral
from keeper.model.record import RecordKind
from keeper.model.units import Wei
from keeper.store.rows import ENDED, StoredIntent
from tests.execution.bell import BELL, TWO_STEPS, call_of, decision, hedging
from tests.execution.rig import FINAL_AFTER, LIMITS, Killed, Rig, never
from tests.execution.simulated_chain import GWEI, SIGNER, SimulatedChain

CHAIN: Final = 10
URGENT: Final[Limits] = replace(LIMITS, urgent_kinds=frozenset({"move_collateral"}))


def housekeeping(number: int) -> Hedge:
    return hedging(number, CHAIN, counts_on=())


def rescue(number: int) -> MoveCollateral:
    return decision(number, CHAIN)


@pytest.fixture
def chain() -> SimulatedChain:
    return SimulatedChain()


@pytest.fixture
def rig(tmp_path: Path, chain: SimulatedChain) -> Iterator[Rig]:
    rig = Rig(tmp_path, chain, limits=URGENT)
    yield rig
    rig.stop()


def stuck(rig: Rig, chain: SimulatedChain, number: int = 1) -> None:
    """A hedge that is sent and not mined."""
    chain.automine = False
    (outcome,) = rig.carry_out(housekeeping(number))
    assert outcome.state is TxState.SENT


def rung(chain: SimulatedChain) -> dict[int, int]:
    """How often each number took effect."""
    return {int(data[-64:], 16): count for data, count in chain.effects(BELL).items()}


def intent_of(rig: Rig, kind: str) -> StoredIntent:
    *_, newest = (s for s in rig.store.intents.within(list(TxState)) if s.kind == kind)
    return newest


def test_it_is_mined_first_at_the_nonce_of_the_other(rig: Rig, chain: SimulatedChain) -> None:
    stuck(rig, chain)
    chain.automine = True
    dropped, rescued = rig.carry_out(rescue(2))
    assert rescued.success is True
    assert dropped.state is TxState.DROPPED
    assert dropped.reason == "displaced by move_collateral of bell:10:2 at nonce 0"
    first, second = chain.broadcasts
    assert first["nonce"] == second["nonce"] == 0
    for fee in ("maxFeePerGas", "maxPriorityFeePerGas"):
        assert second[fee] * 8 >= first[fee] * 9
    assert rung(chain) == {2: 1}
    # What was displaced is decided again, and has its effect too.
    (again,) = rig.carry_out(housekeeping(1))
    assert (again.success, chain.broadcasts[-1]["nonce"]) == (True, 1)
    assert rung(chain) == {1: 1, 2: 1}


def test_what_is_not_urgent_waits(rig: Rig, chain: SimulatedChain) -> None:
    stuck(rig, chain)
    (outcome,) = rig.carry_out(housekeeping(2))
    assert outcome.reason == "already on its way at nonce 0"
    (other,) = rig.carry_out(replace(housekeeping(3), subject="another/BELL"))
    assert other.reason == "the lane is taken: hedge of desk/BELL is on its way at nonce 0"
    withdrawal = replace(rescue(4), direction="withdraw")
    (taken,) = rig.carry_out(withdrawal)
    assert "the lane is taken" in taken.reason
    assert len(chain.broadcasts) == 1


def test_urgent_work_waits_for_urgent_work(rig: Rig, chain: SimulatedChain) -> None:
    chain.automine = False
    rig.carry_out(rescue(1))
    (outcome,) = rig.carry_out(rescue(2))
    assert outcome.reason == "the lane is taken: move_collateral of bell:10:1 is on its way at nonce 0"
    assert len(chain.broadcasts) == 1


def test_without_urgent_kinds_everybody_waits(tmp_path: Path, chain: SimulatedChain) -> None:
    rig = Rig(tmp_path, chain)
    stuck(rig, chain)
    (outcome,) = rig.carry_out(rescue(2))
    assert "the lane is taken" in outcome.reason
    rig.stop()


def test_while_both_may_land_neither_is_sent_again(rig: Rig, chain: SimulatedChain) -> None:
    stuck(rig, chain)
    rig.carry_out(rescue(2))
    hedge, top_up = intent_of(rig, "hedge"), intent_of(rig, "move_collateral")
    assert (hedge.state, hedge.displaced_by) == (TxState.SENT, top_up.intent.id)
    assert (top_up.state, top_up.displaces, top_up.nonce) == (TxState.SENT, hedge.intent.id, 0)
    hedged, rescued = rig.carry_out(housekeeping(1), rescue(2))
    assert (hedged.reason, rescued.reason) == ("already on its way at nonce 0",) * 2
    chain.drop_pool()
    rig.cycle()
    assert [tx["data"] for tx in chain.broadcasts] == [call_of(n, CHAIN) for n in (1, 2, 2)]
    chain.mine()
    rig.cycle()
    assert rung(chain) == {2: 1}


@pytest.mark.parametrize("restart", [False, True])
def test_when_the_other_lands_after_all_it_is_signed_anew(
    rig: Rig, chain: SimulatedChain, restart: bool
) -> None:
    stuck(rig, chain)
    cheap = dict(chain.pool)
    rig.carry_out(rescue(2))
    chain.pool = cheap
    chain.mine()
    if restart:
        rig.restart()
    chain.automine = True
    outcomes = rig.carry_out(rescue(2))
    assert outcomes[-1].success is True
    late = next(s for s in rig.store.intents.within([TxState.DROPPED]) if s.kind == "move_collateral")
    assert late.reason == "hedge of desk/BELL at nonce 0 landed before it could be displaced"
    assert rung(chain) == {1: 1, 2: 1}
    assert [tx["nonce"] for tx in chain.broadcasts] == [0, 0, 1]
    hedge = intent_of(rig, "hedge")
    assert (hedge.state, hedge.success, hedge.displaced_by) == (TxState.CONFIRMED, True, None)


def test_a_race_that_is_lost_while_sending_goes_on_in_the_same_cycle(rig: Rig, chain: SimulatedChain) -> None:
    stuck(rig, chain)
    broadcast = chain.broadcast

    def overtaken(raw: str) -> str:
        chain.mine()  # the cheap one, just before
        chain.automine = True
        return broadcast(raw)

    chain.broadcast = overtaken  # type: ignore[method-assign]
    hedged, late, rescued = rig.carry_out(rescue(2))
    assert (hedged.success, late.state, rescued.success) == (True, TxState.DROPPED, True)
    assert "landed before it could be displaced" in late.reason
    assert rung(chain) == {1: 1, 2: 1}
    assert [tx["nonce"] for tx in chain.broadcasts] == [0, 0, 1]


def test_what_landed_meanwhile_is_not_displaced(rig: Rig, chain: SimulatedChain) -> None:
    stuck(rig, chain)
    simulate = chain.simulate_bundle

    def meanwhile(*args: object, **named: object) -> object:
        chain.mine()
        chain.automine = True
        return simulate(*args, **named)  # type: ignore[arg-type]

    chain.simulate_bundle = meanwhile  # type: ignore[method-assign, assignment]
    hedged, rescued = rig.carry_out(rescue(2))
    assert (hedged.success, rescued.success) == (True, True)
    assert [tx["nonce"] for tx in chain.broadcasts] == [0, 1]


def test_a_rescue_in_steps_takes_over_with_its_first(rig: Rig, chain: SimulatedChain) -> None:
    stuck(rig, chain)
    chain.automine = True
    dropped, *steps = rig.carry_out(rescue(TWO_STEPS))
    assert dropped.state is TxState.DROPPED
    assert [step.success for step in steps] == [True, True]
    assert [tx["nonce"] for tx in chain.broadcasts] == [0, 0, 1]


def test_a_rescue_that_reverts_has_displaced_all_the_same(rig: Rig, chain: SimulatedChain) -> None:
    stuck(rig, chain)
    chain.automine, chain.reverting = True, True
    dropped, rescued = rig.carry_out(rescue(2))
    assert (dropped.state, rescued.success, rescued.reason) == (TxState.DROPPED, False, "CLOSED")


def test_a_cancellation_that_is_stuck_is_displaced_too(rig: Rig, chain: SimulatedChain) -> None:
    stuck(rig, chain)
    chain.base_fee_wei = 20 * GWEI
    chain.mine(URGENT.valid_blocks + 1)
    rig.cycle()
    assert chain.broadcasts[-1]["to"] == SIGNER
    chain.automine = True
    dropped, rescued = rig.carry_out(rescue(2))
    assert (dropped.state, rescued.success) == (TxState.DROPPED, True)
    assert rung(chain) == {2: 1}


def test_one_that_is_too_late_itself_is_cancelled_for_both(rig: Rig, chain: SimulatedChain) -> None:
    stuck(rig, chain)
    rig.carry_out(rescue(2))
    chain.base_fee_wei = 50 * GWEI
    chain.mine(URGENT.valid_blocks + 1)
    rig.cycle()
    assert chain.broadcasts[-1]["to"] == SIGNER
    chain.mine()
    outcomes = rig.cycle()
    assert {o.state for o in outcomes} == {TxState.DROPPED}
    assert any("cancelled at nonce 0" in o.reason for o in outcomes)
    assert any("which was cancelled in the end" in o.reason for o in outcomes)
    assert rung(chain) == {}
    assert rig.store.intents.lanes() == ()


def test_a_nonce_that_somebody_else_used_ends_both(rig: Rig, chain: SimulatedChain) -> None:
    stuck(rig, chain)
    rig.carry_out(rescue(2))
    chain.foreign(mined=True)
    outcomes = rig.cycle()
    assert [o.state for o in outcomes] == [TxState.DROPPED] * 2
    assert all("was used by another transaction" in o.reason for o in outcomes)
    chain.automine = True
    assert [o.success for o in rig.carry_out(rescue(2), housekeeping(1))] == [True, True]
    assert rung(chain) == {1: 1, 2: 1}


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (replace(URGENT, max_fee_per_gas=Wei(2 * GWEI)), "limits.max_fee_gwei allows 2000000000"),
        (replace(URGENT, max_gas_wei_per_tx=Wei(75_000 * 2 * GWEI)), "its budget of 150000000000000 wei"),
    ],
)
def test_where_the_fee_market_forbids_it_the_outcome_says_so(
    tmp_path: Path, chain: SimulatedChain, limits: Limits, reason: str
) -> None:
    """The hedge bids all of the cap, so an eighth more is above it."""
    rig = Rig(tmp_path, chain, limits=limits)
    stuck(rig, chain)
    (outcome,) = rig.carry_out(rescue(2))
    assert outcome.state is TxState.DROPPED
    assert "the lane is taken: hedge of desk/BELL is on its way at nonce 0" in outcome.reason
    assert "its nonce costs at least 2250000001 wei per gas" in outcome.reason
    assert reason in outcome.reason
    assert len(chain.broadcasts) == 1
    chain.mine()
    chain.automine = True
    assert rig.carry_out(rescue(2))[-1].success is True
    rig.stop()


def test_in_a_spike_it_is_paid_from_the_emergency_budget(tmp_path: Path, chain: SimulatedChain) -> None:
    limits = replace(
        URGENT,
        max_fee_per_gas=Wei(2 * GWEI),
        emergency_kinds=frozenset({"move_collateral"}),
        emergency_max_fee_per_gas=Wei(100 * GWEI),
        emergency_max_gas_wei_per_day=Wei(10**17),
    )
    rig = Rig(tmp_path, chain, limits=limits)
    stuck(rig, chain)
    chain.base_fee_wei, chain.automine = 20 * GWEI, True
    dropped, rescued = rig.carry_out(rescue(2))
    assert (dropped.state, rescued.success) == (TxState.DROPPED, True)
    assert chain.broadcasts[-1]["maxFeePerGas"] > limits.max_fee_per_gas
    rig.stop()


def test_the_filler_of_a_gap_gives_way_and_what_is_behind_it_lands_too(
    rig: Rig, chain: SimulatedChain
) -> None:
    chain.automine = False
    chain.foreign(mined=False)
    rig.carry_out(housekeeping(1))
    chain.drop_pool()
    rig.cycle()  # fills nonce 0, and sends the hedge at nonce 1 again
    rig.cycle()
    assert {int(tx["nonce"]) for tx, _ in chain.pool.values()} == {0, 1}
    rig.carry_out(rescue(2))
    chain.mine()
    rig.cycle()
    assert rung(chain) == {1: 1, 2: 1}
    assert [mined.tx["nonce"] for block in chain.blocks for mined in block.mined] == [0, 1]


def test_nothing_is_displaced_that_another_transaction_rests_on(rig: Rig, chain: SimulatedChain) -> None:
    """After a reorg two are on their way again, the second on the effect of the first."""
    steps = replace(housekeeping(TWO_STEPS), subject="another/BELL")
    rig.carry_out(steps)
    chain.automine = False
    chain.reorg(2, keep=False)
    chain.mine(2)
    (outcome,) = rig.carry_out(rescue(2))
    assert "the lane is taken" in outcome.reason
    chain.mine()
    rig.cycle()
    chain.automine = True
    assert rig.carry_out(rescue(2))[-1].success is True
    assert rung(chain) == {TWO_STEPS: 1, 2 * TWO_STEPS: 1, 2: 1}


@pytest.mark.parametrize("keep", [True, False])
def test_a_reorg_after_it_landed_sends_the_same_bytes_again(
    rig: Rig, chain: SimulatedChain, keep: bool
) -> None:
    stuck(rig, chain)
    rig.carry_out(rescue(2))
    chain.mine(2)
    rig.cycle()
    chain.reorg(2, keep=keep)
    chain.mine(3)
    rig.cycle()
    chain.mine()
    rig.cycle()
    assert rung(chain) == {2: 1}
    chain.mine(FINAL_AFTER)
    rig.cycle()
    assert intent_of(rig, "move_collateral").state is TxState.FINALIZED


def test_a_reorg_after_the_other_landed_leaves_it_to_itself(rig: Rig, chain: SimulatedChain) -> None:
    stuck(rig, chain)
    cheap = dict(chain.pool)
    rig.carry_out(rescue(2))
    chain.pool = cheap
    chain.mine()
    rig.cycle()
    chain.reorg(1, keep=False)
    chain.mine(2)
    rig.cycle()  # reopened, and sent again
    chain.mine()
    rig.cycle()
    assert rung(chain) == {1: 1}
    assert intent_of(rig, "hedge").state is TxState.CONFIRMED


def test_a_displaced_one_that_a_reorg_brings_back_halts(rig: Rig, chain: SimulatedChain) -> None:
    stuck(rig, chain)
    cheap = dict(chain.pool)
    rig.carry_out(rescue(2))
    chain.mine()
    rig.cycle()
    chain.reorg(1, keep=False)
    chain.pool = cheap
    chain.mine(2)
    with pytest.raises(DroppedLandedError):
        rig.cycle()
    assert rig.store.halted() is not None


def test_a_halt_between_taking_over_and_sending_keeps_it_back(rig: Rig, chain: SimulatedChain) -> None:
    stuck(rig, chain)
    take_over = rig.store.intents.take_over

    def halting(*args: object) -> object:
        done = take_over(*args)  # type: ignore[arg-type]
        rig.store.halt("enough", by="operator")
        return done

    rig.store.intents.take_over = halting  # type: ignore[method-assign, assignment]
    (outcome,) = rig.carry_out(rescue(2))
    assert outcome.state is TxState.SIGNED
    assert len(chain.broadcasts) == 1
    del rig.store.intents.take_over
    rig.store.resume(by="operator")
    rig.cycle()
    chain.mine()
    rig.cycle()
    assert rung(chain) == {2: 1}


def finished(
    rig: Rig, chain: SimulatedChain, numbers: dict[int, Callable[[int], Hedge | MoveCollateral]]
) -> None:
    """Let the keeper decide what has no effect yet until all have, then check everything that it left."""
    chain.automine = False
    for _ in range(12):
        missing = [make(n) for n, make in numbers.items() if not rung(chain).get(n)]
        rig.carry_out(*missing)
        chain.mine(3)
        rig.carry_out()
        if not missing and not rig.store.intents.within(OPEN):
            break
    assert rung(chain) == dict.fromkeys(numbers, 1)
    stored = rig.store.intents.within(list(TxState))
    assert {s.state for s in stored} <= ENDED
    nonces = [int(m.tx["nonce"]) for block in chain.blocks for m in block.mined]
    assert nonces == list(range(len(nonces)))
    path = rig.folder / "journal.jsonl"
    assert verify(path).ok
    told = [r.body["transition"] for r in read(path) if r.kind is RecordKind.TRANSITION]
    assert told == [t.id for t in rig.store.intents.transitions()]


BOTH: Final[dict[int, Callable[[int], Hedge | MoveCollateral]]] = {1: housekeeping, 2: rescue}


class Reached:
    """Counts the boundaries that are reached, and ends the keeper at one of them."""

    def __init__(self, at: int | None = None) -> None:
        self.at = at
        self.names: list[str] = []

    def __call__(self, boundary: str) -> None:
        self.names.append(boundary)
        if len(self.names) - 1 == self.at:
            raise Killed(boundary)


def taken_over(folder: Path, reached: Reached, *, races: bool) -> bool:
    """Take a nonce over, the other landing after all where `races`. Returns whether the keeper was killed."""
    folder.mkdir()
    chain = SimulatedChain()
    rig = Rig(folder, chain, limits=URGENT)
    stuck(rig, chain)
    cheap, killed = dict(chain.pool), False
    rig.crash_at = reached
    for wanted in (True, True, False):
        try:
            rig.carry_out(*([rescue(2)] if wanted and not rung(chain).get(2) else []))
        except Killed:
            killed, rig.crash_at = True, never
            rig.restart()
        if races and chain.pool and not rung(chain):
            chain.pool = cheap
        chain.mine(FINAL_AFTER // 2)
    rig.crash_at = never
    finished(rig, chain, BOTH)
    rig.stop()
    return killed


@pytest.mark.parametrize("races", [False, True])
def test_killed_at_every_boundary_of_a_take_over(tmp_path: Path, races: bool) -> None:
    calm = Reached()
    assert not taken_over(tmp_path / "calm", calm, races=races)
    needed = {f"{step}.{m}" for step in ("signed", "sent", "dropped") for m in ("before", "written", "after")}
    assert needed | {"broadcast.before", "broadcast.after"} <= set(calm.names)
    for at, name in enumerate(calm.names):
        # Before a step is written all is as after the step before it.
        if name.endswith(".before") and not name.startswith(("signed", "broadcast")):
            continue
        assert taken_over(tmp_path / str(at), Reached(at), races=races)


def test_a_node_that_fails_at_any_request_of_a_take_over(tmp_path: Path) -> None:
    asked, answer = 0, SimulatedChain._answer
    at = 0

    def failing(self: SimulatedChain) -> None:
        nonlocal asked
        asked += 1
        if asked == at:
            self.faults.unreachable = 1
        answer(self)

    while asked >= at:
        asked, at = 0, at + 1
        chain = SimulatedChain()
        folder = tmp_path / str(at)
        folder.mkdir()
        rig = Rig(folder, chain, limits=URGENT)
        stuck(rig, chain)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(SimulatedChain, "_answer", failing)
            rig.carry_out(rescue(2))
        chain.mine()
        rig.carry_out(*([] if rung(chain).get(2) else [rescue(2)]))
        finished(rig, chain, BOTH)
        rig.stop()
    assert at > 20
