"""Screened looks and the full read behind them: when everything is read, and until when."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pytest

from keeper.devnet.scenario import DROP
from keeper.model.reads import Address, Reads
from keeper.model.snapshot import BlockRef, Snapshot, VenueState
from keeper.model.units import Wad
from keeper.model.venue import Venue
from keeper.policy.decide import decide
from keeper.protocols.adapter import Found
from keeper.protocols.answers import account_gap, venue_gap
from keeper.protocols.curie import Curie
from keeper.protocols.registry import ADAPTERS
from keeper.service.screening import Screening, ScreenRules
from keeper.snapshot.observe import Observer
from tests.snapshot.conftest import Watch
from tests.support.rpc_proxy import Exchange, Reply, answered, dropped

LYRA, CURIE = "lyra:10", "curie:42161"
EVERY_S = 10.0


class Blind(Curie):
    """Cannot read some accounts, or nothing at all."""

    def __init__(self) -> None:
        self.unread: set[str] = set()
        self.dark = False

    def read(self, venue: Venue, found: Found, wallets: Sequence[Address], at: BlockRef) -> Reads[VenueState]:
        state = yield from super().read(venue, found, wallets, at)
        if self.dark:
            return VenueState(accounts=(), instruments=(), quotes=(), gaps=(venue_gap(venue, "withheld"),))
        gaps = [account_gap(venue, key, "withheld") for key in sorted(self.unread & set(found.keys))]
        kept = tuple(a for a in state.accounts if a.key not in self.unread)
        return replace(state, accounts=kept, gaps=(*state.gaps, *gaps))


@dataclass
class Bench:
    """A screening over both chains, the means to disturb it, and its clock."""

    watch: Watch
    screening: Screening
    blind: Blind
    now: list[float]

    def look(self) -> Snapshot:
        return self.screening.observe()

    def unread(self, snapshot: Snapshot) -> set[str]:
        """Venues of which something was not read."""
        return {screen.venue for screen in snapshot.screens if screen.unread}

    def trade(self) -> Address:
        iris = self.watch.chains.actor("iris")
        self.watch.chains.curie.trade(iris, "ETH", Wad(10**18))
        return iris


def screen_gaps(snapshot: Snapshot) -> dict[str, str]:
    return {gap.key: gap.reason for gap in snapshot.gaps if gap.what == "screen"}


@pytest.fixture
def make(watch: Watch) -> Callable[..., Bench]:
    def built(
        *,
        min_accounts: int = 1,
        full_read_s: float = EVERY_S,
        kind: type[Screening] = Screening,
        due: Callable[[], None] = lambda: None,
    ) -> Bench:
        blind, now = Blind(), [1_000.0]
        venues = [
            (v, blind if v.protocol == "curie" else ADAPTERS[v.protocol]()) for v in watch.settings.venues()
        ]
        front = Observer(
            watch.clients(),
            venues,
            watch.settings.owners(),
            staleness=watch.settings.params().staleness,
            natives=dict.fromkeys(watch.proxies, "ETH"),
            margin=0.01,
        )
        rules = ScreenRules(full_read_s=full_read_s, min_accounts=min_accounts)
        return Bench(watch, kind(front, watch.witness(), rules, due=due, clock=lambda: now[0]), blind, now)

    return built


@pytest.fixture
def bench(make: Callable[..., Bench]) -> Bench:
    found = make()
    assert found.look().screens == ()
    assert found.unread(found.look()) == {LYRA, CURIE}
    return found


@pytest.mark.devnet
def test_a_full_read_that_agrees_changes_nothing_but_the_base(bench: Bench) -> None:
    before = bench.look()
    iris = bench.trade()
    assert iris in {a.owner for a in bench.look().accounts}
    bench.screening.audit()
    after = bench.look()
    assert bench.unread(after) == {LYRA, CURIE}
    bases = [{s.venue: s.full_read for s in snapshot.screens} for snapshot in (before, after)]
    assert bases[1][CURIE].number > bases[0][CURIE].number
    assert (dict(bench.screening.doubts), after.gaps) == ({}, ())


@pytest.mark.devnet
def test_a_venue_of_few_accounts_is_read_whole(make: Callable[..., Bench]) -> None:
    bench = make(min_accounts=18)
    for _ in range(3):
        snapshot = bench.look()
        assert {s.venue for s in snapshot.screens} <= {LYRA}
    assert bench.unread(snapshot) == {LYRA}
    witness = bench.watch.witness().observe()
    mine = [a for a in snapshot.accounts if a.protocol == "curie"]
    assert mine == [a for a in witness.accounts if a.protocol == "curie"]


@pytest.mark.faults
def test_lost_events_make_everything_be_read_until_it_agrees(bench: Bench) -> None:
    bench.watch.proxies[42161].fault(answered([]), "eth_getLogs")
    iris = bench.trade()
    assert iris not in {a.owner for a in bench.look().accounts}, "the screen was not told"
    bench.screening.audit()
    doubtful = bench.look()
    assert bench.unread(doubtful) == {LYRA}
    assert iris in {a.owner for a in doubtful.accounts}
    assert f"{iris} holds something else" in screen_gaps(doubtful)[CURIE]
    bench.trade()  # untold again: the next look contradicts the one before
    assert CURIE in screen_gaps(bench.look())
    assert CURIE in bench.screening.doubts
    bench.watch.proxies[42161].clear()
    bench.trade()
    assert CURIE in screen_gaps(bench.look())
    assert dict(bench.screening.doubts) == {}
    snapshot = bench.look()
    assert bench.unread(snapshot) == {LYRA, CURIE}
    assert snapshot.gaps == ()


def higher(price: Wad, percent: int) -> Callable[[Exchange], Reply]:
    truth, lie = (f"{p:064x}".encode() for p in (price, price * (100 + percent) // 100))
    return lambda exchange: Reply(exchange.forward().body.replace(truth, lie))


@pytest.mark.faults
def test_a_small_lie_about_a_price_is_found_behind(bench: Bench) -> None:
    """Dora falls below her line; a price that is 4 % too high hides her, and passes every gate."""
    watch = bench.watch
    watch.chains.move({"ETH": Wad(DROP["ETH"] * 101 // 100)})
    spot = watch.chains.lyra.spot()
    watch.proxies[10].fault(higher(spot, 4), "eth_call")
    bench.look()
    bench.screening.audit()
    watch.proxies[10].clear()
    found = bench.look()
    assert "measured otherwise" in screen_gaps(found)[LYRA]
    assert LYRA not in bench.unread(found)
    truth = {a.id for a in watch.witness().observe().accounts if a.liquidatable}
    assert truth & {a.id for a in found.accounts if a.liquidatable} == truth
    bench.look()
    assert dict(bench.screening.doubts) == {}


@pytest.mark.faults
def test_a_price_that_is_not_trusted_stops_actions_and_the_screen(bench: Bench) -> None:
    watch = bench.watch
    watch.chains.move()
    spot = watch.chains.lyra.spot()
    watch.proxies[10].fault(higher(spot, 30), "eth_call")
    for _ in range(3):
        found = bench.look()
        assert ("quote", "ETH") in {(g.what, g.key) for g in found.gaps}
        assert not [a for a in decide(found, watch.settings.params()).plan.actions if a.kind == "liquidate"]
        assert "no trusted price of ETH" in bench.screening.doubts[LYRA]
    assert bench.unread(found) == set(), "everything is read while the price is in doubt"
    watch.proxies[10].clear()
    bench.look()
    bench.look()
    assert dict(bench.screening.doubts) == {}
    assert bench.unread(bench.look()) == {LYRA, CURIE}


@pytest.mark.devnet
def test_a_changed_account_that_cannot_be_read_is_a_gap_and_a_doubt(bench: Bench) -> None:
    iris = bench.trade()
    bench.blind.unread.add(iris)
    found = bench.look()
    assert [(g.what, g.key) for g in found.gaps] == [("account", f"{CURIE}:{iris}")]
    assert iris in bench.screening.doubts[CURIE]
    found = bench.look()
    assert bench.unread(found) == {LYRA}
    assert {g.what for g in found.gaps} == {"account", "screen"}
    # A full read cannot read it either: it stays a gap, and the others are followed again.
    found = bench.look()
    assert bench.unread(found) == {LYRA, CURIE}
    assert [(g.what, g.key) for g in found.gaps] == [("account", f"{CURIE}:{iris}")]
    bench.blind.unread.clear()
    found = bench.look()
    assert iris in {a.owner for a in found.accounts}
    assert found.gaps == ()


@pytest.mark.devnet
def test_a_venue_that_shows_nothing_takes_nothing_from_what_is_carried(bench: Bench) -> None:
    unread = {s.venue: s.unread for s in bench.look().screens}
    bench.blind.dark = True
    iris = bench.trade()
    found = bench.look()
    assert [(g.what, g.key) for g in found.gaps] == [("venue", CURIE)]
    assert not [a for a in found.accounts if a.protocol == "curie"]
    bench.blind.dark = False
    found = bench.look()
    assert iris in {a.owner for a in found.accounts}
    assert {s.venue: s.unread for s in found.screens} == {LYRA: unread[LYRA], CURIE: unread[CURIE] - 1}
    bench.screening.audit()
    assert bench.look().gaps == ()


@pytest.mark.devnet
def test_a_first_look_that_shows_nothing_is_nothing_to_go_on_from(make: Callable[..., Bench]) -> None:
    bench = make()
    bench.blind.dark = True
    bench.look()
    bench.blind.dark = False
    assert bench.unread(bench.look()) == {LYRA}
    assert bench.unread(bench.look()) == {LYRA, CURIE}


@pytest.mark.faults
def test_without_full_reads_the_screen_is_not_believed_for_long(bench: Bench) -> None:
    world = bench.watch.chains.world
    bench.now[0] += 100 * EVERY_S
    assert bench.unread(bench.look()) == {LYRA, CURIE}, "nothing has happened since the last full read"
    for _ in range(4):
        world.align()
        bench.now[0] += EVERY_S
        assert bench.unread(bench.look()) == {LYRA, CURIE}
    bench.now[0] += 1.0
    found = bench.look()
    assert bench.unread(found) == set()
    assert screen_gaps(found).keys() == {LYRA, CURIE}
    assert "no full read has agreed for 31 s" in screen_gaps(found)[LYRA]
    world.align()
    found = bench.look()
    assert bench.unread(found) == {LYRA, CURIE}, "the look itself was a full read that agreed"
    assert found.gaps == ()


@pytest.mark.faults
def test_a_chain_that_is_away_is_followed_from_where_it_was_left(bench: Bench) -> None:
    bench.watch.proxies[42161].fault(dropped())
    iris = bench.trade()
    assert ("chain", "42161") in {(g.what, g.key) for g in bench.look().gaps}
    bench.watch.proxies[42161].clear()
    found = bench.look()
    assert iris in {a.owner for a in found.accounts}
    assert bench.unread(found) == {LYRA, CURIE}
    bench.screening.audit()
    assert bench.look().gaps == ()


@pytest.mark.faults
def test_a_reorg_starts_over_and_a_full_read_of_the_lost_branch_says_nothing(bench: Bench) -> None:
    node = bench.watch.chains.node("arbitrum")
    kept = node.snapshot()
    bench.trade()
    bench.look()
    node.revert(kept)
    node.warp(5)
    node.warp(5)
    bench.screening.audit()  # of a block that is no more
    found = bench.look()
    assert bench.unread(found) == {LYRA}
    assert dict(bench.screening.doubts) == {}
    found = bench.look()
    assert bench.unread(found) == {LYRA, CURIE}
    bench.screening.audit()
    assert bench.look().gaps == ()


@pytest.mark.faults
def test_a_full_read_that_disagrees_does_not_wait_for_a_head(make: Callable[..., Bench]) -> None:
    due = threading.Event()
    bench = make(due=due.set)
    bench.look()
    bench.look()
    requests = bench.watch.requests()
    bench.screening.audit()
    bench.screening.audit()
    assert not due.is_set()
    assert bench.watch.requests() == requests, "the thread has connections of its own"
    bench.watch.proxies[42161].fault(answered([]), "eth_getLogs")
    bench.trade()
    bench.look()
    bench.screening.audit()
    assert due.is_set()


@pytest.mark.devnet
def test_the_thread_reads_behind_and_ends(make: Callable[..., Bench]) -> None:
    read = threading.Event()

    class Told(Screening):
        def audit(self) -> None:
            super().audit()
            read.set()

    bench = make(kind=Told, full_read_s=0.01)
    bench.look()
    with bench.screening.running():
        assert read.wait(30.0)
    assert not [t for t in threading.enumerate() if t.name == "full-read"]
    bench.look()
    assert dict(bench.screening.doubts) == {}
