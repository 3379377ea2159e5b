"""The story, measured on the chains: before the drop, after it, and after a keeper acted."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from keeper.devnet import scenario
from keeper.devnet.contract import MAX
from keeper.devnet.errors import RevertError
from keeper.devnet.scenario import OptionType
from keeper.devnet.settings import HEDGE_BANDS
from keeper.model.units import ONE, Wad
from tests.support.chains import Chains

pytestmark = pytest.mark.devnet


@dataclass(frozen=True, slots=True)
class Short:
    """A short option as the chain has it."""

    position_id: int
    owner: str
    kind: OptionType
    strike_id: int
    size: Wad
    collateral: Wad
    health: float


def shorts(chains: Chains) -> Iterator[Short]:
    """Yield every active short with its owner's name."""
    token = chains.lyra["OptionToken"]
    names = {str(address): name for name, address in chains.world.actors.items()}
    for position in token.call("getOptionPositions", list(range(1, token.call("nextId")))):
        position_id, strike_id, kind, size, collateral, state = position
        if state == 1 and kind >= OptionType.SHORT_CALL_BASE:
            required = chains.lyra.min_collateral(kind, strike_id, size)
            owner = chains.lyra.owner_of(position_id)
            yield Short(
                position_id=position_id,
                owner=names[owner],
                kind=OptionType(kind),
                strike_id=strike_id,
                size=size,
                collateral=collateral,
                health=collateral / required,
            )


def desk_puts(chains: Chains) -> dict[int, Short]:
    """Return the desk's short puts by strike."""
    return {
        short.strike_id: short
        for short in shorts(chains)
        if short.owner == "desk" and short.kind is OptionType.SHORT_PUT_QUOTE
    }


def perp_health(chains: Chains, name: str) -> float:
    owner = chains.actor(name)
    value = chains.curie["ClearingHouse"].call("getAccountValue", owner)
    required = chains.curie["AccountBalance"].call("getMarginRequirementForLiquidation", owner)
    return float(value / required)


def desk_delta(chains: Chains, *, with_collateral: bool) -> float:
    """Return the desk's net ETH delta over both chains, with the option deltas of Lyra's own cache."""
    chains.lyra["KeeperHelper"].send("updateAllBoardCachedGreeks")
    delta = 0.0
    for short in shorts(chains):
        if short.owner != "desk":
            continue
        greeks = chains.lyra["OptionGreekCache"].call("getStrikeCache", short.strike_id)[4]
        per_unit = greeks[1] if short.kind is OptionType.SHORT_PUT_QUOTE else greeks[0]
        delta -= short.size / ONE * per_unit / ONE
        if with_collateral and short.kind is OptionType.SHORT_CALL_BASE:
            delta += short.collateral / ONE
    perp = chains.curie["AccountBalance"].call(
        "getTotalPositionSize", chains.actor("desk"), chains.curie.base("ETH")
    )
    return delta + float(perp / ONE)


def test_before_the_move_all_is_well(chains: Chains) -> None:
    assert {node.now_s() for node in chains.world.nodes.values()} == {scenario.READY_S}
    assert chains.lyra.spot() == chains.world.index("ETH") == scenario.SPOT["ETH"]
    for symbol, price in scenario.SPOT.items():
        assert chains.world.mark(symbol) == pytest.approx(price, rel=0.002)
    assert all(short.health > 1.05 for short in shorts(chains))
    assert all(short.health > 1.2 for short in shorts(chains) if short.owner == "desk")
    assert all(perp_health(chains, name) > 1.2 for name in scenario.DEPOSITS_USD)


@pytest.mark.parametrize("with_collateral", [False, True])
def test_the_desk_leaves_its_band_with_the_move(chains: Chains, with_collateral: bool) -> None:
    band = HEDGE_BANDS["ETH"]
    assert abs(desk_delta(chains, with_collateral=with_collateral)) < 0.8 * band
    chains.move()
    assert desk_delta(chains, with_collateral=with_collateral) > 2 * band


