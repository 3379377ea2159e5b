"""Tables at 100 columns: every figure whole, gaps and inactions in sight, colours only where they may be."""

import dataclasses
import io
from typing import Any

import pytest
from rich.console import Console, RenderableType

from keeper.cli.health_view import health_view
from keeper.cli.output import WIDTH, console
from keeper.cli.plan_view import plan_view
from keeper.cli.profile_view import SHOWN_ACCOUNTS, profiles_view
from keeper.model.intent import Outcome, Simulation, TxState
from keeper.model.plan import action_id
from keeper.model.promise import Checked, Line, Proof
from keeper.model.snapshot import Gap
from keeper.policy.decide import decide
from keeper.service.health import ChainHealth, Health, ProfileHealth, Status
from tests.service.sample import CHAINS, DESK, PARAMS, SNAPSHOT, short_put

DECIDED = decide(SNAPSHOT, PARAMS)


def drawn(view: RenderableType) -> str:
    stream = io.StringIO()
    Console(file=stream, width=WIDTH, no_color=True).print(view)
    text = stream.getvalue()
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "…" not in text, "a figure was cut off"
    return text


def test_the_three_figures_stand_side_by_side() -> None:
    text = drawn(profiles_view(SNAPSHOT, DECIDED.profiles, chains=CHAINS, ladder=PARAMS.ladder))
    (titles,) = {line for line in text.splitlines() if "venue requirement" in line}
    assert titles.index("venue requirement") < titles.index("house risk") < titles.index("transfer")


def test_accounts_come_weakest_first_with_the_venues_own_figures() -> None:
    text = drawn(profiles_view(SNAPSHOT, DECIDED.profiles, chains=CHAINS, ladder=PARAMS.ladder))
    assert text.index("lyra:10:3  ") < text.index("lyra:10:4  ") < text.index("curie:42161:0x90F7")
    assert "1.020" in text
    assert "-10 ETH 1700P 26Dec23" in text
    assert "liquidatable" in text


def test_gaps_come_before_any_figure() -> None:
    gap = Gap(what="account", key=f"curie:42161:{DESK}", reason="no price", chain_id=42161)
    gapped = dataclasses.replace(SNAPSHOT, gaps=(gap,))
    text = drawn(profiles_view(gapped, DECIDED.profiles, chains=CHAINS, ladder=PARAMS.ladder))
    assert "1 gap: not read, not assumed" in text
    assert text.index("no price") < text.index("venue requirement")


def test_a_long_list_says_what_it_leaves_out() -> None:
    accounts = tuple(short_put(str(n), 1.0, 200.0, 150.0) for n in range(3, 3 + SHOWN_ACCOUNTS + 7))
    many = dataclasses.replace(SNAPSHOT, accounts=accounts)
    profiles = decide(many, PARAMS).profiles
    text = drawn(profiles_view(many, profiles, chains=CHAINS, ladder=PARAMS.ladder))
    assert "and 7 more (--all lists them" in text
    whole = drawn(profiles_view(many, profiles, chains=CHAINS, ladder=PARAMS.ladder, rows=None))
    assert "--all" not in whole


def test_a_plan_shows_actions_and_the_reasons_for_inaction() -> None:
    text = drawn(plan_view(DECIDED.plan, (), chains=CHAINS))
    for action in DECIDED.plan.actions:
        assert action.kind.value.replace("_", " ") in text
    for decision in DECIDED.plan.decisions:
        assert decision.reason.text.split()[0] in text
    assert "not encoded" in text
    assert "if every action succeeds" in text


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"simulation": Simulation(ok=True, gas=123_456, error=None)}, "gas 123,456"),
        ({"simulation": Simulation(ok=False, gas=None, error="CH_EAV: healthy")}, "CH_EAV: healthy"),
        ({"state": TxState.DROPPED, "reason": "too dear"}, "too dear"),
        ({"state": TxState.CONFIRMED, "success": True, "tx_hash": "0x" + "ab" * 32, "block_number": 7}, "#7"),
        ({"state": TxState.CONFIRMED, "success": False, "tx_hash": "0x" + "ab" * 32}, "reverted"),
    ],
)
def test_what_came_of_a_transaction(changes: dict[str, Any], shown: str) -> None:
    action = DECIDED.plan.actions[0]
    plain = Outcome(
        intent_id="i",
        action_id=action_id(action),
        chain_id=10,
        state=TxState.SIMULATED,
        success=None,
        reason="",
    )
    outcome = dataclasses.replace(plain, **changes)
    assert shown in drawn(plan_view(DECIDED.plan, (outcome,), chains=CHAINS))


