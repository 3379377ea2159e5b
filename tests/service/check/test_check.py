"""The whole check on real protocol bytecode, behind nodes that each have something wrong."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from keeper.chain.client import ChainClient
from keeper.config.load import load
from keeper.config.tables import ChainTable
from keeper.model.errors import DataError
from keeper.model.snapshot import Snapshot
from keeper.service.chains import connect
from keeper.service.check.check import check
from keeper.service.check.contracts import events_asked, selectors
from keeper.service.check.verdicts import Checked, Verdict, failures
from keeper.service.wire import check_settings
from tests.service.sample import SNAPSHOT
from tests.support.chains import Chains
from tests.support.keeper_files import keeper_config
from tests.support.rpc_proxy import RpcProxy, answered, delayed, garbage, limited, refused
from tests.support.ws_proxy import WsProxy

pytestmark = [pytest.mark.devnet, pytest.mark.faults]


def checked(config: Path, tell: Callable[[str], None] = lambda _: None) -> list[Checked]:
    return list(check_settings(load(config), tell))


def endpoints(chains: Chains, folder: Path, *urls: str, more: str = "", name: str = "optimism") -> Path:
    """The devnet's configuration with other endpoints of a chain, and further keys for it."""
    listed = ", ".join(f'"{url}"' for url in urls)
    old = f'endpoints = ["{chains.url(name)}"]'
    return keeper_config(chains, folder, (old, f"endpoints = [{listed}]\n{more}"))


@pytest.fixture
def chains(chains: Chains) -> Chains:
    """Both chains, with the state of as many blocks as a keeper looks back."""
    chains.fresh_blocks(20)
    return chains


def line(lines: list[Checked], section: str, subject: str) -> Checked:
    (found,) = [one for one in lines if section in one.section and one.subject == subject]
    return found


def test_a_set_up_without_fault(chains: Chains, tmp_path: Path) -> None:
    told: list[str] = []
    lines = checked(keeper_config(chains, tmp_path), told.append)
    assert failures(lines) == ()
    sections = list(dict.fromkeys(one.section for one in lines))
    assert [s.split(",")[0] for s in sections] == [
        "set-up", "signer",
        "optimism endpoint", "chain optimism", "venue lyra",
        "arbitrum endpoint", "chain arbitrum", "venue curie",
        "a cycle's reading",
    ]  # fmt: skip
    assert line(lines, "signer", "signer").found == chains.actor("desk")
    for chain, venue_events in (("optimism", 1), ("arbitrum", 10)):
        counts = line(lines, f"{chain} endpoint", "event counts")
        assert counts.verdict is Verdict.OK
        own = int(counts.found.split(" of ours in ")[0].replace(",", ""))
        assert own >= venue_events, "the demo's own trades"
    assert "pays for over 10,000 transactions" in line(lines, "signer", "signer on optimism").found
    wallet = line(lines, "reading", f"wallet {chains.actor('desk')} on arbitrum")
    assert wallet.found == "100,000.00 USDC"
    # A chain of last year is known by its head's age alone, and that is no failure.
    assert {one.subject for one in lines if one.verdict is Verdict.WARN} <= {"head", "disk"}
    assert len(told) >= 4


