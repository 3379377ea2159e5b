"""What was journaled comes back as the same values."""

from dataclasses import replace
from pathlib import Path

import pytest

from keeper.journal.decode import outcomes_of, params_of, plan_of, snapshot_of
from keeper.journal.errors import UnreadableRecordError
from keeper.journal.journal import Journal, read
from keeper.model.intent import Outcome, Simulation, TxState
from keeper.model.plan import MarginCall, MoveCollateral, Reason, Refresh, Settle
from keeper.model.record import Record, RecordKind
from keeper.model.snapshot import Board, Gap
from keeper.model.units import ONE, Wad, Wei
from keeper.policy.decide import decide
from tests.support import books

SNAPSHOT = books.snapshot(
    [books.lyra_short(), books.curie_account()],
    gaps=[Gap(what="quote", key="BTC", reason="stale", chain_id=10)],
    boards=[
        Board(
            venue="lyra:10",
            chain_id=10,
            key="1",
            expiry_s=books.NOW_S - 5,
            settled=False,
            open_positions=("lyra:10:1",),
        )
    ],
)
PARAMS = books.params()
DECIDED = decide(SNAPSHOT, PARAMS)
MORE_ACTIONS = (
    MarginCall(subject="a", reason=Reason(text="t"), owner=books.DESK, amount_usd=Wad(5 * ONE), deadline_s=7),
    MoveCollateral(
        subject="a",
        reason=Reason(text="t", numbers=(("health", 1.01),)),
        protocol="lyra",
        chain_id=10,
        account="a",
        owner=books.DESK,
        asset="sUSD",
        amount=Wad(3),
        direction="add",
    ),
    Settle(
        subject="b",
        reason=Reason(text="t"),
        protocol="lyra",
        chain_id=10,
        board="1",
        board_settled=True,
        accounts=("a", "b"),
    ),
    Refresh(subject="b", reason=Reason(text="t"), protocol="lyra", chain_id=10),
)
OUTCOME = Outcome(
    intent_id="i",
    action_id="a",
    chain_id=10,
    state=TxState.CONFIRMED,
    success=False,
    reason="CLOSED",
    tx_hash="0x1",
    block_number=5,
    gas_used=7,
    fee=Wei(10**25),
    simulation=Simulation(ok=False, gas=None, error="x", benign=True, block_number=4),
    to="0x2",
    data="0x",
    value=Wei(3),
)


@pytest.fixture
def records(tmp_path: Path) -> dict[RecordKind, Record]:
    plan = replace(DECIDED.plan, actions=DECIDED.plan.actions + MORE_ACTIONS)
    with Journal.open(tmp_path / "j") as journal:
        journal.decided("c1", SNAPSHOT, PARAMS, plan, DECIDED.profiles)
        journal.done("c1", SNAPSHOT.taken_at_s, plan.id, (OUTCOME,))
    return {record.kind: record for record in read(tmp_path / "j")}


def test_values_come_back_equal(records: dict[RecordKind, Record]) -> None:
    assert snapshot_of(records[RecordKind.SNAPSHOT]) == SNAPSHOT
    assert params_of(records[RecordKind.PARAMS]) == PARAMS
    plan = plan_of(records[RecordKind.PLAN])
    assert plan.actions == DECIDED.plan.actions + MORE_ACTIONS
    assert [type(a) for a in plan.actions[-4:]] == [MarginCall, MoveCollateral, Settle, Refresh]
    assert outcomes_of(records[RecordKind.OUTCOME]) == (OUTCOME,)


def test_a_snapshot_that_is_not_its_digest_is_refused(records: dict[RecordKind, Record]) -> None:
    record = records[RecordKind.SNAPSHOT]
    body = {**record.body, "snapshot": {**record.body["snapshot"], "gaps": []}}
    with pytest.raises(UnreadableRecordError, match="it states"):
        snapshot_of(replace(record, body=body))


def test_a_plan_that_is_not_its_id_is_refused(records: dict[RecordKind, Record]) -> None:
    record = records[RecordKind.PLAN]
    with pytest.raises(UnreadableRecordError, match="it states"):
        plan_of(replace(record, body={**record.body, "plan_id": "0" * 64}))


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({}, "no 'snapshot'"),
        ({"snapshot": {}}, r"blocks: Field required \(4 in all\)"),
        ({"snapshot": []}, "snapshot|dictionary|instance"),
    ],
)
def test_a_body_of_another_shape_is_refused(
    records: dict[RecordKind, Record], body: dict[str, object], problem: str
) -> None:
    with pytest.raises(UnreadableRecordError, match=problem):
        snapshot_of(replace(records[RecordKind.SNAPSHOT], body=body))


def test_a_record_of_another_kind_is_refused(records: dict[RecordKind, Record]) -> None:
    with pytest.raises(UnreadableRecordError, match="kind plan, expected snapshot"):
        snapshot_of(records[RecordKind.PLAN])


def test_the_same_snapshot_and_parameters_are_written_once(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "j") as journal:
        for cycle in ("c1", "c2", "c3"):
            journal.decided(cycle, SNAPSHOT, PARAMS, DECIDED.plan, DECIDED.profiles)
    kinds = [record.kind for record in read(tmp_path / "j")]
    assert kinds == [RecordKind.PARAMS, RecordKind.SNAPSHOT, *[RecordKind.PLAN] * 3]
