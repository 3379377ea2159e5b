"""What stress and whatif foretell, against what the real contracts say once it has happened."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from keeper.model.units import ONE, Wad
from tests.cli.conftest import Run
from tests.support.books import price_history
from tests.support.chains import Chains
from tests.support.keeper_files import keeper_config

pytestmark = pytest.mark.devnet


def accounts(run: Run, config: str) -> dict[str, dict[str, Any]]:
    return {
        a["id"]: a for p in run("profile", "--json", "-c", config).json["profiles"] for a in p["accounts"]
    }


def test_the_drop_liquidates_whom_the_stress_foretold(run: Run, chains: Chains, tmp_path: Path) -> None:
    config = str(keeper_config(chains, tmp_path))
    ran = run("stress", "--json", "-c", config, "--shock", "ETH=-10%", "--shock", "BTC=-6%")
    assert ran.code == 0
    foretold = {
        account
        for profile in ran.json["profiles"]
        for result in profile["results"]
        if result["kind"] == "shock"
        for account in result["newly"]
    }
    assert not any(p["liquidatable"] for p in ran.json["profiles"])
    chains.move()
    assert foretold
    assert foretold == {i for i, a in accounts(run, config).items() if a["liquidatable"]}


def test_health_of_the_desk_after_the_drop_is_the_one_foretold(
    run: Run, chains: Chains, tmp_path: Path
) -> None:
    config = str(keeper_config(chains, tmp_path))
    desk = run("stress", "--json", "-c", config, "--shock", "ETH=-10%", "--profile", "desk").json["profiles"][
        0
    ]
    (yours,) = [r for r in desk["results"] if r["kind"] == "shock"]
    chains.move()
    found = accounts(run, config)[yours["weakest"]["account"]]
    # A few blocks of time pass on the way, which a 14-day option notices in the sixth place.
    assert found["health"] == pytest.approx(yours["weakest"]["health"], rel=1e-4)


def test_collateral_added_is_what_the_contract_counts(run: Run, chains: Chains, tmp_path: Path) -> None:
    config, desk = str(keeper_config(chains, tmp_path)), chains.actor("desk")
    foretold = run("whatif", "--json", "-c", config, "--move", "lyra:10:3=1000").json
    (account,) = foretold["accounts"]
    market = chains.lyra["OptionMarket"]
    chains.lyra["QuoteAsset"].send("approve", market.address, 2**255, sender=desk)
    market.send("addCollateral", 3, 1_000 * ONE, sender=desk)
    found = accounts(run, config)["lyra:10:3"]
    assert found["equity_usd"] == pytest.approx(account["after"]["equity_usd"], rel=1e-12)
    assert found["health"] == pytest.approx(account["after"]["health"], rel=1e-6)


def test_a_perp_trade_needs_what_the_contract_then_asks(run: Run, chains: Chains, tmp_path: Path) -> None:
    config = str(keeper_config(chains, tmp_path))
    ran = run("whatif", "--json", "-c", config, "--trade", "ETH-PERP=-7.5")
    (trade,), (account,) = ran.json["trades"], ran.json["accounts"]
    chains.curie.trade(chains.actor("desk"), "ETH", Wad(-15 * ONE // 2))
    found = accounts(run, config)[trade["account"]]
    # The trade itself moves the mark, in its own favour; the fee is lost at once.
    assert found["maintenance_usd"] == pytest.approx(account["after"]["maintenance_usd"], rel=5e-3)
    assert found["initial_usd"] == pytest.approx(account["after"]["initial_usd"], rel=2e-2)
    after = account["after"]["equity_usd"]
    assert after - trade["crossing_usd"] <= found["equity_usd"] < after


def test_a_recorded_cycle_answers_when_the_chains_are_gone(run: Run, chains: Chains, tmp_path: Path) -> None:
    config = keeper_config(chains, tmp_path)
    live = run("stress", "--json", "-c", str(config)).json
    assert run("run", "--once", "-c", str(config)).code == 0
    recorded = run("stress", "--json", "--journal", str(tmp_path / "journal.jsonl")).json
    assert recorded["snapshot_digest"] == live["snapshot_digest"]
    assert recorded["profiles"] == live["profiles"]
    ran = run("whatif", "--journal", str(tmp_path / "journal.jsonl"), "--trade", "ETH-PERP=1", "--json")
    assert ran.code == 0


def test_a_history_beside_the_configuration_gives_var_and_replays(
    run: Run, chains: Chains, tmp_path: Path
) -> None:
    closes = price_history("ETH", "BTC")
    days = [datetime.fromtimestamp(s, UTC).date() - timedelta(days=1) for s in closes.times_s]
    rows = [f"{day},{','.join(map(str, row))}" for day, row in zip(days, closes.closes_usd, strict=True)]
    (tmp_path / "prices.csv").write_text("\n".join(["date,ETH,BTC", *rows]))
    config = keeper_config(chains, tmp_path)
    config.write_text(config.read_text() + '\n[policy.house]\nhistory = "prices.csv"\n')
    house = run("profile", "--json", "-c", str(config)).json["profiles"][0]["house"]
    assert house["es_usd"] >= house["var_usd"] > 0.0
    assert house["uncovered"] == []
    assert run("run", "--once", "-c", str(config)).code == 0
    replayed = run("replay", "--json", "-c", str(config))
    assert (replayed.code, replayed.json["ok"]) == (0, True)


def test_a_chain_that_is_down_is_no_calm_market(run: Run, chains: Chains, tmp_path: Path) -> None:
    config = str(keeper_config(chains, tmp_path, (chains.url("arbitrum"), "http://127.0.0.1:9")))
    ran = run("stress", "--json", "-c", config)
    assert ran.code == 1
    assert [(g["what"], g["chain_id"]) for g in ran.json["gaps"]] == [("chain", 42161)]
