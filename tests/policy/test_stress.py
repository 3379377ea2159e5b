"""Stress: profit is the moved market's, liquidations follow the venues' rules, and gaps stay gaps."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper.model.book import Account, Requirement
from keeper.model.errors import UnfitValueError
from keeper.model.margin import Role
from keeper.model.params import PriceHistory
from keeper.model.snapshot import Snapshot
from keeper.model.stress import ProfileStress, Shock, StressKind, StressResult
from keeper.model.units import floor_to_wad, to_float
from keeper.policy.decide import margin_profiles
from keeper.policy.rule import NOW, Factors
from keeper.policy.stress import stress
from keeper.policy.stress_table import UserShock
from keeper.policy.venue_rule import market_of, rule_of
from keeper.risk.stress_days import LIBRARY
from tests.support.books import (
    CALL_ID,
    NOW_S,
    STRANGER,
    bounty,
    curie_account,
    lyra_short,
    params,
    price_history,
    snapshot,
    wad,
)


def honest(account: Account) -> Account:
    """The account with the requirement that its venue's rule makes of it."""
    rule = rule_of(account, market_of(snapshot([account])))
    assert rule is not None
    now = rule(NOW)
    return dataclasses.replace(
        account,
        venue=Requirement(
            equity=account.venue.equity,
            initial=floor_to_wad(float(now.initial_usd[0])),
            maintenance=floor_to_wad(float(now.maintenance_usd[0])),
        ),
    )


PERP = curie_account(size=-3.0, cash=4_000.0)
PUT = honest(lyra_short("1", size=-8.0, collateral=4_500.0))
CALL = honest(lyra_short("2", size=-5.0, instrument=CALL_ID, in_base=True, collateral=3.0))
BOOK = (PERP, PUT, CALL)


def desk(
    *accounts: Account, shocks: tuple[UserShock, ...] = (), history: PriceHistory | None = None
) -> ProfileStress:
    return stress(snapshot(accounts), params(history=history), shocks=shocks)[0]


def row(found: ProfileStress, kind: StressKind, name: str = "") -> StressResult:
    (result,) = [r for r in found.results if r.kind is kind and name in r.name]
    return result


def after(market: Snapshot, shock: Shock) -> Snapshot:
    """The snapshot itself, moved: indices, references, marks and every vol of the surface."""
    factor = {"index": 1.0 + shock.spot, "reference": 1.0 + shock.spot}
    factor["mark"] = (1.0 + shock.spot) * (1.0 + shock.perp_basis)
    (surface,) = market.surfaces
    days = (surface.slices[0].expiry_s - NOW_S) / 86_400
    vol = 1.0 + shock.vol * (30.0 / days) ** (0.3 if days < 30 else 0.13)
    slices = tuple(
        dataclasses.replace(s, vols=tuple(wad(to_float(v) * vol) for v in s.vols)) for s in surface.slices
    )
    return dataclasses.replace(
        market,
        quotes=tuple(
            dataclasses.replace(q, price=floor_to_wad(to_float(q.price) * factor[q.kind]))
            for q in market.quotes
        ),
        surfaces=(dataclasses.replace(surface, slices=slices),),
    )


def test_every_named_stress_is_there() -> None:
    found = desk(*BOOK)
    days = [r.name for r in found.results if r.kind is StressKind.DAY]
    assert days == [f"stress/{day.name}" for day in LIBRARY]
    assert {"stress/2024-08-05", "stress/2026-02-05"} <= set(days)
    assert sum(r.kind is StressKind.BASIS for r in found.results) == 8
    assert {r.name for r in found.results if r.kind is StressKind.DARK} == {"dark/10", "dark/42161"}
    assert any(r.kind is StressKind.GRID for r in found.results)
    assert [r.buffer for r in found.reverse] == ["house", "venue"]


@pytest.mark.parametrize("day", ["2024-05-20", "2024-08-05", "2025-02-03"])
def test_profit_and_requirement_are_those_of_the_moved_market(day: str) -> None:
    """These days move no skew and no forward, so a moved snapshot can be priced from the start."""
    result = row(desk(*BOOK), StressKind.DAY, day)
    before = margin_profiles(snapshot(BOOK), params())[0]
    moved = margin_profiles(after(snapshot(BOOK), result.shocks[0]), params())[0]
    assert result.pnl_usd == pytest.approx(moved.equity_usd - before.equity_usd, rel=1e-9, abs=1e-6)
    assert result.equity_usd == pytest.approx(moved.equity_usd, rel=1e-9)
    assert result.house_initial_usd == pytest.approx(moved.house.initial_usd, rel=1e-7)
    assert result.house_maintenance_usd == pytest.approx(moved.house.maintenance_usd, rel=1e-7)


