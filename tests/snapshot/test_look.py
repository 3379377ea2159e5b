"""A look at a block stands while its chain has no new one, and says what reading it again would say."""

from dataclasses import dataclass
from typing import Any

import pytest

from keeper.model.snapshot import Gap, Snapshot, VenueState
from keeper.protocols.adapter import Found
from keeper.protocols.registry import ADAPTERS
from keeper.snapshot.look import ChainObserver, Look
from keeper.snapshot.observe import Observer
from keeper.snapshot.venue import Seen, Step, shows_all, whole
from tests.snapshot.conftest import Watch
from tests.support.rpc_proxy import refused

pytestmark = pytest.mark.devnet

LYRA, CURIE = 10, 42161
HEAD = [("eth_getBlockByNumber", ["latest", False])]
LONG_S = 1e6


def asked(watch: Watch) -> dict[int, list[tuple[str, list[Any]]]]:
    """Return what was asked of each chain since the last call."""
    seen = {chain_id: list(proxy.seen) for chain_id, proxy in watch.proxies.items()}
    for proxy in watch.proxies.values():
        proxy.seen.clear()
    return seen


def standing(watch: Watch) -> Observer:
    observer = watch.observer(stands_s=LONG_S)
    observer.observe()
    asked(watch)
    return observer


def truth(watch: Watch) -> Snapshot:
    return watch.witness().observe()


def test_a_chain_without_a_new_block_is_asked_for_its_head_only(watch: Watch) -> None:
    observer = standing(watch)
    assert observer.observe().digest == truth(watch).digest
    assert asked(watch) == {LYRA: HEAD, CURIE: HEAD}
    for mined, still, name in ((LYRA, CURIE, "optimism"), (CURIE, LYRA, "arbitrum")):
        watch.chains.node(name).rpc("evm_mine")
        assert observer.observe().digest == truth(watch).digest
        seen = asked(watch)
        assert seen[still] == HEAD
        assert "eth_call" in [method for method, _ in seen[mined]]


def test_what_is_carried_stands_with_it(watch: Watch) -> None:
    observer = watch.observer(stands_s=LONG_S)
    carried = {v: s.carried for v, s in observer.follow({}).seen.items()}
    steps = {v: Step(carried=c, screened=True) for v, c in carried.items() if c is not None}
    assert len(steps) == 2
    asked(watch)
    again = observer.follow(steps)
    assert asked(watch) == {LYRA: HEAD, CURIE: HEAD}
    assert {v: s.carried for v, s in again.seen.items()} == carried
    watch.chains.node("optimism").rpc("evm_mine")
    after = observer.follow(steps)
    assert asked(watch)[CURIE] == HEAD
    assert after.seen["curie:42161"].carried is carried["curie:42161"]
    assert after.seen["lyra:10"].carried is not carried["lyra:10"]


def test_a_venue_in_doubt_is_read(watch: Watch) -> None:
    observer = watch.observer(stands_s=LONG_S)
    carried = {v: s.carried for v, s in observer.follow({}).seen.items()}
    asked(watch)
    doubted = {v: Step(carried=c, screened=False) for v, c in carried.items() if c is not None}
    assert all(seen.compared for seen in observer.follow(doubted).seen.values())
    assert all(requests != HEAD for requests in asked(watch).values())


def test_another_block_of_the_same_height_is_read(watch: Watch) -> None:
    node = watch.chains.node("arbitrum")
    node.rpc("evm_mine")
    observer = standing(watch)
    before = observer.observe()
    node.rpc("anvil_reorg", 1, [])
    after = observer.observe()
    assert [b.number for b in after.blocks] == [b.number for b in before.blocks]
    assert after.blocks != before.blocks
    assert after.digest == truth(watch).digest


def test_what_could_not_be_read_is_asked_for_again(watch: Watch) -> None:
    observer = watch.observer(stands_s=LONG_S)
    watch.proxies[CURIE].fault(refused(-32603, "internal error"), "eth_call")
    assert observer.observe().gaps
    watch.proxies[CURIE].clear()
    seen = observer.observe()
    assert seen.gaps == ()
    assert seen.digest == truth(watch).digest


def test_a_chain_that_no_longer_answers_is_a_gap_whatever_was_read(watch: Watch) -> None:
    observer = standing(watch)
    watch.proxies[LYRA].fault(refused(-32603, "internal error"))
    seen = observer.observe()
    assert [(g.what, g.key) for g in seen.gaps if g.what == "chain"] == [("chain", "10")]
    assert [b.chain_id for b in seen.blocks] == [CURIE]


@dataclass
class Clock:
    now_s: float = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_a_look_does_not_stand_for_ever(watch: Watch) -> None:
    clock = Clock()
    venues = [(v, ADAPTERS[v.protocol]()) for v in watch.settings.venues() if v.chain_id == CURIE]
    owners = watch.settings.owners()
    chain = ChainObserver(watch.client(CURIE), venues, owners, "ETH", stands_s=10.0, clock=clock)

    def look(*, stands: bool = True) -> Look | Gap:
        return chain.look(whole({}), stands=lambda _: stands)

    first = look()
    clock.now_s += 9.0
    assert look() is first
    assert look(stands=False) is not first
    clock.now_s += 9.0
    second = look()
    assert second is not first
    clock.now_s += 10.0
    assert look() is not second


def test_a_look_at_a_named_block_is_always_made(watch: Watch) -> None:
    observer = standing(watch)
    here = {b.chain_id: b.number for b in observer.observe().blocks}
    asked(watch)
    for _ in range(2):
        observer.observe(here)
        assert all("eth_call" in [method for method, _ in seen] for seen in asked(watch).values())


@dataclass(frozen=True)
class Case:
    seen: Seen
    step: Step | None
    stands: bool = False


def test_a_screened_look_is_not_a_whole_one(watch: Watch) -> None:
    observer = watch.observer()
    carried = observer.follow({}).seen["curie:42161"].carried
    assert carried is not None
    sight = observer.follow({"curie:42161": Step(carried=carried, screened=True)})
    screened = sight.seen["curie:42161"]
    assert screened.screen is not None
    assert screened.carried is not None
    state = VenueState(accounts=(), instruments=(), quotes=())
    full = Seen(found=Found(), state=state, carried=carried)
    for case in (
        Case(full, None, stands=True),
        Case(screened, None),
        Case(full, Step(carried=carried, screened=True), stands=True),
        Case(full, Step(carried=carried, screened=False)),
        Case(screened, Step(carried=screened.carried, screened=True), stands=True),
        Case(screened, Step(carried=carried, screened=True)),
    ):
        steps = {} if case.step is None else {"curie:42161": case.step}
        assert shows_all({"curie:42161": case.seen}, steps) is case.stands