def test_after_the_move_each_has_his_part(chains: Chains) -> None:
    ready_s = chains.move()
    assert {node.now_s() for node in chains.world.nodes.values()} == {ready_s}
    assert ready_s - scenario.READY_S < 300
    assert chains.lyra.spot() == chains.world.index("ETH") == scenario.DROP["ETH"]
    for symbol, price in scenario.DROP.items():
        assert chains.world.mark(symbol) == pytest.approx(price, rel=0.005)
    puts = desk_puts(chains)
    assert 1.005 < puts[1].health < 1.045
    assert 1.08 < puts[7].health < 1.18
    assert {short.owner for short in shorts(chains) if short.health < 1} == {"dora"}
    assert 1 < min(short.health for short in shorts(chains) if short.owner == "emil") < 1.15
    below = {name for name in scenario.DEPOSITS_USD if perp_health(chains, name) < 1}
    assert below == {"kurt", "lena"}
    assert 0.5 < perp_health(chains, "kurt") < 1
    assert 0 < perp_health(chains, "lena") < 0.5
    assert 1 < perp_health(chains, "olga") < 1.25


def test_all_is_well_again_when_a_keeper_has_acted(chains: Chains) -> None:
    chains.move()
    desk, curie, lyra = chains.actor("desk"), chains.curie, chains.lyra
    house, market = curie["ClearingHouse"], lyra["OptionMarket"]
    paid = lyra["QuoteAsset"].call("balanceOf", desk)

    short = next(s for s in shorts(chains) if s.health < 1)
    market.send("liquidatePosition", short.position_id, desk, sender=desk)
    reward = lyra["QuoteAsset"].call("balanceOf", desk) - paid
    assert reward > 50 * ONE
    put = desk_puts(chains)[1]
    market.send("addCollateral", put.position_id, put.collateral * 3 // 10, sender=desk)
    for name in ("kurt", "lena"):
        house.send("liquidate(address,address)", chains.actor(name), curie.base("ETH"), sender=desk)
    taken = curie["AccountBalance"].call("getTotalPositionSize", desk, curie.base("ETH"))
    held = next(line.centi for line in scenario.PERPS if line.owner == "desk") / 100
    assert taken == pytest.approx((held + 6 + 3) * ONE, rel=1e-3)
    curie.trade(desk, "ETH", Wad(-int(desk_delta(chains, with_collateral=True) * ONE)))

    assert all(s.health > 1 for s in shorts(chains))
    assert all(perp_health(chains, name) > 1 for name in scenario.DEPOSITS_USD if name != "lena")
    for name in ("kurt", "lena"):
        with pytest.raises(RevertError, match="CH_EAV"):
            house.call("liquidate(address,address)", chains.actor(name), curie.base("ETH"), sender=desk)
    assert abs(desk_delta(chains, with_collateral=True)) < 0.1
    assert perp_health(chains, "desk") > 1.5


def test_the_desk_can_pay_and_nobody_else_is_asked(chains: Chains) -> None:
    desk = chains.actor("desk")
    spenders = (
        (chains.lyra["QuoteAsset"], chains.lyra["OptionMarket"].address, 100_000 * ONE),
        (chains.lyra["BaseAsset"], chains.lyra["OptionMarket"].address, 10 * ONE),
        (chains.curie["SettlementToken"], chains.curie["Vault"].address, 100_000 * 10**6),
    )
    for token, spender, held in spenders:
        assert token.call("balanceOf", desk) == held
        assert token.call("allowance", desk, spender) > MAX // 2


def test_others_are_many_enough(chains: Chains) -> None:
    assert chains.deployment.signer == chains.actor("desk")
    options = {line.owner for line in scenario.OPTIONS} - {"desk"}
    perps = {line.owner for line in scenario.PERPS} - {"desk"}
    assert len(options) >= 6
    assert len(perps | {"paul"}) >= 6
    assert any(chains.curie["AccountBalance"].call("hasOrder", chains.actor(n)) for n in ("maker", "paul"))


@pytest.mark.parametrize("factor", [60, 140])
def test_a_far_move_arrives_too(chains: Chains, factor: int) -> None:
    there = {symbol: Wad(price * factor // 100) for symbol, price in scenario.SPOT.items()}
    chains.move(there)
    assert chains.lyra.spot() == there["ETH"]
    for symbol, price in there.items():
        assert chains.curie.pool_price(symbol) == pytest.approx(price / ONE, rel=1e-5)


def test_time_passes_alike_on_both_chains(chains: Chains) -> None:
    time_s = chains.warp(7_200)
    assert {node.now_s() for node in chains.world.nodes.values()} == {time_s}
    assert time_s == scenario.READY_S + 7_201
    assert chains.world.index("ETH") == scenario.SPOT["ETH"]
    assert chains.lyra["OptionGreekCache"].call("isBoardCacheStale", 1) is False


def test_a_test_leaves_no_trace(chains: Chains) -> None:
    assert {node.now_s() for node in chains.world.nodes.values()} == {scenario.READY_S}
    assert chains.lyra.spot() == scenario.SPOT["ETH"]
