"""The demo as a user starts it: its demands, its figures, and that nothing of it remains."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from keeper.cli.demo_story import Demand, plan_demands, unmet
from keeper.config.load import load
from keeper.model.intent import Outcome, Simulation, TxState
from keeper.model.plan import Hedge, Plan, action_id
from keeper.policy.decide import Decided, decide
from keeper.service.cycle import Cycle
from tests.cli.conftest import EXAMPLE
from tests.service.sample import PARAMS, SNAPSHOT


def cycle(plan: Plan, *outcomes: Outcome) -> Cycle:
    return Cycle(id="c", snapshot=SNAPSHOT, decided=Decided(plan=plan, profiles=()), outcomes=outcomes)


def missed(of: Cycle) -> set[str]:
    return {demand.name for demand in unmet(tuple(plan_demands(of, load(EXAMPLE, {}))))}


def test_a_plan_that_does_nothing_misses_every_action() -> None:
    empty = Plan(snapshot_digest="", params_digest="", decisions=(), actions=())
    assert missed(cycle(empty)) == {
        "hedge planned",
        "top-up planned",
        "margin call planned",
        "liquidation planned on optimism",
        "liquidation planned on arbitrum",
    }


def test_a_failed_simulation_and_a_sent_transaction_are_told() -> None:
    plan = decide(SNAPSHOT, PARAMS).plan
    hedge = next(a for a in plan.actions if isinstance(a, Hedge))
    outcome = Outcome(
        intent_id="i",
        action_id=action_id(hedge),
        chain_id=42161,
        state=TxState.CONFIRMED,
        success=True,
        reason="",
        tx_hash="0x1",
        simulation=Simulation(ok=False, gas=None, error="CH_TLRS"),
    )
    found = missed(cycle(plan, outcome))
    assert {"every transaction simulated", "dry-run sent nothing"} <= found
    assert "hedge planned" not in found


def test_what_is_met_is_not_unmet() -> None:
    met, not_met = (Demand(name=n, met=n == "a", found="") for n in "ab")
    assert unmet((met, not_met)) == (not_met,)


@pytest.mark.devnet
def test_the_story_meets_every_demand_and_leaves_nothing(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "keeper", "demo", "--json"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    story = json.loads(ran.stdout)
    assert story["ok"]
    assert [d["name"] for d in story["demands"] if not d["met"]] == []

    kinds = [a["kind"] for a in story["plan"]["actions"]]
    assert {"hedge", "move_collateral", "margin_call", "liquidate"} <= set(kinds)
    sent = [t for c in story["cycles"] for a in c["actions"] for t in a["txs"] if t["outcome"]["tx_hash"]]
    assert {t["tx"]["chain_id"] for t in sent} == {10, 42161}
    assert all(t["outcome"]["success"] and t["outcome"]["gas_used"] > 21_000 for t in sent)

    desk = [next(p for p in story[when]["profiles"] if p["name"] == "desk") for when in ("dropped", "after")]
    before, after = (abs(p["exposures"][0]["delta_base"]) for p in desk)
    assert after < before
    assert all(p["house"]["initial_usd"] > 0 and p["venue_sum"]["initial_usd"] > 0 for p in desk)

    assert list(tmp_path.iterdir()) == []
    for chain in story["health"]["chains"]:
        parts = urlsplit(chain["endpoints"][0]["host"])
        with pytest.raises(ConnectionRefusedError):
            _connect(str(parts.hostname), int(parts.port or 0))


def _connect(host: str, port: int) -> None:
    with socket.create_connection((host, port), timeout=2.0):
        pass