def test_a_plan_shows_what_was_promised_beside_what_was_found() -> None:
    action = DECIDED.plan.actions[0]

    def shown(*lines: Line, checked: Checked = Checked.WHOLE) -> str:
        simulation = Simulation(ok=True, gas=1, error=None, promise=Proof(checked=checked, lines=lines))
        outcome = Outcome(
            intent_id="i",
            action_id=action_id(action),
            chain_id=10,
            state=TxState.SIMULATED,
            success=None,
            reason="",
            simulation=simulation,
        )
        return " ".join(drawn(plan_view(DECIDED.plan, (outcome,), chains=CHAINS)).split())

    line = Line(
        name="deposit", unit="USDC", decimals=6, least=5_500_000, most=5_500_000, found=5_500_000,
        tolerance=0, kept=True,
    )  # fmt: skip
    assert "deposit +5.5 USDC +5.5 USDC" in shown(line)
    open_ended = dataclasses.replace(line, most=None, found=1, kept=False)
    assert "deposit at least +5.5 USDC +0.000001 USDC" in shown(open_ended)
    assert "deposit +5.5 USDC, up to 0.25 USDC less +5.3 USDC" in shown(
        dataclasses.replace(line, most=None, found=5_300_000, tolerance=250_000)
    )
    assert "deposit at most +5.5 USDC -1 USDC" in shown(
        dataclasses.replace(line, least=None, found=-1_000_000)
    )
    assert "deposit -1 USDC to +5.5 USDC" in shown(dataclasses.replace(line, least=-1_000_000))
    assert "not checked" in shown(dataclasses.replace(line, found=None, kept=False), checked=Checked.NOT)
    large = dataclasses.replace(
        line, least=-(10**18), found=10**18 + 1, name="deposit, profit and funding of a"
    )
    assert "-1,000,000,000,000 USDC" in shown(large)
    unmoved = dataclasses.replace(line, least=0, most=0, found=0)
    assert "Promised by the plan" not in shown(unmoved)
    assert "deposit +0 USDC +1 USDC" in shown(dataclasses.replace(unmoved, found=1_000_000, kept=False))


def test_health_shows_reasons_and_ages() -> None:
    health = Health(
        status=Status.HALTED,
        reasons=("halted by anna: looks odd", "the last good cycle ended 400 s ago, limit is 300 s"),
        mode="live",
        last_cycle_id="c",
        last_cycle_age_s=400.0,
        chains=(
            ChainHealth(
                name="optimism", chain_id=10, head=1_234_567, head_age_s=12.0, lag_blocks=2, endpoints=()
            ),
        ),
        profiles=(ProfileHealth(name="desk", health=1.02, step="rebalance"),),
        outbox={"sent": 1},
        halted_by="anna",
        halted_since_s=0.0,
    )
    text = drawn(health_view(health))
    for word in ("halted", "looks odd", "7 min ago", "1,234,567", "12 s ago", "rebalance", "sent 1"):
        assert word in text


def test_no_colours_where_nobody_sees_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    stream = io.StringIO()
    Console(file=stream, width=WIDTH, force_terminal=True).print(plan_view(DECIDED.plan, (), chains=CHAINS))
    assert "\x1b[3" not in stream.getvalue()
    assert console().width == WIDTH