@settings(max_examples=25, deadline=None)
@given(st.floats(-0.8, 1.5), st.floats(-0.9, 2.0), st.floats(-20, 20).map(lambda x: round(x, 3)))
def test_any_shock_of_any_book_is_the_moved_market(spot: float, vol: float, size: float) -> None:
    book = (curie_account(size=size), PUT, CALL)
    result = row(desk(*book, shocks=(UserShock(underlying="ETH", spot=spot, vol=vol),)), StressKind.SHOCK)
    before = margin_profiles(snapshot(book), params())[0]
    moved = margin_profiles(after(snapshot(book), result.shocks[0]), params())[0]
    assert result.pnl_usd == pytest.approx(moved.equity_usd - before.equity_usd, rel=1e-6, abs=1e-3)


@settings(max_examples=25, deadline=None)
@given(st.floats(-0.8, 1.5))
def test_who_would_be_liquidatable_is_each_venues_own_word(spot: float) -> None:
    result = row(desk(*BOOK, shocks=(UserShock(underlying="ETH", spot=spot),)), StressKind.SHOCK)
    market = market_of(snapshot(BOOK))
    factors = Factors(n=1, spot={"ETH": np.array([1.0 + spot])})
    excess = {}
    for account in BOOK:
        rule = rule_of(account, market)
        assert rule is not None
        excess[account.id] = float(rule(factors).excess_usd[0])
    assert set(result.liquidatable) == {i for i, left in excess.items() if left < 0.0}
    assert result.newly == result.liquidatable
    assert result.weakest is not None
    assert (result.weakest.health < 1.0) == bool(result.liquidatable)


def test_a_profit_elsewhere_does_not_save_an_account_at_its_venue() -> None:
    hedged = desk(curie_account(size=-30.0, cash=200_000.0), PUT)
    result = row(hedged, StressKind.DAY, "2024-08-05")
    assert result.pnl_usd > 0.0
    assert result.newly == (PUT.id,)


def test_the_worst_of_the_grid_is_the_scan() -> None:
    found = desk(*BOOK)
    scan = margin_profiles(snapshot(BOOK), params())[0].house
    worst = min((r for r in found.results if r.kind is StressKind.GRID), key=lambda r: r.pnl_usd)
    assert worst.pnl_usd == pytest.approx(-scan.scan_usd)
    assert worst.name == scan.worst_scenario
    assert worst.equity_usd == pytest.approx(found.equity_usd + worst.pnl_usd / worst.weight)


def test_basis_moves_perps_against_their_spot() -> None:
    found = desk(curie_account(size=10.0))
    assert row(found, StressKind.BASIS, "perp-1/future+0").pnl_usd == pytest.approx(-0.01 * 18_000.0)
    assert row(found, StressKind.BASIS, "perp+1/future+0").pnl_usd == pytest.approx(0.01 * 18_000.0)
    assert row(found, StressKind.BASIS, "perp+0/future-1").pnl_usd == pytest.approx(0.0, abs=1e-9)


def test_a_dark_chain_gives_no_gains_and_stretches_its_losses() -> None:
    long, short = curie_account(size=10.0), honest(lyra_short("1", size=-8.0, collateral=12_800.0))
    hedge = curie_account(size=-4.0)
    both, alone = desk(hedge, short), desk(short)
    scan = margin_profiles(snapshot([short]), params())[0].house.scan_usd
    dark = row(both, StressKind.DARK, "42161")
    assert dark.pnl_usd == pytest.approx(-scan)
    assert dark.addon_usd is not None
    assert dark.addon_usd > 0.0
    assert dark.house_initial_usd > both.house_initial_usd
    lone = row(alone, StressKind.DARK, "10")
    assert lone.pnl_usd == pytest.approx(-scan * math.sqrt(25.0 / 24.0))
    assert long.chain_id != short.chain_id


def test_the_nearest_failure_at_a_venue_lies_on_its_line() -> None:
    found = desk(*BOOK)
    (venue,) = [r for r in found.reverse if r.buffer == "venue"]
    assert venue.result is not None
    assert venue.distance_sd is not None
    assert venue.result.weakest is not None
    assert venue.result.weakest.health == pytest.approx(1.0, abs=1e-9)
    lines = [t.distance for t in margin_profiles(snapshot(BOOK), params())[0].transfer if t.distance]
    assert abs(venue.result.shocks[0].spot) == pytest.approx(min(lines), abs=2e-6)
    # One underlying: the distance is the log move over the day's vol, the highest of today's options.
    sd = 0.9 / math.sqrt(365.0)
    assert venue.distance_sd == pytest.approx(abs(math.log1p(venue.result.shocks[0].spot)) / sd)
    assert found.covariance == "assumed"


