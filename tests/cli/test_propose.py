"""`keeper propose` with real Safes on the local chains: owners sign what it shows, and the plan happens."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from eth_abi.packed import encode_packed
from eth_account import Account

from keeper.devnet.deployment import ARBITRUM, OPTIMISM
from keeper.execution.safe.builder_file import checksum
from keeper.execution.safe.multisend import SUPPORTED, unpacked
from keeper.execution.safe.transaction import Operation, SafeTx
from keeper.model.reads import Address
from keeper.model.units import ONE, Wei
from keeper.protocols.lyra import Lyra
from keeper.store.store import Store
from tests.cli.conftest import Ran, Run
from tests.execution.signer.samples import Reply, serving
from tests.support.chains import Chains
from tests.support.keeper_files import keeper_config
from tests.support.rpc_proxy import RpcProxy, answered, refused
from tests.support.safe import signed_packed
from tests.support.safe_house import KEYS, House, house, impersonating

pytestmark = pytest.mark.devnet

LIQUIDATED: Final = 3
_TRIAL: Final = "b4faba09"
"""simulateAndRevert(address,bytes)"""

_SENDING: Final = ("eth_send", "eth_sign", "personal_", "anvil_", "evm_")


@pytest.fixture
def ours(chains: Chains) -> House:
    """The house's Safe after the drop: a put to top up, delta to hedge, others to liquidate."""
    found = house(chains)
    chains.move()
    return found


def proposed(run: Run, ours: House, folder: Path, chain: str, *options: str) -> Ran:
    config = folder / "keeper.toml"
    if not config.exists():
        ours.config(folder)
    return run("propose", "--safe", ours.address, "--chain", chain, "-c", str(config), *options)


def tx_of(document: Mapping[str, Any]) -> SafeTx:
    """Read the typed data of a proposal, as a wallet would."""
    message = document["proposal"]["typed_data"]["message"]
    return SafeTx(
        to=message["to"],
        value=Wei(int(message["value"])),
        data=message["data"],
        operation=Operation(message["operation"]),
        nonce=int(message["nonce"]),
    )


def execute(ours: House, chain: str, document: Mapping[str, Any], signatures: bytes) -> dict[str, Any]:
    """Execute a proposal from an account that is nobody's: it pays the gas and may do nothing else."""
    stranger = ours.chains.node(chain).accounts[-1]
    tx = tx_of(document)
    return ours.safes[chain].execute(ours.contracts[chain], tx, signatures, sender=stranger)


def collateral(ours: House) -> int:
    (position,) = ours.chains.lyra["OptionToken"].call("getOptionPositions", [ours.option_id()])
    return int(position[4])


@pytest.mark.parametrize("version", SUPPORTED)
def test_what_two_owners_sign_does_what_the_plan_says(
    run: Run, chains: Chains, tmp_path: Path, version: str
) -> None:
    ours = house(chains, version)
    chains.move()
    ran = proposed(run, ours, tmp_path, OPTIMISM, "--json")
    assert ran.code == 0, ran.err
    document = ran.json
    calls = [step["call"] for step in document["steps"]]
    assert calls == ["QuoteAsset.approve", "OptionMarket.addCollateral", "OptionMarket.liquidatePosition"]
    assert document["proposal"]["hash"] == by_contract(ours, OPTIMISM, tx_of(document))
    before, wallet = collateral(ours), chains.lyra["QuoteAsset"].call("balanceOf", ours.address)
    liquidated = int(next(s for s in document["steps"] if s["kind"] == "liquidate")["subject"].split(":")[2])
    execute(ours, OPTIMISM, document, signed_packed(document["proposal"]["hash"], KEYS))
    added = promised(document, "move_collateral", "collateral of position")
    reward = promised(document, "liquidate", "sUSD in the wallet")
    assert collateral(ours) - before == added == 2_360 * ONE
    gained = chains.lyra["QuoteAsset"].call("balanceOf", ours.address) - wallet + added
    assert gained == pytest.approx(reward, rel=0.01)  # follows a price, a block later
    assert chains.lyra["OptionToken"].call("getPositionState", liquidated) == LIQUIDATED
    assert chains.lyra["QuoteAsset"].call("allowance", ours.address, chains.lyra["OptionMarket"].address) == 0


