"""The commands on real protocol bytecode: what they say is what the chains say, also when these misbehave."""

import json
import shutil
from pathlib import Path

import pytest

from keeper.model.units import ONE
from tests.cli.conftest import Run
from tests.support.chains import Chains
from tests.support.keeper_files import keeper_config

pytestmark = pytest.mark.devnet


@pytest.fixture
def chains(chains: Chains) -> Chains:
    """Both chains, with the state of as many blocks as a keeper looks back."""
    chains.fresh_blocks(20)
    return chains


def test_profile_shows_what_the_chains_hold(run: Run, chains: Chains, tmp_path: Path) -> None:
    ran = run("profile", "--json", "-c", str(keeper_config(chains, tmp_path)))
    assert ran.code == 0
    blocks = {b["chain_id"]: b for b in ran.json["blocks"]}
    assert blocks[10]["number"] == chains.node("optimism").head()
    desk = next(p for p in ran.json["profiles"] if p["name"] == "desk")
    perp = next(a for a in desk["accounts"] if a["protocol"] == "curie")
    value = chains.curie["ClearingHouse"].call("getAccountValue", chains.actor("desk"))
    assert perp["equity_usd"] == pytest.approx(value / ONE, rel=1e-12)
    assert desk["exposures"][0]["spot_usd"] == pytest.approx(chains.lyra.spot() / ONE)
    assert not (tmp_path / "keeper.sqlite").exists()


def test_profile_of_an_earlier_block(run: Run, chains: Chains, tmp_path: Path) -> None:
    config = str(keeper_config(chains, tmp_path))
    before = run("profile", "--json", "-c", config).json
    pins = [f"{b['chain_id']}={b['number']}" for b in before["blocks"]]
    chains.move()
    assert run("profile", "--json", "-c", config).json["profiles"] != before["profiles"]
    again = run("profile", "--json", "-c", config, "--at", pins[0], "--at", pins[1]).json
    assert again["snapshot_digest"] == before["snapshot_digest"]
    assert again["profiles"] == before["profiles"]


def test_profile_of_a_block_that_is_not_there_is_a_gap(run: Run, chains: Chains, tmp_path: Path) -> None:
    config = str(keeper_config(chains, tmp_path))
    ran = run("profile", "--json", "-c", config, "--at", "optimism=99999999")
    assert ran.code == 1
    assert any(g["what"] == "chain" and g["chain_id"] == 10 for g in ran.json["gaps"])


def test_a_plan_is_proven_and_leaves_nothing(run: Run, chains: Chains, tmp_path: Path) -> None:
    chains.move()
    heads = [chains.node(name).head() for name in ("optimism", "arbitrum")]
    ran = run("plan", "--json", "-c", str(keeper_config(chains, tmp_path)))
    assert ran.code == 0
    kinds = [a["kind"] for a in ran.json["actions"]]
    assert {"hedge", "move_collateral", "margin_call", "liquidate"} <= set(kinds)
    sent = [a for a in ran.json["actions"] if a["kind"] != "margin_call"]
    assert all(a["simulated"]["ok"] and a["simulated"]["gas"] > 21_000 for a in sent)
    assert all(len(a["tx"]["data"]) > 10 and a["outcome"]["tx_hash"] is None for a in sent)
    assert heads == [chains.node(name).head() for name in ("optimism", "arbitrum")]
    assert [p.name for p in tmp_path.iterdir()] == ["keeper.toml"]


def test_two_plans_of_the_same_blocks_are_the_same(run: Run, chains: Chains, tmp_path: Path) -> None:
    chains.move()
    config = str(keeper_config(chains, tmp_path))
    first, second = (run("plan", "--json", "-c", config).json for _ in range(2))
    assert (first["id"], first["snapshot_digest"]) == (second["id"], second["snapshot_digest"])


def test_check_finds_everything_in_place(run: Run, chains: Chains, tmp_path: Path) -> None:
    ran = run("check", "--json", "-c", str(keeper_config(chains, tmp_path)))
    assert ran.code == 0, [f for f in ran.json["findings"] if not f["ok"]]
    subjects = {f["subject"] for f in ran.json["findings"]}
    assert {"signer", "signer on optimism", "chain arbitrum", "lyra.OptionMarket", "reading"} <= subjects