def test_the_house_buffer_is_consumed_exactly() -> None:
    found = desk(curie_account(size=10.0, cash=5_000.0), history=price_history("ETH"))
    (house,) = [r for r in found.reverse if r.buffer == "house"]
    assert found.covariance == "history"
    assert house.result is not None
    assert house.buffer_usd == pytest.approx(found.equity_usd - found.house_maintenance_usd)
    assert house.result.pnl_usd == pytest.approx(-house.buffer_usd, rel=1e-9)
    assert house.result.shocks[0].spot < 0.0


def test_a_history_speaks_only_for_what_it_holds() -> None:
    book = (curie_account(size=10.0, cash=5_000.0),)
    assert desk(*book, history=price_history("BTC", "ETH")).covariance == "history"
    assert desk(*book, history=price_history("BTC")).covariance == "assumed"


def test_a_buffer_out_of_reach_has_no_move() -> None:
    (house, _) = desk(curie_account(size=1.0, cash=1e9)).reverse
    assert (house.distance_sd, house.breach_probability, house.result) == (None, None, None)


def test_an_account_that_fails_today_is_no_news() -> None:
    failing = curie_account(size=10.0, cash=1_000.0, liquidatable=True, bounty=bounty())
    found = desk(failing)
    assert found.liquidatable == (failing.id,)
    crash = row(found, StressKind.DAY, "2024-08-05")
    assert (crash.liquidatable, crash.newly) == ((failing.id,), ())
    venue = found.reverse[1]
    assert (venue.distance_sd, venue.buffer_usd < 0.0) == (0.0, True)


def test_an_account_without_a_rule_is_neither_healthy_nor_failing() -> None:
    strange = dataclasses.replace(curie_account(), id="other:1:x", protocol="other", chain_id=1)
    market = dataclasses.replace(snapshot([strange]), blocks=snapshot([]).blocks)
    result = row(stress(market, params())[0], StressKind.DAY, "2024-08-05")
    assert (result.unknown, result.liquidatable, result.weakest) == ((strange.id,), (), None)
    assert result.pnl_usd < 0.0


def test_an_unpriced_account_is_named_and_counted_nowhere() -> None:
    found = stress(snapshot([PUT, PERP], without=["surface"]), params())[0]
    assert found.unpriced == (PUT.id,)
    assert found.venue_maintenance_usd > to_float(PERP.venue.maintenance)
    assert {r.pnl_usd for r in found.results} == {r.pnl_usd for r in desk(PERP).results}
    assert all(PUT.id in r.unknown for r in found.results)


def test_a_day_without_a_record_moves_by_proxy_and_says_so() -> None:
    result = row(desk(PERP), StressKind.DAY, "2020-03-12")
    assert result.proxied == ("ETH",)
    assert result.shocks[0].spot == pytest.approx(4857.1 / 7938.05 - 1.0)
    assert row(desk(PERP), StressKind.DAY, "2024-08-05").proxied == ()


def test_strangers_have_no_buffer_of_ours_to_lose() -> None:
    stranger = curie_account(owner=STRANGER, size=5.0, cash=1_000.0)
    ours, watched = stress(snapshot([PERP, stranger]), params())
    assert (ours.name, watched.role) == ("desk", Role.WATCH)
    assert watched.reverse == ()
    assert row(watched, StressKind.DAY, "2024-08-05").newly == (stranger.id,)
    assert row(ours, StressKind.DAY, "2024-08-05").newly == ()


def test_an_empty_profile_and_an_empty_snapshot_are_no_error() -> None:
    assert desk().results == ()
    bare = dataclasses.replace(snapshot([]), instruments=(), quotes=(), surfaces=())
    assert [p.results for p in stress(bare, params())] == [(), ()]


@pytest.mark.parametrize(
    "shocks",
    [
        (UserShock(underlying="DOGE", spot=-0.1),),
        (UserShock(underlying="ETH", spot=-1.0),),
        (UserShock(underlying="ETH", spot=math.nan),),
        (UserShock(underlying="ETH", spot=-0.1), UserShock(underlying="ETH", spot=0.1)),
    ],
)
def test_unfit_shocks_are_refused(shocks: tuple[UserShock, ...]) -> None:
    with pytest.raises(UnfitValueError, match="shocks"):
        desk(*BOOK, shocks=shocks)
