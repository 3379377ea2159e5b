"""Snapshots of real chains: one block per chain, few requests, and nothing healthy that was not read."""

import dataclasses
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from keeper.chain.client import ChainClient
from keeper.chain.errors import WrongChain
from keeper.devnet.bulk import seed_many
from keeper.model.reads import Address, Call, Failed, Logs, Read
from keeper.model.snapshot import BlockRef, Gap, Snapshot
from keeper.model.units import ONE, Wad
from keeper.model.venue import Venue
from keeper.protocols.following import REORG_BLOCKS
from keeper.snapshot.observe import SAVED_BLOCKS
from tests.snapshot.conftest import Watch
from tests.support.rpc_proxy import (
    Exchange,
    Fault,
    Reply,
    dropped,
    garbage,
    refused,
)

pytestmark = pytest.mark.devnet

LYRA, CURIE = 10, 42161
NOBODY = Address("0x00000000000000000000000000000000000A0008")


def kinds(snapshot: Snapshot) -> set[str]:
    return {gap.what for gap in snapshot.gaps}


def accounts_of(snapshot: Snapshot, chain_id: int) -> list[str]:
    return [a.id for a in snapshot.accounts if a.chain_id == chain_id]


def test_a_quiet_look_sees_everything(watch: Watch) -> None:
    snapshot = watch.observer().observe()
    assert snapshot.gaps == ()
    assert [b.chain_id for b in snapshot.blocks] == [LYRA, CURIE]
    assert len(accounts_of(snapshot, LYRA)) >= 7
    assert len(accounts_of(snapshot, CURIE)) >= 7
    assert {(q.subject, q.kind) for q in snapshot.quotes if q.kind == "reference"} == {
        ("ETH", "reference"),
        ("BTC", "reference"),
    }
    assert [g.chain_id for g in snapshot.gas] == [LYRA, CURIE]
    assert all(g.wei_per_gas > 0 for g in snapshot.gas)
    assert {(w.chain_id, w.owner) for w in snapshot.wallets} == {
        (chain, owner) for chain in (LYRA, CURIE) for owner in watch.settings.owners()
    }
    for wallet in snapshot.wallets:
        node = watch.chains.node("optimism" if wallet.chain_id == LYRA else "arbitrum")
        assert wallet.native == int(node.rpc("eth_getBalance", wallet.owner, "latest"), 16)
    assert all(d.asks and d.bids for d in snapshot.depth)
    assert len(snapshot.depth) == 2


def test_the_same_state_is_the_same_bytes(watch: Watch) -> None:
    observer = watch.observer()
    first = observer.observe()
    assert observer.observe().digest == first.digest
    assert watch.observer().observe().digest == first.digest
    watch.found.clear()
    assert watch.observer().observe().digest == first.digest
    node = watch.chains.node("optimism")
    node.rpc("evm_mine")
    assert observer.observe().digest != first.digest


def test_every_read_of_a_chain_is_made_at_its_one_pinned_block(watch: Watch) -> None:
    observer = watch.observer()
    observer.observe()
    for proxy in watch.proxies.values():
        proxy.seen.clear()
    blocks = {b.chain_id: b for b in observer.observe().blocks}
    for chain_id, proxy in watch.proxies.items():
        at = blocks[chain_id]
        calls = [params for method, params in proxy.seen if method == "eth_call"]
        assert calls
        assert all(params[1] == {"blockHash": at.hash, "requireCanonical": True} for params in calls)
        assert all("gas" in params[0] for params in calls)
        logs = [params[0] for method, params in proxy.seen if method == "eth_getLogs"]
        assert all(int(question["toBlock"], 16) <= at.number for question in logs)
        histories = [params for method, params in proxy.seen if method == "eth_feeHistory"]
        assert [int(params[1], 16) for params in histories] == [at.number]


def differences(one: Snapshot, other: Snapshot) -> list[tuple[str, object, object]]:
    """Name what differs, so that a failure says more than two digests."""
    fields = [(f.name, getattr(one, f.name), getattr(other, f.name)) for f in dataclasses.fields(Snapshot)]
    return [
        (name, [x for x in a if x not in b], [x for x in b if x not in a]) for name, a, b in fields if a != b
    ]