def test_every_endpoint_is_judged_on_its_own(chains: Chains, tmp_path: Path) -> None:
    url, other = chains.url("optimism"), chains.url("arbitrum")
    head = chains.node("optimism").head()
    with (
        RpcProxy(url) as pruned, RpcProxy(url) as narrow, RpcProxy(url) as broken, RpcProxy(url) as busy,
        RpcProxy(url) as curt,
    ):  # fmt: skip
        pruned.fault(
            refused(-32000, "missing trie node"),
            "eth_getBalance",
            when=lambda params: params[1].startswith("0x") and int(params[1], 16) < head - 5,
        )
        narrow.fault(
            refused(-32005, "query exceeds max block range 20"),
            "eth_getLogs",
            when=lambda params: int(params[0]["toBlock"], 16) - int(params[0]["fromBlock"], 16) >= 20,
        )
        broken.fault(garbage())
        busy.fault(limited(1), "eth_getLogs", times=1)
        curt.fault(
            refused(-32005, ""),
            "eth_getLogs",
            when=lambda params: int(params[0]["toBlock"], 16) - int(params[0]["fromBlock"], 16) >= 20,
        )
        urls = (pruned.url, narrow.url, broken.url, busy.url, other, curt.url)
        lines = checked(endpoints(chains, tmp_path, *urls))
    expected = {
        ("1 of 6", "state"): (Verdict.FAIL, "5 blocks, then: missing trie node"),
        ("1 of 6", "events"): (Verdict.OK, f"{head + 1:,} blocks, all there are"),
        ("2 of 6", "events"): (Verdict.WARN, "20 blocks, then: query exceeds max block range 20"),
        ("3 of 6", "answers"): (Verdict.FAIL, "answered HTTP 200 with something that is not JSON"),
        ("4 of 6", "events"): (Verdict.OK, f"{head + 1:,} blocks, all there are"),
        ("5 of 6", "chain id"): (Verdict.FAIL, "serves chain id 42161"),
        ("6 of 6", "events"): (
            Verdict.WARN,
            "20 blocks, then: rate limit (code -32005), yet less is answered at once: it is the size",
        ),
    }
    for (which, subject), verdict in expected.items():
        found = line(lines, f"endpoint {which}", subject)
        assert (found.verdict, found.found) == verdict
    assert line(lines, "2 of 6", "state").verdict is Verdict.OK
    assert line(lines, "4 of 6", "rate").verdict is Verdict.WARN
    assert line(lines, "6 of 6", "rate").verdict is Verdict.OK
    assert line(lines, "2 of 6", "events").remedy.startswith("set log_blocks = 20 under [chains.optimism]")
    # One endpoint of another chain keeps the daemon from starting, so the chain as a whole fails too.
    assert line(lines, "chain optimism", "chain optimism").verdict is Verdict.FAIL
    assert line(lines, "reading", "reading").verdict is Verdict.SKIPPED


def test_a_head_that_stands_still_beside_one_that_goes_on(chains: Chains, tmp_path: Path) -> None:
    url = chains.url("optimism")
    with RpcProxy(url) as frozen:
        frozen.freeze_head()
        chains.node("optimism").rpc("anvil_mine", hex(20))
        lines = checked(endpoints(chains, tmp_path, frozen.url, url))
    stale = line(lines, "endpoint 1 of 2", "head")
    assert stale.verdict is Verdict.FAIL
    assert f"20 behind {url}" in stale.found
    assert line(lines, "endpoint 2 of 2", "head").verdict is not Verdict.FAIL


def test_heads_and_the_private_endpoint(chains: Chains, tmp_path: Path) -> None:
    url = chains.url("optimism")
    with WsProxy(url) as quiet, WsProxy(url) as closed, WsProxy(url) as wrong, RpcProxy(url) as private:
        closed.refuse()
        wrong.answer("eth_chainId", "0x1")
        private.fault(answered("0x1"), "eth_chainId")
        more = f'ws_endpoints = ["{quiet.url}", "{closed.url}", "{wrong.url}"]\nws_silent_s = 0.3'
        lines = checked(endpoints(chains, tmp_path, url, more=f'{more}\nprivate_endpoint = "{private.url}"'))
        assert line(lines, f"heads, {quiet.url}", "heads").verdict is Verdict.OK
        assert "no block came within" in line(lines, f"heads, {quiet.url}", "heads").found
        assert line(lines, f"heads, {closed.url}", "heads").found == "HTTP 401"
        assert line(lines, f"heads, {wrong.url}", "heads").found == "serves chain id 1"
        assert line(lines, f"private, {private.url}", "private endpoint").found == "serves chain id 1"
    names = {one.section.split(",")[0] for one in failures(lines)}
    assert names == {"optimism heads", "optimism private", "chain optimism"}


def test_an_endpoint_that_says_nothing_ends_in_time(chains: Chains, tmp_path: Path) -> None:
    url = chains.url("optimism")
    with RpcProxy(url) as silent:
        silent.fault(delayed(3600.0))
        lines = checked(endpoints(chains, tmp_path, silent.url, url, more="timeout_s = 0.5"))
    assert line(lines, "endpoint 1 of 2", "answers").found == "no answer within 0.5 s"