def promised(document: Mapping[str, Any], kind: str, figure: str) -> int:
    """Return what the simulation found for a figure, in raw units of 18 places."""
    step = next(s for s in reversed(document["steps"]) if s["kind"] == kind)
    found = next(f["found"] for f in step["promise"]["figures"] if f["figure"].startswith(figure))
    whole, _, part = found.partition(".")
    return int(whole) * ONE + int(part.ljust(18, "0") or 0)


def by_contract(ours: House, chain: str, tx: SafeTx) -> str:
    answer: bytes = ours.contracts[chain].call("getTransactionHash", *tx.fields)
    return "0x" + answer.hex()


def test_the_keepers_own_signature_counts_as_one_of_two(run: Run, ours: House, tmp_path: Path) -> None:
    """On Curie: liquidations into the Safe's account, and the hedge that counts on them, as one."""
    curie, ran = ours.chains.curie, proposed(run, ours, tmp_path, ARBITRUM, "--json", "--sign")
    assert ran.code == 0, ran.err
    document = ran.json
    assert [s["kind"] for s in document["steps"]] == ["liquidate", "liquidate", "hedge"]
    (own,) = document["proposal"]["signatures"]
    assert own["signer"] == ours.chains.actor("desk")
    person, key = next(iter(KEYS.items()))
    theirs = signed_packed(document["proposal"]["hash"], {person: key})
    both = sorted(
        [(own["signer"], bytes.fromhex(own["signature"][2:])), (person, theirs)],
        key=lambda one: int(one[0], 16),
    )
    held = size_of(ours)
    execute(ours, ARBITRUM, document, b"".join(signature for _, signature in both))
    sizes = [promised(document, "hedge", "size of"), *taken_over(document)]
    assert abs(size_of(ours) - held - sum(sizes)) <= 2 * len(sizes)
    assert curie["ClearingHouse"].call("getAccountValue", ours.address) > 0


def size_of(ours: House) -> int:
    base = ours.chains.curie.base("ETH")
    return int(ours.chains.curie["AccountBalance"].call("getTotalPositionSize", ours.address, base))


def taken_over(document: Mapping[str, Any]) -> list[int]:
    steps = [s for s in document["steps"] if s["kind"] == "liquidate"]
    return [promised({"steps": [s]}, "liquidate", "size of") for s in steps]


def test_one_signature_of_two_executes_nothing(run: Run, ours: House, tmp_path: Path) -> None:
    document = proposed(run, ours, tmp_path, OPTIMISM, "--json", "--sign").json
    (own,) = document["proposal"]["signatures"]
    with pytest.raises(Exception, match="GS020"):
        execute(ours, OPTIMISM, document, bytes.fromhex(own["signature"][2:]))
    assert ours.contracts[OPTIMISM].call("nonce") == 0