def test_blocks_mined_meanwhile_change_nothing(watch: Watch) -> None:
    """A node that mines between any two requests: all is still read at the first block."""
    node = watch.chains.node("arbitrum")
    watch.chains.fresh_blocks()
    observer = watch.observer()
    quiet = observer.observe()

    def mining(exchange: Exchange) -> Reply:
        reply = exchange.forward()
        node.rpc("evm_mine")
        return reply

    watch.proxies[CURIE].fault(mining)
    again = observer.observe()
    assert differences(again, quiet) == []
    assert again.digest == quiet.digest
    assert node.head() > quiet.blocks[1].number + 5


def test_hundreds_of_positions_take_a_handful_of_requests(watch: Watch) -> None:
    observer = watch.observer()
    observer.observe()
    few = {chain_id: len(proxy.seen) for chain_id, proxy in watch.proxies.items()}
    seed_many(watch.chains.world, options=300, traders=100)
    observer.observe()
    for proxy in watch.proxies.values():
        proxy.seen.clear()
    snapshot = observer.observe()
    assert snapshot.gaps == ()
    assert len(accounts_of(snapshot, LYRA)) >= 300
    assert len(accounts_of(snapshot, CURIE)) >= 100
    assert sum(len(a.positions) for a in snapshot.accounts) >= 450
    many = {chain_id: len(proxy.seen) for chain_id, proxy in watch.proxies.items()}
    assert many[LYRA] <= 12
    assert many[CURIE] <= 16
    assert all(many[chain_id] <= few[chain_id] + 4 for chain_id in few), (few, many)


# Nothing that was not read is ever healthy


def never_healthier(seen: Snapshot, truth: Snapshot) -> None:
    """Whatever failed: what is in the snapshot is true, and what is not in it is a gap."""
    true_accounts = {a.id: a for a in truth.accounts}
    for account in seen.accounts:
        true = true_accounts[account.id]
        assert account.venue == true.venue, account.id
        assert account.positions == true.positions, account.id
        assert account.liquidatable == true.liquidatable, account.id
    missing = true_accounts.keys() - {a.id for a in seen.accounts}
    excused = {g.key for g in seen.gaps if g.what == "account"}
    whole = {g.chain_id for g in seen.gaps if g.what in ("chain", "venue")}
    assert all(i in excused or true_accounts[i].chain_id in whole for i in missing), missing - excused
    true_quotes = {(q.kind, q.subject, q.source): q.price for q in truth.quotes}
    for quote in seen.quotes:
        if quote.kind != "reference":
            assert true_quotes[quote.kind, quote.subject, quote.source] == quote.price
    true_native = {(w.chain_id, w.owner): w for w in truth.wallets}
    for wallet in seen.wallets:
        true_wallet = true_native[wallet.chain_id, wallet.owner]
        assert wallet.native == true_wallet.native
        assert set(wallet.balances) <= set(true_wallet.balances)
    if seen.digest != truth.digest:
        assert seen.gaps


@pytest.mark.faults
@pytest.mark.parametrize("chain_id", [LYRA, CURIE])
@pytest.mark.parametrize(
    "fault", [dropped(), garbage(), refused(-32000, "header not found"), refused(-32603, "internal error")]
)
def test_each_request_fails_in_turn(watch: Watch, chain_id: int, fault: Fault) -> None:
    watch.chains.move()  # with accounts that can be liquidated
    truth = watch.observer().observe()
    assert any(a.liquidatable for a in truth.accounts)
    proxy = watch.proxies[chain_id]
    observer = watch.observer()
    proxy.seen.clear()
    observer.observe()
    requests = len(proxy.seen)
    assert requests >= 8
    for nth in range(requests):
        proxy.clear()
        proxy.fault(fault, skip=nth, times=2)  # twice: endpoints ask again on a broken connection
        seen = observer.observe()
        never_healthier(seen, truth)
    proxy.clear()
    assert observer.observe().digest == truth.digest