def test_check_in_dry_run_looks_at_no_key(run: Run, chains: Chains, tmp_path: Path) -> None:
    config = keeper_config(
        chains, tmp_path, ('mode = "live"', 'mode = "dry-run"'), ("signer.json", "none.json")
    )
    ran = run("check", "--json", "-c", str(config))
    assert ran.code == 0
    assert next(f for f in ran.json["findings"] if f["subject"] == "signer")["found"] == "not loaded"


def test_check_finds_an_address_without_code(run: Run, chains: Chains, tmp_path: Path) -> None:
    greeks = str(chains.address("optimism", "OptionGreekCache"))
    config = keeper_config(chains, tmp_path, (greeks, "0x000000000000000000000000000000000000dEaD"))
    ran = run("check", "--json", "-c", str(config))
    assert ran.code == 1
    wrong = [f for f in ran.json["findings"] if not f["ok"]]
    assert any(f["subject"] == "lyra.OptionGreekCache" and "0 bytes" in f["found"] for f in wrong)
    assert all(f["remedy"] for f in wrong)


def test_a_start_with_an_address_without_code_is_refused(run: Run, chains: Chains, tmp_path: Path) -> None:
    nowhere = "0x000000000000000000000000000000000000dEaD"
    greeks, vault = chains.address("optimism", "OptionGreekCache"), chains.address("arbitrum", "Vault")
    config = keeper_config(chains, tmp_path, (f'Cache = "{greeks}', f'Cache = "{nowhere}'))
    ran = run("run", "--live", "--once", "-c", str(config))
    assert ran.code == 2
    assert "correct venues.lyra.contracts.OptionGreekCache: 0 bytes" in ran.err.splitlines()[-1]
    config.write_text(config.read_text().replace(f'Vault = "{vault}', f'Vault = "{nowhere}'))
    both = run("run", "--live", "--once", "-c", str(config)).err.splitlines()[-1]
    assert "OptionGreekCache" in both
    assert "Vault" in both


def test_a_chain_that_is_down_does_not_keep_the_daemon_from_starting(
    run: Run, chains: Chains, tmp_path: Path
) -> None:
    chains.move()
    config = str(keeper_config(chains, tmp_path, (chains.url("arbitrum"), "http://127.0.0.1:9")))
    ran = run("run", "--live", "--once", "--json", "-c", config)
    assert ran.code == 0
    sent = [t for a in ran.json["actions"] for t in a["txs"]]
    assert sent
    assert all(t["tx"]["chain_id"] == 10 and t["outcome"]["success"] for t in sent)
    health = run("health", "--json", "-c", config)
    assert health.code == 1
    assert any("arbitrum" in reason for reason in health.json["reasons"])


def test_check_finds_a_contract_that_does_not_answer(run: Run, chains: Chains, tmp_path: Path) -> None:
    market, token = (str(chains.address("optimism", n)) for n in ("OptionMarket", "OptionToken"))
    ran = run("check", "-c", str(keeper_config(chains, tmp_path, (market, token))))
    assert ran.code == 1
    assert "What to do" in ran.out


def test_the_wrong_chain_behind_an_url(run: Run, chains: Chains, tmp_path: Path) -> None:
    optimism, arbitrum = chains.url("optimism"), chains.url("arbitrum")
    config = keeper_config(chains, tmp_path, (optimism, "SWAP"), (arbitrum, optimism), ("SWAP", arbitrum))
    checked = run("check", "--json", "-c", str(config))
    assert checked.code == 1
    found = next(f for f in checked.json["findings"] if f["subject"] == "chain optimism")
    assert "serves chain id 42161, expected 10" in found["found"]
    assert found["remedy"]
    ran = run("run", "--live", "--once", "-c", str(config))
    assert ran.code == 2
    assert "serves chain id" in ran.err.splitlines()[-1]


def test_a_chain_that_is_down_is_a_gap_and_no_account_of_it_looks_healthy(
    run: Run, chains: Chains, tmp_path: Path
) -> None:
    chains.move()
    config = str(keeper_config(chains, tmp_path, (chains.url("arbitrum"), "http://127.0.0.1:9")))
    profile = run("profile", "--json", "-c", config)
    assert profile.code == 1
    assert [(g["what"], g["chain_id"]) for g in profile.json["gaps"]] == [("chain", 42161)]
    assert all(a["chain_id"] == 10 for p in profile.json["profiles"] for a in p["accounts"])
    plan = run("plan", "--json", "-c", config)
    assert plan.code == 1
    assert "hedge" not in [a["kind"] for a in plan.json["actions"]]