def test_nothing_is_ever_sent(run: Run, ours: House, tmp_path: Path) -> None:
    """Every request of the whole command, signature included, at both nodes."""
    heads = [ours.chains.node(name).head() for name in (OPTIMISM, ARBITRUM)]
    with RpcProxy(ours.chains.url(OPTIMISM)) as first, RpcProxy(ours.chains.url(ARBITRUM)) as second:
        ours.config(
            tmp_path,
            (ours.chains.url(OPTIMISM), first.url),
            (ours.chains.url(ARBITRUM), second.url),
        )
        ran = proposed(run, ours, tmp_path, OPTIMISM, "--json", "--sign", "--out", str(tmp_path / "b.json"))
        methods = {method for proxy in (first, second) for method, _ in proxy.seen}
    assert ran.json["proposal"]["signatures"]
    assert "eth_call" in methods
    assert not [method for method in methods if method.startswith(_SENDING)]
    assert heads == [ours.chains.node(name).head() for name in (OPTIMISM, ARBITRUM)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.json", "keeper.toml"]


def test_the_file_is_one_that_a_wallet_builds_the_same_transaction_from(
    run: Run, ours: House, tmp_path: Path
) -> None:
    out = tmp_path / "batch.json"
    ran = proposed(run, ours, tmp_path, OPTIMISM, "--json", "--out", str(out))
    batch, proposal = json.loads(out.read_text()), ran.json["proposal"]
    assert (batch["version"], batch["chainId"]) == ("1.0", "10")
    assert batch["meta"]["createdFromSafeAddress"] == ours.address
    assert batch["meta"]["checksum"] == checksum(batch)
    assert proposal["hash"] in batch["meta"]["description"]
    packed = b"".join(
        encode_packed(
            ["uint8", "address", "uint256", "uint256", "bytes"],
            [0, t["to"], int(t["value"]), len(t["data"]) // 2 - 1, bytes.fromhex(t["data"][2:])],
        )
        for t in batch["transactions"]
    )
    safes = ours.safes[OPTIMISM]
    wallets = SafeTx(
        to=safes.multi_send.address,
        data=safes.multi_send.data("multiSend", packed),
        operation=Operation.DELEGATECALL,
        nonce=0,
    )
    assert by_contract(ours, OPTIMISM, wallets) == proposal["hash"]
    assert [part.to for part in unpacked(packed)] == [s["tx"]["to"] for s in ran.json["steps"]]
    again = proposed(run, ours, tmp_path, OPTIMISM, "--out", str(out))
    assert again.code == 2
    assert "there is a file of that name" in again.err


def test_people_see_every_step_and_the_hash(run: Run, ours: House, tmp_path: Path) -> None:
    ran = proposed(run, ours, tmp_path, OPTIMISM, "--sign")
    document = proposed(run, ours, tmp_path, OPTIMISM, "--json", "--sign").json
    words = " ".join(ran.out.split())
    for hashed in ("hash", "domain_hash", "message_hash"):
        assert document["proposal"][hashed] in words
    for step in document["steps"]:
        assert step["tx"]["to"] in words
        assert step["selector"] in words
        assert f"{step['simulated']['gas']:,}" in words
    assert "2 of 3 owners" in words
    assert "collateral of position 19: +2,360" in words
    assert "Nothing was sent" in words
    assert document["proposal"]["signatures"][0]["signer"] in words


def test_one_step_is_a_plain_call(run: Run, ours: House, tmp_path: Path) -> None:
    ran = proposed(run, ours, tmp_path, OPTIMISM, "--only", "liquidate", "--json")
    (step,) = ran.json["steps"]
    tx = tx_of(ran.json)
    assert (tx.to, tx.data, tx.operation) == (step["tx"]["to"], step["tx"]["data"], Operation.CALL)
    assert ran.json["proposal"]["multi_send"] is None
    assert {left["reason"] for left in ran.json["left_out"] if left["subject"].startswith("lyra")} == {
        "left out by --only"
    }
    execute(ours, OPTIMISM, ran.json, signed_packed(ran.json["proposal"]["hash"], KEYS))


def test_a_hedge_is_not_proposed_without_what_it_counts_on(run: Run, ours: House, tmp_path: Path) -> None:
    ran = proposed(run, ours, tmp_path, ARBITRUM, "--only", "hedge", "--json")
    assert ran.code == 0
    assert ran.json["proposal"] is None
    hedge = next(left for left in ran.json["left_out"] if left["kind"] == "hedge")
    assert "counts on what a liquidation brings" in hedge["reason"]


def test_a_trade_may_be_kept_open_for_the_owners(run: Run, ours: House, tmp_path: Path) -> None:
    ours.config(tmp_path, ("enabled = true", "enabled = false"))
    soon = proposed(run, ours, tmp_path, ARBITRUM, "--only", "hedge", "--json").json
    late = proposed(run, ours, tmp_path, ARBITRUM, "--only", "hedge", "--json", "--open-for", "6").json
    assert soon["proposal"]["expires_at_s"] == soon["taken_at_s"] + 600
    assert late["proposal"]["expires_at_s"] == late["taken_at_s"] + 6 * 3600
    assert late["plan_id"] == soon["plan_id"]
    size = size_of(ours)
    ours.chains.warp(3600)
    signatures = signed_packed(soon["proposal"]["hash"], KEYS)
    with pytest.raises(Exception, match="GS013"):
        execute(ours, ARBITRUM, soon, signatures)
    execute(ours, ARBITRUM, late, signed_packed(late["proposal"]["hash"], KEYS))
    assert abs(size_of(ours) - size - promised(late, "hedge", "size of")) <= 2


def test_a_later_nonce_has_a_hash_of_its_own(run: Run, ours: House, tmp_path: Path) -> None:
    first, third = (
        proposed(run, ours, tmp_path, OPTIMISM, "--json", "--only", "liquidate", *nonce).json
        for nonce in ((), ("--nonce", "2"))
    )
    assert first["proposal"]["hash"] != third["proposal"]["hash"]
    assert third["proposal"]["hash"] == by_contract(ours, OPTIMISM, tx_of(third))
    execute(ours, OPTIMISM, first, signed_packed(first["proposal"]["hash"], KEYS))
    used = proposed(run, ours, tmp_path, OPTIMISM, "--nonce", "0", "--json")
    assert (used.code, used.json["error"]) == (2, "NonceUsedError")
    shown = proposed(run, ours, tmp_path, OPTIMISM, "--nonce", "3").out
    assert "3, after 2 other transactions that the Safe must execute first" in " ".join(shown.split())


def test_a_healthy_house_proposes_nothing(run: Run, chains: Chains, tmp_path: Path) -> None:
    ours = house(chains)
    out = tmp_path / "batch.json"
    ran = proposed(run, ours, tmp_path, OPTIMISM, "--out", str(out))
    assert ran.code == 0
    assert "nothing to propose" in ran.out
    assert not out.exists()


def test_what_is_anothers_is_left_to_him(run: Run, ours: House, tmp_path: Path) -> None:
    """The desk's own account pays, trades and takes over: only what anybody may do is left for the Safe."""
    desk = str(ours.chains.actor("desk"))
    text = ours.config(tmp_path).read_text().replace(str(ours.address), desk)
    (tmp_path / "keeper.toml").write_text(text)
    here = proposed(run, ours, tmp_path, OPTIMISM, "--json").json
    assert {step["kind"] for step in here["steps"]} == {"liquidate"}
    there = proposed(run, ours, tmp_path, ARBITRUM, "--json").json
    assert there["proposal"] is None
    reasons = {left["kind"]: left["reason"] for left in there["left_out"] if ":42161" in left["subject"]}
    assert reasons["liquidate"] == f"what it takes over is to land with {desk}"
    assert not [left for left in (*here["left_out"], *there["left_out"]) if left["failed"]]


@pytest.mark.parametrize(
    ("old", "new", "limit"),
    [
        ("[limits]", "[limits]\nmax_moved_usd_per_tx = 1_000.0", "max_moved_usd_per_tx"),
        ("max_gas_wei_per_tx = 50_000_000_000_000_000", "max_gas_wei_per_tx = 1", "max_gas_wei_per_tx"),
        ("[limits]", "[limits]\nmax_fee_gwei = 0.000001", "gas costs at least"),
    ],
    ids=["value", "gas", "price of gas"],
)
def test_caps_hold_as_for_sending(
    run: Run, ours: House, tmp_path: Path, old: str, new: str, limit: str
) -> None:
    ours.config(tmp_path, (old, new))
    ran = proposed(run, ours, tmp_path, OPTIMISM, "--json")
    assert ran.code == 1
    top_up = next(left for left in ran.json["left_out"] if left["kind"] == "move_collateral")
    assert top_up["failed"]
    assert limit in top_up["reason"]


def test_all_steps_together_keep_the_cap_of_an_hour(run: Run, ours: House, tmp_path: Path) -> None:
    """Each take-over is below it; the second one is refused, and with it the hedge that counts on both."""
    usd = 12_000.0
    ours.config(
        tmp_path, ("[limits]", f"[limits]\nmax_moved_usd_per_tx = {usd}\nmax_moved_usd_per_hour = {usd}")
    )
    ran = proposed(run, ours, tmp_path, ARBITRUM, "--json")
    assert ran.code == 1
    assert [step["kind"] for step in ran.json["steps"]] == ["liquidate"]
    here = [left for left in ran.json["left_out"] if "lyra" not in left["subject"]]
    assert [(left["kind"], left["failed"]) for left in here] == [("liquidate", True), ("hedge", False)]
    assert "max_moved_usd_per_hour" in here[0]["reason"]


def test_what_the_keeper_sent_counts_towards_the_caps(run: Run, ours: House, tmp_path: Path) -> None:
    """A daemon of the desk's own, on the same store, moves collateral; then an hour's cap is used up."""
    caps = "max_moved_usd_per_tx = 2_400.0\nmax_moved_usd_per_hour = 2_400.0"
    ours.config(tmp_path, ("[limits]", f"[limits]\n{caps}")).rename(tmp_path / "safe.toml")
    options = (
        "propose",
        "--safe",
        ours.address,
        "--chain",
        "10",
        "-c",
        str(tmp_path / "safe.toml"),
        "--json",
    )
    assert "move_collateral" in {step["kind"] for step in run(*options).json["steps"]}
    live = run("run", "--live", "--once", "--json", "-c", str(keeper_config(ours.chains, tmp_path)))
    assert live.code == 0
    assert any(a["kind"] == "move_collateral" and a["outcome"]["success"] for a in live.json["actions"])
    ran = run(*options)
    assert ran.code == 1
    top_up = next(left for left in ran.json["left_out"] if left["kind"] == "move_collateral")
    assert "max_moved_usd_per_hour" in top_up["reason"]


def test_a_call_that_no_adapter_declares_is_not_proposed(
    run: Run, ours: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    declared = Lyra.sends - {("lyra/OptionMarket", "addCollateral")}
    monkeypatch.setattr(Lyra, "sends", declared)
    ran = proposed(run, ours, tmp_path, OPTIMISM, "--json")
    assert ran.code == 1
    assert [step["kind"] for step in ran.json["steps"]] == ["liquidate"]
    top_up = next(left for left in ran.json["left_out"] if left["kind"] == "move_collateral")
    assert "0xa8f35adf" in top_up["reason"]


def test_a_quorum_tries_it_on_every_endpoint(run: Run, ours: House, tmp_path: Path) -> None:
    url = ours.chains.url(OPTIMISM)
    with RpcProxy(url) as proxy:
        both = f'["{url}", "{proxy.url}"]\nquorum = 2'
        ours.config(tmp_path, (f'["{url}"]', both))
        assert proposed(run, ours, tmp_path, OPTIMISM).code == 0
        proxy.fault(answered("0x"), "eth_call", when=lambda params: _TRIAL in params[0].get("data", ""))
        ran = proposed(run, ours, tmp_path, OPTIMISM, "--json")
    assert ran.code == 1
    assert ran.json["error"] == "AbiMismatch", ran.json["message"]


def test_a_node_may_be_asked_to_estimate_the_safes_gas(run: Run, ours: House, tmp_path: Path) -> None:
    ours.config(tmp_path, ("chain_id = 10\n", 'chain_id = 10\ngas_by = "estimate"\n'))
    ran = proposed(run, ours, tmp_path, OPTIMISM, "--json")
    assert ran.code == 0
    assert all(step["simulated"]["gas"] > 21_000 for step in ran.json["steps"])


def test_a_node_without_block_simulation_proves_it_too(run: Run, ours: House, tmp_path: Path) -> None:
    usual = proposed(run, ours, tmp_path, OPTIMISM, "--json").json
    with RpcProxy(ours.chains.url(OPTIMISM)) as proxy:
        proxy.fault(refused(-32601, "the method does not exist"), "eth_simulateV1")
        ours.config(tmp_path, (ours.chains.url(OPTIMISM), proxy.url))
        ran = proposed(run, ours, tmp_path, OPTIMISM, "--json")
    assert ran.code == 0
    assert ran.json["proposal"]["hash"] == usual["proposal"]["hash"]
    assert {step["promise"]["checked"] for step in ran.json["steps"]} == {"figures"}


def test_a_step_that_fails_at_the_head_is_left_out_and_the_rest_is_proposed(
    run: Run, ours: House, tmp_path: Path
) -> None:
    """The plan rests on a block at which the Safe still had the money."""
    quote, node = ours.chains.lyra["QuoteAsset"], ours.chains.node(OPTIMISM)
    with impersonating([node], ours.address):
        quote.send("transfer", node.accounts[0], quote.call("balanceOf", ours.address), sender=ours.address)
    ours.config(tmp_path, ("chain_id = 10\n", "chain_id = 10\nconfirmations = 1\n"))
    ran = proposed(run, ours, tmp_path, OPTIMISM, "--json")
    assert ran.code == 1
    assert [step["kind"] for step in ran.json["steps"]] == ["liquidate"]
    top_up = next(left for left in ran.json["left_out"] if left["kind"] == "move_collateral")
    assert top_up["failed"]
    assert top_up["reason"]
    assert "Left out" in proposed(run, ours, tmp_path, OPTIMISM).out


def test_several_steps_need_a_contract_on_the_chain(run: Run, ours: House, tmp_path: Path) -> None:
    at = ours.safes[OPTIMISM].multi_send.address
    ours.chains.node(OPTIMISM).rpc("anvil_setCode", at, "0x")
    ran = proposed(run, ours, tmp_path, OPTIMISM, "--json")
    assert (ran.code, ran.json["error"]) == (2, "NoMultiSendError")
    assert at in ran.json["message"]
    assert proposed(run, ours, tmp_path, OPTIMISM, "--only", "liquidate").code == 0


# What cannot be proposed to


def test_an_address_without_a_contract(run: Run, ours: House, tmp_path: Path) -> None:
    nobody = Address("0x000000000000000000000000000000000000dEaD")
    config = str(ours.config(tmp_path))
    ran = run("propose", "--safe", nobody, "--chain", "10", "-c", config, "--json")
    assert ran.code == 2
    assert ran.json["error"] == "NotASafeError"
    assert "there is no contract" in ran.json["message"]


def test_a_contract_that_is_no_safe(run: Run, ours: House, tmp_path: Path) -> None:
    config = str(ours.config(tmp_path))
    for contract in ("QuoteAsset", "OptionMarket"):
        address = str(ours.chains.lyra[contract].address)
        ran = run("propose", "--safe", address, "--chain", OPTIMISM, "-c", config, "--json")
        assert ran.code == 2
        assert ran.json["error"] == "NotASafeError"
        assert "it has no VERSION()" in ran.json["message"]


def test_several_chains_and_none_named(run: Run, ours: House, tmp_path: Path) -> None:
    config = str(ours.config(tmp_path))
    for options in ((), ("--chain", "1"), ("--chain", "mainnet")):
        ran = run("propose", "--safe", ours.address, "-c", config, *options)
        assert ran.code == 2
        assert "arbitrum (42161)" in ran.err


def test_the_wrong_chain_behind_the_url(run: Run, ours: House, tmp_path: Path) -> None:
    ours.config(tmp_path, (ours.chains.url(OPTIMISM), ours.chains.url(ARBITRUM)))
    ran = proposed(run, ours, tmp_path, OPTIMISM)
    assert ran.code == 2
    assert "serves chain id 42161, expected 10" in ran.err


@pytest.mark.parametrize("safe", ["0x123", "nobody", "0x8b050d85E5CAcFB70a4866015f82E371E3963942"])
def test_a_mistyped_address(run: Run, config: Path, safe: str) -> None:
    ran = run("propose", "--safe", safe, "-c", str(config))
    assert ran.code == 2
    assert ran.err.startswith(f"keeper: --safe {safe}: ")
    assert ran.err.count("\n") == 1


def test_a_kind_that_is_none(run: Run, config: Path) -> None:
    ran = run("propose", "--safe", str(SOME), "--only", "margin_call", "-c", str(config))
    assert ran.code == 2
    assert "expected one of hedge, move_collateral" in ran.err


SOME = Address("0x8B050d85E5CAcFB70a4866015f82E371E3963942")


def test_help_tells_exit_codes_and_options(run: Run) -> None:
    ran = run("propose", "--help")
    assert ran.code == 0
    words = " ".join(ran.out.split())
    for expected in ("Exit codes", "--json", "--sign", "Sends nothing", "Examples"):
        assert expected in words


# Signing


def test_a_signature_is_asked_for_twice(run: Run, ours: House, tmp_path: Path) -> None:
    ours.config(tmp_path, ('mode = "live"', 'mode = "dry-run"'))
    ran = proposed(run, ours, tmp_path, OPTIMISM, "--sign")
    assert ran.code == 2
    assert '--sign needs mode = "live"' in ran.err
    assert proposed(run, ours, tmp_path, OPTIMISM, "--json").json["proposal"]["signatures"] == []


def test_a_signature_that_is_enough_is_said_to_be(run: Run, chains: Chains, tmp_path: Path) -> None:
    ours = house(chains, threshold=1)
    chains.move()
    words = "whoever has this can execute it"
    assert words in proposed(run, ours, tmp_path, OPTIMISM, "--sign").out
    assert words not in proposed(run, ours, tmp_path, OPTIMISM).out


def test_a_signer_that_is_no_owner_is_told_so(run: Run, ours: House, tmp_path: Path) -> None:
    other = ours.safes[OPTIMISM].create(list(KEYS), 1, salt=1)
    ours.config(tmp_path)
    ran = run("propose", "--safe", other.address, "--chain", "10", "--sign", "--json",
              "-c", str(tmp_path / "keeper.toml"))  # fmt: skip
    assert ran.code == 2
    assert ran.json["error"] == "NotAnOwnerError"
    assert str(ours.chains.actor("desk")) in ran.json["message"]


def test_nothing_is_signed_while_halted(run: Run, ours: House, tmp_path: Path) -> None:
    config = ours.config(tmp_path)
    Store.open(tmp_path / "keeper.sqlite", "live").close()
    assert run("halt", "-c", str(config), "--reason", "oracle looks wrong").code == 0
    ran = proposed(run, ours, tmp_path, OPTIMISM, "--sign", "--json")
    assert ran.code == 3
    assert "oracle looks wrong" in ran.json["message"]
    unsigned = proposed(run, ours, tmp_path, OPTIMISM, "--json")
    assert unsigned.code == 0
    assert "oracle looks wrong" in unsigned.json["halted"]
    assert "oracle looks wrong" in proposed(run, ours, tmp_path, OPTIMISM).out


def test_a_remote_signer_signs_transactions_only(run: Run, ours: House, tmp_path: Path) -> None:
    def listing(_headers: Mapping[str, str], body: dict[str, Any]) -> Reply:
        assert body["method"] == "eth_accounts"
        result = [ours.chains.actor("desk")]
        return 200, json.dumps({"jsonrpc": "2.0", "id": body["id"], "result": result}).encode()

    with serving(listing) as url:
        text = ours.config(tmp_path).read_text()
        start, end = text.index("[signer]"), text.index("[limits]")
        address = ours.chains.actor("desk")
        signer = f'[signer]\nkind = "remote"\naddress = "{address}"\nurl = "{url}"\n\n'
        payer = f'[policy.top_up]\npayer = "{ours.address}"'
        text = text[:start] + signer + text[end:]
        (tmp_path / "keeper.toml").write_text(text.replace("[policy.top_up]", payer))
        ran = proposed(run, ours, tmp_path, OPTIMISM, "--sign", "--json")
    assert (ran.code, ran.json["error"]) == (2, "NoHashSignerError")
    assert "Nothing was signed" in ran.json["message"]


def test_the_key_is_in_nothing_that_is_written(run: Run, ours: House, tmp_path: Path) -> None:
    deployment = ours.chains.deployment
    sealed = json.loads(deployment.keystore.read_text())
    key = Account.decrypt(sealed, deployment.password_file.read_text().strip()).hex().removeprefix("0x")
    out = tmp_path / "batch.json"
    for form in ((), ("--json",)):
        ran = proposed(run, ours, tmp_path, OPTIMISM, "--sign", "--out", str(out), *form)
        assert ran.code == 0
        written = ran.out + ran.err + out.read_text()
        assert key not in written.lower()
        out.unlink()