class Forgetful(ChainClient):
    """Has no answer to some of its reads."""

    forget: Callable[[Read], bool] = staticmethod(lambda _: False)
    asked: list[str]

    def answer(self, reads: Any, at: BlockRef) -> list[Any]:
        answers = super().answer(reads, at)
        for i, read in enumerate(reads):
            if isinstance(read, Call | Logs):
                name = f"{read.contract}.{read.fn}" if isinstance(read, Call) else f"{read.contract} events"
                self.asked.append(name)
                if self.forget(read):
                    answers[i] = Failed(name, "nobody answered")
        return answers


def forgetful(watch: Watch) -> dict[int, ChainClient]:
    clients: dict[int, ChainClient] = {}
    for chain_id, proxy in watch.proxies.items():
        client = Forgetful(name=str(chain_id), chain_id=chain_id, endpoints=[proxy.url], call_gas=200_000_000)
        client.asked = []
        watch.stack.callback(client.close)
        clients[chain_id] = client
    return clients


@pytest.mark.faults
@pytest.mark.parametrize("chain_id", [LYRA, CURIE])
def test_each_kind_of_read_fails_in_turn(watch: Watch, chain_id: int) -> None:
    """Once for everything of that kind, and once for the first of them only."""
    watch.chains.move()
    clients = forgetful(watch)
    client = clients[chain_id]
    assert isinstance(client, Forgetful)
    truth = watch.observer(clients).observe()
    names = sorted(set(client.asked))
    assert len(names) >= 15
    for name in names:
        for only_first in (False, True):
            hit: list[Read] = []

            def forget(read: Read, name: str = name, first: bool = only_first, hit: list[Read] = hit) -> bool:
                fn = read.fn if isinstance(read, Call) else ""
                mine = isinstance(read, Call | Logs) and name in (
                    f"{read.contract}.{fn}",
                    f"{read.contract} events",
                )
                if mine and not (first and hit):
                    hit.append(read)
                    return True
                return False

            client.forget = forget
            watch.found.clear()
            seen = watch.observer(clients).observe()
            assert hit
            never_healthier(seen, truth)


# Chains and venues that are not there


@pytest.mark.faults
def test_a_chain_that_is_down_is_a_gap_and_the_other_goes_on(watch: Watch) -> None:
    truth = watch.observer().observe()
    watch.proxies[LYRA].fault(dropped())
    seen = watch.observer().observe()
    (gap,) = [g for g in seen.gaps if g.what == "chain"]
    assert (gap.key, gap.chain_id) == ("10", LYRA)
    assert watch.proxies[LYRA].url in gap.reason
    assert [b.chain_id for b in seen.blocks] == [CURIE]
    assert accounts_of(seen, LYRA) == []
    assert [a for a in truth.accounts if a.chain_id == CURIE] == list(seen.accounts)


@pytest.mark.faults
def test_all_chains_down_is_an_empty_snapshot_full_of_gaps(watch: Watch) -> None:
    for proxy in watch.proxies.values():
        proxy.fault(garbage())
    seen = watch.observer().observe()
    assert [(g.what, g.key) for g in seen.gaps] == [("chain", "10"), ("chain", "42161")]
    assert (seen.accounts, seen.blocks, seen.taken_at_s, seen.skew_s) == ((), (), 0, 0)


@pytest.mark.faults
def test_an_endpoint_down_in_mid_cycle_is_replaced_by_the_next(watch: Watch) -> None:
    truth = watch.observer().observe()
    direct = watch.chains.url("arbitrum")
    for nth in range(1, 8):
        clients = watch.clients() | {CURIE: watch.client(CURIE, watch.proxies[CURIE].url, direct)}
        watch.proxies[CURIE].clear()
        watch.proxies[CURIE].fault(dropped(), skip=nth)
        watch.found.clear()
        assert watch.observer(clients).observe().digest == truth.digest


