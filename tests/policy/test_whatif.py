"""Hypothetical trades and transfers: nothing changes nothing, a mirror leads back, nonsense is refused."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper.model.book import Account, Position
from keeper.model.margin import AccountRisk, MarginProfile, Role
from keeper.model.snapshot import Snapshot
from keeper.model.units import Wad, to_float
from keeper.policy.decide import margin_profiles
from keeper.policy.rule import NOW
from keeper.policy.valuation import value
from keeper.policy.venue_rule import market_of, rule_of
from keeper.policy.whatif import Move, Trade, WhatIf, whatif
from keeper.policy.whatif_errors import (
    AmbiguousAccountError,
    NoOwnerError,
    NoPriceError,
    NoRuleError,
    NoSuchAccountError,
    NoSuchInstrumentError,
    WhatIfError,
    WrongAccountError,
    WrongAssetError,
)
from tests.policy.test_stress import honest
from tests.support.books import (
    CALL_ID,
    CURIE,
    DESK,
    LYRA,
    PERP_ID,
    PUT_ID,
    STRANGER,
    bounty,
    curie_account,
    lyra_short,
    params,
    snapshot,
    wad,
)

PERP = curie_account(size=-3.0, cash=20_000.0, entry=1_750.0)
PUT = honest(lyra_short("1", size=-8.0, collateral=4_500.0))
CALL = honest(lyra_short("2", size=-5.0, instrument=CALL_ID, in_base=True, collateral=3.0))
BOOK = (PERP, PUT, CALL)
MARKET = snapshot(BOOK)


def trade(instrument: str, size: float, account: str | None = None) -> Trade:
    return Trade(instrument=instrument, size=wad(size), account=account)


def move(account: str, amount: float, asset: str | None = None) -> Move:
    return Move(account=account, amount=wad(amount), asset=asset)


def tried(*steps: Trade | Move, market: Snapshot = MARKET) -> WhatIf:
    trades = [s for s in steps if isinstance(s, Trade)]
    moves = [s for s in steps if isinstance(s, Move)]
    return whatif(market, params(), trades=trades, moves=moves)


def account(found: WhatIf, account_id: str) -> Account:
    return next(a for a in found.snapshot.accounts if a.id == account_id)


def risk(profile: MarginProfile, account_id: str) -> AccountRisk:
    return next(a for a in profile.accounts if a.id == account_id)


def figures(profile: MarginProfile) -> list[float]:
    """Everything of a profile that a trade may change."""
    (eth,) = profile.exposures
    return [
        profile.equity_usd, profile.house.initial_usd, profile.house.scan_usd, profile.house.gross_scan_usd,
        profile.venue_sum.equity_usd, profile.venue_sum.initial_usd, profile.venue_sum.maintenance_usd,
        eth.delta_base, eth.gamma_base_per_usd, eth.vega_usd_per_vol,
    ]  # fmt: skip


sizes = st.floats(-20, 20).map(lambda x: round(x, 4))
steps = st.one_of(
    st.builds(lambda x: trade(PERP_ID, x), sizes),
    st.builds(lambda x: trade(PUT_ID, x, PUT.id), sizes),
    st.builds(lambda x: trade(CALL_ID, x, CALL.id), sizes),
    st.builds(lambda x: move(PUT.id, x * 100), sizes),
    st.builds(lambda x: move(CALL.id, x / 10), sizes),
    st.builds(lambda x: move(PERP.id, x * 100), sizes),
)


def mirror(step: Trade | Move) -> Trade | Move:
    if isinstance(step, Trade):
        return dataclasses.replace(step, size=Wad(-step.size))
    return dataclasses.replace(step, amount=Wad(-step.amount))


@pytest.mark.parametrize(
    "nothing", [trade(PERP_ID, 0.0), trade(PUT_ID, 0.0, "new"), trade(PUT_ID, 0.0), move(PUT.id, 0.0)]
)
def test_nothing_changes_nothing(nothing: Trade | Move) -> None:
    found = tried(nothing)
    assert found.snapshot == MARKET
    assert found.after == found.before == margin_profiles(MARKET, params())
    assert (found.touched, found.wallet_usd, found.notes) == ((), 0.0, ())


@settings(max_examples=60, deadline=None)
@given(st.lists(steps, min_size=1, max_size=4))
def test_steps_and_their_mirrors_lead_back_to_the_start(asked: list[Trade | Move]) -> None:
    back = tried(*asked, *(mirror(step) for step in reversed(asked)))
    for before, after in zip(back.before, back.after, strict=True):
        if before.exposures:
            assert figures(after) == pytest.approx(figures(before), rel=1e-9, abs=1e-6)
    assert back.wallet_usd == pytest.approx(0.0, abs=1e-6)
    assert [a.liquidatable for a in back.snapshot.accounts] == [a.liquidatable for a in MARKET.accounts]


@settings(max_examples=40, deadline=None)
@given(sizes)
def test_a_perp_trade_at_the_mark_costs_nothing_and_moves_delta_by_its_size(size: float) -> None:
    found = tried(trade(PERP_ID, size))
    before, after = found.before[0], found.after[0]
    assert after.equity_usd == pytest.approx(before.equity_usd, abs=1e-6)
    assert after.exposures[0].delta_base == pytest.approx(before.exposures[0].delta_base + size)
    assert after.venue_sum.equity_usd == pytest.approx(before.venue_sum.equity_usd, abs=1e-6)
    notional = abs(-3.0 + size) * 1_800.0
    assert risk(after, PERP.id).maintenance_usd == pytest.approx(0.0625 * notional, abs=1e-6)
    assert risk(after, PERP.id).initial_usd == pytest.approx(0.1 * notional, abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(sizes)
def test_an_option_trade_pays_its_premium_from_the_wallet(size: float) -> None:
    found = tried(trade(PUT_ID, size, PUT.id))
    valuation = value(MARKET)
    price = float(valuation.unit.price_usd[valuation.columns.ids.index(PUT_ID)])
    assert found.wallet_usd == pytest.approx(size * price)
    gained = found.after[0].equity_usd - found.before[0].equity_usd
    assert gained == pytest.approx(size * price, abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(sizes)
def test_a_touched_account_stands_where_its_rule_puts_it(size: float) -> None:
    changed = account(tried(trade(PUT_ID, size, PUT.id)), PUT.id)
    rule = rule_of(changed, market_of(MARKET))
    assert rule is not None
    now = rule(NOW)
    assert to_float(changed.venue.maintenance) == pytest.approx(float(now.maintenance_usd[0]), abs=1e-6)
    assert changed.liquidatable == (changed.venue.equity < changed.venue.maintenance)


def test_collateral_in_kind_is_moved_in_its_own_unit() -> None:
    found = tried(move(CALL.id, 1.5))
    (moved,) = found.moves
    assert (moved.asset, moved.amount, moved.value_usd) == ("sETH", 1.5, 2_700.0)
    assert found.wallet_usd == 2_700.0
    assert account(found, CALL.id).balances[0].amount == wad(4.5)
    assert risk(found.after[0], CALL.id).equity_usd == pytest.approx(8_100.0)
    assert found.after[0].exposures[0].delta_base == pytest.approx(
        found.before[0].exposures[0].delta_base + 1.5
    )


def test_a_top_up_restores_health_and_a_withdrawal_costs_it() -> None:
    health = {
        amount: account(tried(move(PUT.id, amount)), PUT.id).venue.health for amount in (1_000.0, -1_000.0)
    }
    assert health[1_000.0] == pytest.approx(5_500.0 / to_float(PUT.venue.maintenance))
    taken = account(tried(move(PUT.id, -1_000.0)), PUT.id)
    assert health[-1_000.0] < 1.0
    assert taken.liquidatable


def test_a_rescued_account_is_no_longer_liquidatable() -> None:
    failing = curie_account(size=10.0, cash=1_000.0, liquidatable=True, bounty=bounty())
    saved = account(tried(move(failing.id, 5_000.0), market=snapshot([failing])), failing.id)
    assert (saved.liquidatable, saved.bounty) == (False, None)
    still = account(tried(move(failing.id, 10.0), market=snapshot([failing])), failing.id)
    assert (still.liquidatable, still.bounty) == (True, failing.bounty)


def test_a_new_account_is_opened_where_every_position_has_its_own() -> None:
    found = tried(
        trade(PUT_ID, -2.0, "new"),
        trade(CALL_ID, -1.0),
        trade(CALL_ID, 3.0, "new"),
        move("lyra:10:new", 1_200.0),
    )
    assert [t.account for t in found.trades] == ["lyra:10:new", CALL.id, "lyra:10:new-2"]
    fresh, long = account(found, "lyra:10:new"), account(found, "lyra:10:new-2")
    assert (fresh.owner, fresh.balances[0].asset) == (DESK, "sUSD")
    assert fresh.venue.equity == wad(1_200.0)
    assert fresh.venue.maintenance > 0
    assert (long.venue.maintenance, long.liquidatable) == (0, False)
    assert {"lyra:10:new", "lyra:10:new-2"} <= set(found.after[0].members)
    bare = account(tried(trade(PUT_ID, -2.0, "lyra:10:new")), "lyra:10:new")
    assert bare.liquidatable


def test_an_instrument_that_nobody_of_ours_holds_opens_an_account() -> None:
    market = snapshot([PERP])
    (done,) = tried(trade(PUT_ID, 1.0), market=market).trades
    assert done.account == "lyra:10:new"
    (done,) = tried(trade(PERP_ID, 1.0), market=snapshot([PUT])).trades
    assert done.account == f"{CURIE}:{DESK}"
    found = tried(trade(PERP_ID, 1.0, "new"))
    assert found.trades[0].account == PERP.id
    assert account(found, PERP.id).positions[0].size == wad(-2.0)


def test_trades_come_first_then_transfers_and_each_sees_the_one_before() -> None:
    found = tried(trade(PERP_ID, 3.0), trade(PERP_ID, -1.0))
    assert account(found, PERP.id).positions == (
        Position(instrument=PERP_ID, size=wad(-1.0), entry=wad(1_800.0)),
    )
    # The gain of the closed short, -3 x (1800 - 1750), was paid into cash.
    assert account(found, PERP.id).balances[0].amount == wad(20_000.0 - 150.0)


def test_crossing_the_book_is_estimated_beside() -> None:
    (small,) = tried(trade(PERP_ID, 10.0)).trades
    assert small.crossing_usd == pytest.approx(10.0 * 1.0 + 0.001 * 10.0 * 1801.0)
    (sold,) = tried(trade(PERP_ID, -60.0)).trades
    paid = 50.0 * 1799.0 + 10.0 * 1780.0
    assert sold.crossing_usd == pytest.approx(60.0 * 1800.0 - paid + 0.001 * paid)
    beyond = tried(trade(PERP_ID, 1_000.0))
    assert beyond.trades[0].crossing_usd is None
    assert "ends after 250.0000 units" in beyond.notes[0]
    assert tried(trade(PUT_ID, -1.0, PUT.id)).trades[0].crossing_usd is None


def test_what_would_stand_in_the_way_is_noted() -> None:
    (short,) = tried(move(PUT.id, 60_000.0)).notes
    assert "10,000.00 sUSD short" in short
    assert tried(move(PUT.id, 30_000.0)).notes == ()
    (twice,) = tried(move(PUT.id, 30_000.0), move(PUT.id, 30_000.0)).notes
    assert twice == short
    assert any("holds less sUSD" in note for note in tried(move(PUT.id, -5_000.0)).notes)
    free = dataclasses.replace(PERP, withdrawable=wad(100.0))
    (held,) = tried(move(free.id, -200.0), market=snapshot([free])).notes
    assert "lets 100.00 USD be taken" in held


@pytest.mark.parametrize(
    ("step", "error"),
    [
        (trade("lyra:10:9999-P", 1.0), NoSuchInstrumentError),
        (trade(PERP_ID, 1.0, "curie:42161:0xnobody"), NoSuchAccountError),
        (trade(PERP_ID, 1.0, PUT.id), WrongAccountError),
        (trade(CALL_ID, 1.0, PUT.id), WrongAccountError),
        (trade(CALL_ID, 1.0, "curie:42161:new"), WrongAccountError),
        (move("lyra:10:99", 1.0), NoSuchAccountError),
        (move(PUT.id, 1.0, "USDC"), WrongAssetError),
        (move(CALL.id, 1.0, "sUSD"), WrongAssetError),
    ],
)
def test_what_is_not_there_is_refused(step: Trade | Move, error: type[WhatIfError]) -> None:
    with pytest.raises(error) as caught:
        tried(step)
    assert "\n" not in str(caught.value)


def test_several_accounts_that_could_trade_are_named() -> None:
    other = honest(lyra_short("7", size=-1.0, collateral=4_500.0))
    with pytest.raises(AmbiguousAccountError, match="lyra:10:1 or lyra:10:7"):
        tried(trade(PUT_ID, 1.0), market=snapshot([PUT, other]))


def test_a_strangers_account_trades_only_when_named() -> None:
    stranger = curie_account(owner=STRANGER, size=5.0)
    market = snapshot([PERP, stranger])
    assert tried(trade(PERP_ID, 1.0), market=market).trades[0].account == PERP.id
    assert tried(trade(PERP_ID, 1.0, stranger.id), market=market).trades[0].account == stranger.id


def test_without_a_price_a_rule_or_an_owner_there_is_no_answer() -> None:
    with pytest.raises(NoPriceError):
        tried(trade(PUT_ID, 1.0, PUT.id), market=snapshot(BOOK, without=["surface"]))
    with pytest.raises(NoPriceError):
        tried(move(CALL.id, 1.0), market=snapshot(BOOK, without=["reference"]))
    with pytest.raises(NoRuleError):
        tried(move(PUT.id, 1.0), market=dataclasses.replace(MARKET, terms=()))
    watched = dataclasses.replace(
        params(hedges=()), profiles=tuple(p for p in params().profiles if p.role is Role.WATCH)
    )
    with pytest.raises(NoOwnerError, match=LYRA):
        whatif(snapshot([]), watched, trades=[trade(PUT_ID, 1.0)])
