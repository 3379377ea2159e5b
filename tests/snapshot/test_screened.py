"""Screened looks on the venues' own bytecode: along random paths nobody who may be liquidated is left out."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest

from keeper.devnet.bulk import seed_many
from keeper.devnet.scenario import SPOT, OptionType
from keeper.model.book import Account
from keeper.model.reads import Address
from keeper.model.snapshot import Gap, Snapshot
from keeper.model.units import ONE, Wad
from keeper.policy.decide import decide
from keeper.snapshot.carried import Carried
from keeper.snapshot.observe import Observer, Sight
from keeper.snapshot.venue import Seen, Step
from tests.snapshot.conftest import Watch
from tests.support.chains import Chains
from tests.support.rpc_proxy import Exchange, Reply, answered, refused

LYRA, CURIE = "lyra:10", "curie:42161"


@dataclass
class Follower:
    """Looks with the screen, and holds each look against a full read at the same blocks by somebody else."""

    watch: Watch
    front: Observer
    back: Observer
    carried: dict[str, Carried] = field(default_factory=dict)

    def look(self, *, screened: bool = True) -> Sight:
        sight = self.front.follow({v: Step(carried=c, screened=screened) for v, c in self.carried.items()})
        for venue, seen in sight.seen.items():
            assert seen.carried is not None
            self.carried[venue] = seen.carried
        return sight

    def truth(self) -> Mapping[str, Seen]:
        found = self.back.audit(self.carried)
        assert not [gap for gap in found.values() if isinstance(gap, Gap)]
        return {venue: seen for venue, seen in found.items() if isinstance(seen, Seen)}


@pytest.fixture
def follower(watch: Watch) -> Follower:
    found = Follower(watch, watch.observer(), watch.witness())
    first = found.look()
    assert first.snapshot.screens == ()
    assert {v: len(c.accounts) for v, c in found.carried.items()} == {
        v: len(s.state.accounts) for v, s in first.seen.items()
    }
    return found


def liquidatable(accounts: tuple[Account, ...]) -> set[str]:
    return {a.id for a in accounts if a.liquidatable}


def everything(truth: Mapping[str, Seen]) -> tuple[Account, ...]:
    return tuple(a for seen in truth.values() for a in seen.state.accounts)


def changes(chains: Chains, chance: random.Random) -> dict[str, Callable[[], object]]:
    """What strangers may do; each is an event of its venue."""
    lyra, curie, actor = chains.lyra, chains.curie, chains.actor
    token, market, vault, house = (
        lyra["OptionToken"],
        lyra["OptionMarket"],
        curie["Vault"],
        curie["ClearingHouse"],
    )
    usdc = curie["SettlementToken"].address
    wallet = Address("0x" + "cd" * 20)

    def position(owner: str, kind: OptionType) -> tuple[int, ...]:
        held: list[tuple[int, ...]] = token.call("getOwnerPositions", actor(owner))
        return next(p for p in held if p[2] == kind)

    def split() -> None:
        key, _, _, amount, collateral, _ = position("hans", OptionType.SHORT_PUT_QUOTE)
        token.send("split", key, amount // 2, collateral // 2, actor("hans"), sender=actor("hans"))

    def merge() -> None:
        puts = [p[0] for p in token.call("getOwnerPositions", actor("hans")) if p[2] == 4]
        token.send("merge", puts[:2], sender=actor("hans"))

    def give() -> None:
        call = position("gina", OptionType.SHORT_CALL_QUOTE)
        token.send("transferFrom", actor("gina"), wallet, call[0], sender=actor("gina"))

    def cover() -> None:
        put = position("emil", OptionType.SHORT_PUT_QUOTE)
        market.send("addCollateral", put[0], 50 * ONE, sender=actor("emil"))

    def trade() -> None:
        size = Wad(chance.choice((-3, -1, 1, 2)) * ONE)
        curie.trade(actor(chance.choice(("iris", "jack", "nils"))), "ETH", size)

    def withdraw() -> None:
        vault.send("withdraw", usdc, 100 * 10**6, sender=actor("mona"))

    def make() -> None:
        curie.add_liquidity(
            actor("mona"), "ETH", low=1_000, high=4_000, base=Wad(ONE), quote=Wad(2_000 * ONE)
        )

    return {
        "split": split,
        "merge": merge,
        "give": give,
        "cover": cover,
        "open": lambda: lyra.open(actor("anna"), OptionType.LONG_CALL, 9, Wad(ONE), Wad(0)),
        "trade": trade,
        "deposit": lambda: curie.deposit(actor("olga"), 40),
        "withdraw": withdraw,
        "settle": lambda: house.send("settleAllFunding", actor("olga"), sender=actor("olga")),
        "make": make,
    }


@pytest.mark.devnet
@pytest.mark.parametrize("seed", [1, 2])
def test_along_a_random_path_nobody_is_missed(follower: Follower, seed: int) -> None:
    """Prices jump, hours pass, strangers act; every account is what it was carried as, and measured alike."""
    chains, chance = follower.watch.chains, random.Random(seed)
    seed_many(chains.world, options=30, traders=20)
    follower.look()
    prices = {name: price / ONE for name, price in SPOT.items()}
    acts = changes(chains, chance)
    path = [*acts] if seed == 1 else ["trade", "cover", "trade"]
    for n in range(0, 3 * len(path) // 2, 3):
        path.insert(n, "")
    met: set[str] = set()
    unread = 0
    for step, act in enumerate(path):
        if act:
            acts[act]()
        if step % 4 == 3:
            chains.warp(chance.randint(600, 30_000))
        else:
            prices = {n: p * chance.uniform(0.92, 1.05) for n, p in prices.items()}
            chains.move({n: Wad(int(p) * ONE) for n, p in prices.items()})
        sight, truth = follower.look(), follower.truth()
        where = f"step {step}: {act or 'prices only'}"
        assert {v: s.differences for v, s in truth.items()} == {LYRA: (), CURIE: ()}, where
        assert liquidatable(everything(truth)) == liquidatable(sight.snapshot.accounts), where
        met |= liquidatable(sight.snapshot.accounts)
        unread += sum(screen.unread for screen in sight.snapshot.screens)
        if not act:
            assert unexpected(follower, sight) == [], where
    assert met, "the path must make somebody liquidatable"
    assert unread > 40 * len(path)


def unexpected(follower: Follower, sight: Sight) -> list[str]:
    """Accounts that were read after nothing but prices had moved, and are far from their line."""
    ours = {*follower.watch.settings.owners(), follower.watch.chains.actor("arbitrageur")}
    return [
        account.id
        for account in sight.snapshot.accounts
        if account.owner not in ours
        and account.venue.equity > 1.011 * account.venue.maintenance
        and account.key in follower.carried[f"{account.protocol}:{account.chain_id}"].holdings
    ]


@pytest.mark.devnet
def test_the_plan_of_a_screened_snapshot_does_what_that_of_a_full_one_does(follower: Follower) -> None:
    watch = follower.watch
    watch.chains.move()
    sight = follower.look()
    full: Snapshot = watch.witness().observe()
    assert sight.snapshot.blocks == full.blocks
    assert len(sight.snapshot.accounts) < len(full.accounts)
    assert set(sight.snapshot.accounts) <= set(full.accounts)
    assert sum(s.unread for s in sight.snapshot.screens) == len(full.accounts) - len(sight.snapshot.accounts)
    ours, theirs = (decide(s, watch.settings.params()).plan for s in (sight.snapshot, full))
    assert ours.actions == theirs.actions
    assert {a.kind for a in ours.actions} >= {"liquidate", "move_collateral", "hedge"}


@pytest.mark.devnet
def test_boards_past_their_expiry_are_settled_by_the_whole_count(follower: Follower) -> None:
    watch = follower.watch
    watch.chains.warp(14 * 86_400 + 600)
    boards = follower.look().snapshot.boards
    assert boards == watch.witness().observe().boards
    assert any(board.open_positions for board in boards)
    watch.chains.lyra["OptionMarket"].send("settleExpiredBoard", 1)
    boards = follower.look().snapshot.boards
    assert boards == watch.witness().observe().boards
    assert any(board.settled and board.open_positions for board in boards)


@pytest.mark.devnet
def test_a_reorg_below_what_was_carried_is_followed_by_a_full_read(follower: Follower) -> None:
    watch = follower.watch
    node = watch.chains.node("arbitrum")
    kept = node.snapshot()
    watch.chains.curie.trade(watch.chains.actor("iris"), "ETH", Wad(ONE))
    follower.look()
    node.revert(kept)
    for _ in range(3):
        node.warp(7)
    sight = follower.look()
    assert sight.seen[CURIE].screen is None
    assert follower.carried[CURIE].full_read == follower.carried[CURIE].at
    assert sight.seen[LYRA].screen is not None
    assert {v: s.differences for v, s in follower.truth().items()} == {LYRA: (), CURIE: ()}


def swaps(price: Wad, lie: Wad) -> Callable[[Exchange], Reply]:
    """Tell another price wherever it stands in an answer."""
    truth, other = (f"{p:064x}".encode() for p in (price, lie))
    return lambda exchange: Reply(exchange.forward().body.replace(truth, other))


@pytest.mark.faults
def test_events_that_were_never_told_are_found_by_the_full_read(follower: Follower) -> None:
    watch = follower.watch
    watch.proxies[42161].fault(answered([]), "eth_getLogs")
    iris = watch.chains.actor("iris")
    watch.chains.curie.trade(iris, "ETH", Wad(ONE))
    assert iris not in {a.owner for a in follower.look().snapshot.accounts}
    truth = follower.truth()
    assert truth[CURIE].differences == (f"{iris} holds something else", *measured_otherwise(truth, iris))
    assert truth[LYRA].differences == ()


def measured_otherwise(truth: Mapping[str, Seen], who: str) -> tuple[str, ...]:
    return tuple(d for d in truth[CURIE].differences if d == f"{who} is measured otherwise by its contract")


@pytest.mark.faults
def test_a_lie_about_a_price_is_found_by_the_full_read(follower: Follower) -> None:
    """A hundredth more would hide whoever is about to fall below his line."""
    watch = follower.watch
    spot = watch.chains.lyra.spot()
    watch.proxies[10].fault(swaps(spot, Wad(spot * 101 // 100)), "eth_call")
    follower.look()
    truth = follower.truth()
    assert truth[CURIE].differences == ()
    assert len(truth[LYRA].differences) >= 5
    assert all(d.endswith("measured otherwise by its contract") for d in truth[LYRA].differences)


@pytest.mark.faults
def test_events_that_cannot_be_read_leave_a_gap_and_are_read_next_time(follower: Follower) -> None:
    watch = follower.watch
    iris = watch.chains.actor("iris")
    watch.chains.curie.trade(iris, "ETH", Wad(ONE))
    watch.proxies[42161].fault(refused(-32000, "no logs today"), "eth_getLogs")
    sight = follower.look()
    assert [(g.what, g.key) for g in sight.snapshot.gaps] == [("venue", CURIE)]
    assert CURIE not in sight.seen
    watch.proxies[42161].clear()
    sight = follower.look()
    assert iris in {a.owner for a in sight.snapshot.accounts}
    assert sight.snapshot.gaps == ()
    assert {v: s.differences for v, s in follower.truth().items()} == {LYRA: (), CURIE: ()}


@pytest.mark.faults
def test_a_look_in_doubt_reads_everything_and_says_what_it_found(follower: Follower) -> None:
    watch = follower.watch
    iris = watch.chains.actor("iris")
    watch.proxies[42161].fault(answered([]), "eth_getLogs")
    watch.chains.curie.trade(iris, "ETH", Wad(ONE))
    sight = follower.look(screened=False)
    assert sight.snapshot.screens == ()
    assert sight.seen[CURIE].differences[0] == f"{iris} holds something else"
    assert sight.seen[LYRA].compared
    assert sight.seen[LYRA].differences == ()
    watch.proxies[42161].clear()
    watch.chains.curie.trade(iris, "ETH", Wad(ONE))
    sight = follower.look(screened=False)
    assert (sight.seen[CURIE].compared, sight.seen[CURIE].differences) == (True, ())