@pytest.mark.faults
def test_a_wrong_chain_behind_the_url_is_a_configuration_error(watch: Watch) -> None:
    clients = watch.clients() | {CURIE: watch.client(CURIE, watch.proxies[LYRA].url)}
    with pytest.raises(WrongChain, match="serves chain id 10, expected 42161"):
        watch.observer(clients).observe()


@pytest.mark.faults
def test_a_node_that_becomes_another_chain_is_a_gap(watch: Watch) -> None:
    observer = watch.observer()
    observer.observe()
    watch.proxies[CURIE].upstream = watch.chains.url("optimism")
    seen = observer.observe()
    assert ("chain", "42161") in {(g.what, g.key) for g in seen.gaps}
    assert accounts_of(seen, CURIE) == []


@pytest.mark.faults
def test_a_frozen_chain_is_a_gap_once_the_other_has_moved_on(watch: Watch) -> None:
    watch.chains.fresh_blocks()
    observer = watch.observer()
    watch.proxies[LYRA].freeze_head()
    limit = watch.settings.params().staleness.max_skew_s
    watch.chains.warp(limit - 10)
    assert "skew" not in kinds(observer.observe())
    watch.chains.warp(60)
    seen = observer.observe()
    (gap,) = [g for g in seen.gaps if g.what == "skew"]
    assert (gap.key, gap.chain_id) == ("10", LYRA)
    assert f"limit is {limit} s" in gap.reason


@pytest.mark.parametrize(
    ("protocol", "contract"),
    [("lyra", "OptionToken"), ("lyra", "SynthetixAdapter"), ("curie", "AccountBalance")],
)
def test_an_address_without_code_is_never_healthy(watch: Watch, protocol: str, contract: str) -> None:
    truth = watch.observer().observe()
    watch.found.clear()

    def elsewhere(venue: Venue) -> Venue:
        if venue.protocol != protocol:
            return venue
        contracts = dict(venue.contracts) | {contract: NOBODY}
        return replace(venue, contracts=tuple(sorted(contracts.items())))

    seen = watch.observer(change=elsewhere).observe()
    assert seen.gaps
    assert any("no contract there" in g.reason for g in seen.gaps), seen.gaps
    never_healthier(seen, truth)


# Discovery goes on where it ended


def test_discovery_is_kept_and_goes_on_where_it_ended(watch: Watch) -> None:
    watch.chains.node("arbitrum").rpc("anvil_mine", hex(2 * REORG_BLOCKS))
    watch.chains.warp(60)
    first = watch.observer().observe()
    assert {v.id for v in watch.settings.venues()} == set(watch.found)
    at = first.blocks[1].number
    assert watch.found["curie:42161"].next_block == at + 1

    newcomer = watch.chains.actor("iris")
    watch.chains.curie.trade(newcomer, "ETH", Wad(10**17))
    for proxy in watch.proxies.values():
        proxy.seen.clear()
    second = watch.observer().observe()
    logs = [params[0] for method, params in watch.proxies[CURIE].seen if method == "eth_getLogs"]
    assert all(int(question["fromBlock"], 16) == at + 1 - REORG_BLOCKS for question in logs)
    ids = {a.id for a in second.accounts}
    assert {a.id for a in first.accounts} <= ids
    assert f"curie:42161:{newcomer}" in ids
    watch.found.clear()
    assert watch.observer().observe().digest == second.digest


@pytest.mark.faults
def test_a_reorg_in_the_middle_begins_again_on_a_new_block(watch: Watch) -> None:
    node = watch.chains.node("arbitrum")
    observer = watch.observer()
    observer.observe()
    kept = node.snapshot()
    node.rpc("evm_mine")

    def reorganised(exchange: Exchange) -> Reply:
        node.revert(kept)
        node.warp(7)
        return exchange.forward()

    rule = watch.proxies[CURIE].fault(reorganised, "eth_call", skip=1, times=1)
    seen = observer.observe()
    assert rule.struck == 1
    assert seen.gaps == ()
    head = node.rpc("eth_getBlockByNumber", "latest", False)
    assert seen.blocks[1].hash == head["hash"]