def test_no_secret_of_an_url_is_shown(chains: Chains, tmp_path: Path) -> None:
    secret = "Zy9-secret-key"
    with RpcProxy(chains.url("optimism")) as proxy:
        proxy.fault(refused(-32000, f"the project {secret} has no archive"), "eth_getBalance", "eth_getLogs")
        config = endpoints(
            chains,
            tmp_path,
            f"{proxy.url}/v2/{secret}",
            f"http://127.0.0.1:9/{secret}?key={secret}",
            more=f'ws_endpoints = ["ws://127.0.0.1:9/{secret}"]\nprivate_endpoint = "http://127.0.0.1:9/{secret}"\n'
            "ws_silent_s = 0.2",
        )
        lines = checked(config)
    assert secret not in repr(lines)
    assert line(lines, "endpoint 1 of 2", "state").found == "0 blocks, then: the project *** has no archive"


def test_a_signer_that_is_nearly_empty(chains: Chains, tmp_path: Path) -> None:
    desk, node = chains.actor("desk"), chains.node("arbitrum")
    node.rpc("anvil_setBalance", desk, hex(10**16))
    empty = line(checked(keeper_config(chains, tmp_path)), "signer", "signer on arbitrum")
    assert empty.verdict is Verdict.FAIL
    assert empty.remedy == f"send ETH to {desk}"
    node.rpc("anvil_setNextBlockBaseFeePerGas", hex(10**9))
    node.rpc("evm_mine")
    price = int(node.rpc("eth_gasPrice"), 16)
    node.rpc("anvil_setBalance", desk, hex(5 * 10**16 + 3 * 1_000_000 * price))
    low = line(checked(keeper_config(chains, tmp_path)), "signer", "signer on arbitrum")
    assert low.verdict is Verdict.WARN
    assert "transactions at" in low.found


def test_a_snapshot_that_cannot_be_read(chains: Chains, tmp_path: Path) -> None:
    def broken() -> Snapshot:
        raise DataError("two nodes disagree")

    settings = load(keeper_config(chains, tmp_path))
    found = line(list(check(settings, connect=connect, observe=broken)), "reading", "reading")
    assert (found.verdict, found.found) == (Verdict.FAIL, "two nodes disagree")


def test_a_chain_that_takes_for_ever(chains: Chains, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given_up = threading.Event()

    def slow(name: str, table: ChainTable) -> ChainClient:
        if name == "optimism":
            given_up.wait()
        return connect(name, table)

    monkeypatch.setattr("keeper.service.check.check.CHAIN_S", 1.0)
    settings = load(keeper_config(chains, tmp_path, (chains.url("optimism"), "http://127.0.0.1:9")))
    lines = list(check(settings, connect=slow, observe=lambda: SNAPSHOT))
    given_up.set()
    found = line(lines, "chain optimism", "chain optimism")
    assert (found.verdict, found.found) == (Verdict.FAIL, "not read within 1 s")
    assert line(lines, "reading", "reading").verdict is Verdict.SKIPPED


def test_a_snapshot_that_takes_for_ever(
    chains: Chains, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_up = threading.Event()

    def slow() -> Snapshot:
        given_up.wait()
        return SNAPSHOT

    monkeypatch.setattr("keeper.service.check.check.READING_S", 0.2)
    settings = load(keeper_config(chains, tmp_path))
    found = line(list(check(settings, connect=connect, observe=slow)), "reading", "reading")
    given_up.set()
    assert found.verdict is Verdict.FAIL
    assert found.found == "not read within 0 s"


def test_the_events_that_are_asked_for_are_those_a_venue_is_followed_by(
    chains: Chains, tmp_path: Path
) -> None:
    settings = load(keeper_config(chains, tmp_path))
    asked = {venue.protocol: events_asked(venue) for venue in settings.venues()}
    assert {name: [len(selectors(logs)) for logs in found] for name, found in asked.items()} == {
        "lyra": [1],
        "curie": [5, 4, 1],
    }
    for venue in settings.venues():
        addresses = {address for _, address in venue.contracts}
        assert {logs.to for logs in asked[venue.protocol]} < addresses, "tokens of others are not counted"
        assert {logs.from_block for logs in asked[venue.protocol]} == {venue.from_block}