def test_loose_permissions_of_the_password_file(run: Run, chains: Chains, tmp_path: Path) -> None:
    password = tmp_path / "password"
    shutil.copyfile(chains.deployment.password_file, password)
    password.chmod(0o644)
    original = f'"{chains.deployment.password_file}"'
    config = str(keeper_config(chains, tmp_path, (original, f'"{password}"')))
    ran = run("run", "--live", "--once", "-c", config)
    assert ran.code == 2
    assert "mode 0644, expected 0600" in ran.err
    assert not (tmp_path / "keeper.sqlite").exists()


def test_a_wrong_password(run: Run, chains: Chains, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("not-the-password")
    password.chmod(0o600)
    original = f'"{chains.deployment.password_file}"'
    ran = run(
        "run", "--live", "--once", "-c", str(keeper_config(chains, tmp_path, (original, f'"{password}"')))
    )
    assert ran.code == 2
    assert "wrong password" in ran.err
    assert "not-the-password" not in ran.err


def test_a_dry_run_day_then_audit(run: Run, chains: Chains, tmp_path: Path) -> None:
    """Run once without a key, then everything that reads store and journal."""
    chains.move()
    config = str(keeper_config(chains, tmp_path, ("signer.json", "none.json")))
    ran = run("run", "--once", "--json", "-c", config)
    assert ran.code == 0
    assert ran.json["mode"] == "dry-run"
    assert all(t["outcome"]["tx_hash"] is None for a in ran.json["actions"] for t in a["txs"])
    health = run("health", "--json", "-c", config)
    assert (health.code, health.json["mode"]) == (0, "dry-run")
    assert {p["name"]: p["step"] for p in health.json["profiles"]} == {
        "desk": "rebalance",
        "watched": "liquidate",
    }
    assert run("journal", "verify", "-c", config).code == 0
    replayed = run("replay", "--json", "-c", config)
    assert replayed.code == 0
    assert [c["recomputed_id"] for c in replayed.json["cycles"]] == [ran.json["id"]]
    why = run("why", "desk/ETH", "--json", "-c", config)
    assert why.json["decisions"][0]["actions"][0]["kind"] == "hedge"
    live = run("run", "--live", "--once", "-c", config)
    assert live.code == 2


def test_a_live_start_on_a_dry_run_store_is_refused(run: Run, chains: Chains, tmp_path: Path) -> None:
    config = str(keeper_config(chains, tmp_path))
    assert run("run", "--once", "-c", config).code == 0
    nonce = chains.node("optimism").rpc("eth_getTransactionCount", chains.actor("desk"), "latest")
    ran = run("run", "--live", "--once", "-c", config)
    assert ran.code == 2
    assert "belongs to dry-run mode" in ran.err
    assert chains.node("optimism").rpc("eth_getTransactionCount", chains.actor("desk"), "latest") == nonce


def test_live_sends_and_the_next_cycle_is_quiet(run: Run, chains: Chains, tmp_path: Path) -> None:
    chains.move()
    config = str(keeper_config(chains, tmp_path))
    first = run("run", "--live", "--once", "--json", "-c", config)
    assert first.code == 0
    outcomes = [t["outcome"] for a in first.json["actions"] for t in a["txs"]]
    assert len(outcomes) >= 5
    assert all(o["success"] for o in outcomes)
    second = run("run", "--live", "--once", "--json", "-c", config)
    assert [a["kind"] for a in second.json["actions"]] == ["margin_call"]
    assert run("health", "-c", config).code == 0
    assert run("replay", "-c", config).code == 0


def test_a_halt_stops_sending_and_survives_a_restart(run: Run, chains: Chains, tmp_path: Path) -> None:
    config = str(keeper_config(chains, tmp_path))
    assert run("run", "--live", "--once", "-c", config).code == 0
    assert run("halt", "-c", config, "-r", "oracle looks wrong").code == 0
    chains.move()
    halted = run("run", "--live", "--once", "--json", "-c", config)
    assert halted.code == 3
    assert halted.json["schema"] == "keeper.plan/1"
    assert not any(a["txs"] for a in halted.json["actions"])
    assert "oracle looks wrong" in halted.err
    assert run("health", "-c", config).code == 3
    assert run("resume", "-c", config).code == 0
    resumed = run("run", "--live", "--once", "--json", "-c", config)
    assert resumed.code == 0
    assert all(t["outcome"]["success"] for a in resumed.json["actions"] for t in a["txs"])
    assert json.dumps(resumed.json["actions"]).count('"tx_hash": "0x') >= 5