def test_a_past_block_is_seen_as_it_was(watch: Watch) -> None:
    watch.chains.fresh_blocks()
    observer = watch.observer()
    then = observer.observe()
    kept = dict(watch.found)
    watch.chains.curie.deposit(watch.chains.actor("anna"), 100)
    watch.chains.move()
    now = observer.observe()
    assert now.digest != then.digest
    known = dict(watch.found)
    past = {b.chain_id: b.number for b in then.blocks}
    again = observer.observe(past)
    assert differences(again, then) == []
    assert again.digest == then.digest
    assert watch.found == known != kept, "looking back teaches nothing"
    missing = observer.observe({**past, LYRA: 10**9})
    assert [g for g in missing.gaps if g.what == "chain"] == [
        Gap(what="chain", key="10", reason="has no block 1000000000", chain_id=LYRA)
    ]


def test_what_was_found_is_kept_when_somebody_appears_and_now_and_then(watch: Watch) -> None:
    observer, node = watch.observer(), watch.chains.node("arbitrum")
    observer.observe()
    first = watch.found["curie:42161"]
    node.rpc("anvil_mine", hex(SAVED_BLOCKS - 1))
    observer.observe()
    assert watch.found["curie:42161"] == first
    node.rpc("anvil_mine", hex(1))
    observer.observe()
    later = watch.found["curie:42161"]
    assert (later.keys, later.next_block) == (first.keys, first.next_block + SAVED_BLOCKS)
    watch.chains.curie.deposit(watch.chains.actor("anna"), 100)
    observer.observe()
    assert set(watch.found["curie:42161"].keys) == {*first.keys, watch.chains.actor("anna")}


@pytest.mark.faults
def test_without_a_gas_price_everything_else_is_there(watch: Watch) -> None:
    truth = watch.observer().observe()
    watch.proxies[LYRA].fault(refused(-32601, "Method not found"), "eth_feeHistory", "eth_gasPrice")
    seen = watch.observer().observe()
    assert [(g.what, g.key) for g in seen.gaps] == [("gas", "10")]
    assert [g.chain_id for g in seen.gas] == [CURIE]
    assert seen.accounts == truth.accounts


@pytest.mark.faults
def test_one_changed_value_is_seen_by_those_who_look_twice(watch: Watch) -> None:
    """A liar about time or chain is caught; one about a price shows as venues that disagree."""
    watch.observer().observe()
    spot = json.dumps(f"{2000 * 10**18:064x}")[1:-1]
    lie = f"{2600 * 10**18:064x}"

    def lying(exchange: Exchange) -> Reply:
        reply = exchange.forward()
        return Reply(reply.body.replace(spot.encode(), lie.encode()))

    watch.proxies[LYRA].fault(lying, "eth_call")
    seen = watch.observer().observe()
    assert ("quote", "ETH") in {(g.what, g.key) for g in seen.gaps}
    assert not [q for q in seen.quotes if q.kind == "reference" and q.subject == "ETH"]


@pytest.mark.parametrize("levels", [1, 3, 10])
def test_depth_is_what_the_pool_itself_would_trade(watch: Watch, levels: int) -> None:
    """Curie takes its fee inside the quote when buying, outside when selling."""
    snapshot = watch.observer().observe()
    client = watch.client(CURIE)
    at = client.pin()
    trader = watch.chains.actor("arbitrageur")
    clearing = watch.chains.address("arbitrum", "ClearingHouse")
    for market in snapshot.depth:
        base_token, fee = market.instrument.split(":")[-1], market.fee / ONE
        for selling, side in ((False, market.asks), (True, market.bids)):
            size = sum(level.size for level in side[:levels])
            quote = sum(level.size * level.price for level in side[:levels]) / ONE
            order = (base_token, selling, selling, size, 0, 2**64, 0, bytes(32))
            opened = Call("curie/ClearingHouse", clearing, "openPosition", (order,), sender=trader)
            ((base, paid),) = client.answer([opened], at)
            assert base == pytest.approx(size, abs=2)
            expected = quote * (1 - fee) if selling else quote / (1 - fee)
            assert paid == pytest.approx(expected, rel=1e-12)
