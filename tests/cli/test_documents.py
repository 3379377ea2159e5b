"""The JSON contracts: the minimum content that scripts rely on, and numbers that survive the trip."""

import dataclasses
import json

from keeper.cli.documents import plan_document, profile_document
from keeper.model.intent import Outcome, Simulation, TxState
from keeper.model.plan import MarginCall, action_id
from keeper.model.promise import Checked, Line, Outflow, Proof
from keeper.model.reads import Address
from keeper.model.snapshot import Gap
from keeper.model.units import Wei
from keeper.policy.decide import decide
from tests.service.sample import PARAMS, SNAPSHOT

DECIDED = decide(SNAPSHOT, PARAMS)
GAP = Gap(what="chain", key="10", reason="no answer", chain_id=10)


def test_profile_holds_its_minimum() -> None:
    gapped = dataclasses.replace(SNAPSHOT, gaps=(GAP,))
    document = json.loads(json.dumps(profile_document(gapped, DECIDED.profiles), allow_nan=False))
    assert document["schema"] == "keeper.profile/1"
    assert document["gaps"] == [{"what": "chain", "key": "10", "reason": "no answer", "chain_id": 10}]
    assert {"taken_at_s", "skew_s", "blocks"} <= document.keys()
    assert {"chain_id", "number", "hash", "timestamp_s"} <= document["blocks"][0].keys()
    desk = next(p for p in document["profiles"] if p["name"] == "desk")
    assert {"name", "equity_usd", "netting_benefit_usd", "exposures", "transfer", "accounts"} <= desk.keys()
    assert {"initial_usd", "maintenance_usd"} <= desk["venue_sum"].keys()
    assert {
        "initial_usd",
        "maintenance_usd",
        "scan_usd",
        "var_usd",
        "es_usd",
        "basis_usd",
        "liquidity_usd",
        "floor_usd",
        "concentration_usd",
        "uncovered",
    } <= desk["house"].keys()
    assert all({"long", "short", "underlying", "saves_usd"} <= o.keys() for o in desk["opportunities"])
    assert {"scan_part_usd", "es_part_usd"} <= desk["accounts"][0].keys()
    assert {
        "underlying",
        "delta_base",
        "gross_delta_base",
        "gamma_base_per_usd",
        "vega_usd_per_vol",
        "theta_usd_per_day",
    } <= desk["exposures"][0].keys()
    assert {"account", "time_to_barrier_s", "latency_s", "hit_probability"} <= desk["transfer"][0].keys()
    account = desk["accounts"][0]
    assert {
        "id",
        "protocol",
        "chain_id",
        "owner",
        "equity_usd",
        "initial_usd",
        "maintenance_usd",
        "health",
        "liquidatable",
    } <= account.keys()
    assert {"instrument", "kind", "underlying", "size", "mark_usd", "delta_base"} <= account["positions"][
        0
    ].keys()


PROOF = Proof(
    checked=Checked.WHOLE,
    lines=(
        Line(
            name="deposit",
            unit="sETH",
            decimals=18,
            least=123456789012345678901234567890123456,
            most=None,
            found=-1,
            tolerance=0,
            kept=False,
        ),
    ),
    broken="too little",
    outflows=(Outflow(token=Address("0x2"), holder=Address("0x3"), most=10**30),),
)


def test_plan_holds_its_minimum() -> None:
    sent = [action for action in DECIDED.plan.actions if not isinstance(action, MarginCall)]
    assert sent
    outcomes = tuple(
        Outcome(
            intent_id=f"i-{name}",
            action_id=action_id(sent[0]),
            chain_id=10,
            state=TxState.SIMULATED,
            success=None,
            reason="",
            simulation=Simulation(
                ok=True, gas=21_000, error=None, promise=PROOF if name == "deposit" else None
            ),
            to="0x1",
            data=f"0x{name}",
            value=Wei(10**30),
        )
        for name in ("approve", "deposit")
    )
    document = json.loads(json.dumps(plan_document(DECIDED.plan, outcomes, live=False), allow_nan=False))
    assert document["schema"] == "keeper.plan/1"
    assert document["id"] == DECIDED.plan.id
    assert {"snapshot_digest", "params_digest", "expected"} <= document.keys()
    assert {"subject", "step", "rule", "health", "threshold"} <= document["decisions"][0].keys()
    actions = {a["id"]: a for a in document["actions"]}
    first = actions[action_id(sent[0])]
    assert {"id", "kind", "subject", "reason"} <= first.keys()
    assert first["tx"] == {"chain_id": 10, "to": "0x1", "data": "0xdeposit", "value_wei": 10**30}
    assert first["simulated"] == {"ok": True, "gas": 21_000, "error": None}
    assert [t["tx"]["data"] for t in first["txs"]] == ["0xapprove", "0xdeposit"]
    assert [t["promise"] for t in first["txs"]] == [None, first["promise"]]
    assert first["promise"] == {
        "checked": "whole",
        "broken": "too little",
        "figures": [
            {
                "figure": "deposit",
                "unit": "sETH",
                "least": "123456789012345678.901234567890123456",
                "most": None,
                "found": "-0.000000000000000001",
                "tolerance": "0",
                "kept": False,
            }
        ],
        "outflows": [{"token": "0x2", "holder": "0x3", "most": str(10**30), "item": False}],
    }
    calls = [a for a in document["actions"] if a["kind"] == "margin_call"]
    assert calls
    assert all(call["tx"] is None and call["txs"] == [] for call in calls)
