"""The house requirement of profiles: VaR and ES by hand, parts that sum, and what a history cannot say."""

import dataclasses
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper.model.book import Account
from keeper.model.errors import UnfitValueError
from keeper.model.margin import MarginProfile
from keeper.model.params import Params, PriceHistory
from keeper.policy.decide import decide, margin_profiles
from keeper.policy.house import past_of
from keeper.policy.valuation import value
from tests.support.books import (
    CALL_ID,
    PUT_ID,
    curie_account,
    lyra_short,
    params,
    price_history,
    snapshot,
)

HISTORY = price_history("ETH", "BTC")
BOOK = (
    curie_account(size=-3.0),
    lyra_short("1", size=-8.0),
    lyra_short("2", size=-5.0, instrument=CALL_ID, in_base=True, collateral=6.0, needed=2.0),
)


def desk(*accounts: Account, history: PriceHistory | None = HISTORY) -> MarginProfile:
    return margin_profiles(snapshot(accounts), params(history=history))[0]


def filtered_returns(history: PriceHistory, column: int) -> list[float]:
    """EWMA-filtered log returns in plain Python: r[t] sigma[T] / sigma[t]."""
    closes = [row[column] for row in history.closes_usd]
    returns = [float(np.log(b / a)) for a, b in pairwise(closes)]
    variance = sum(r * r for r in returns) / len(returns)
    before = []
    for r in returns:
        before.append(variance)
        variance = 0.94 * variance + 0.06 * r * r
    return [r * (variance / v) ** 0.5 for r, v in zip(returns, before, strict=True)]


def test_var_and_es_of_a_linear_book_by_hand() -> None:
    house = desk(curie_account(size=10.0)).house
    losses = sorted((-10.0 * 1800.0 * np.expm1(r) for r in filtered_returns(HISTORY, 0)), reverse=True)
    # 299 days: the worst 1 % are 2.99 of them; VaR is the loss of rank ceil(296.01) = 297 from below.
    assert house.var_usd == pytest.approx(losses[2], rel=1e-9)
    assert house.es_usd == pytest.approx((losses[0] + losses[1] + 0.99 * losses[2]) / 2.99, rel=1e-9)
    closes = np.array(HISTORY.closes_usd)[:, 0]
    record = sorted(-10.0 * 1800.0 * (closes[1:] / closes[:-1] - 1.0), reverse=True)
    assert house.floor_usd == pytest.approx((record[0] + record[1] + 0.99 * record[2]) / 2.99, rel=1e-9)
    assert house.history_ends_s == HISTORY.times_s[-1]


def test_options_are_revalued_in_full() -> None:
    """Against the valuation of snapshots whose spot has moved, one per date."""
    book = BOOK[1:2]
    start = desk(*book)
    returns = filtered_returns(HISTORY, 0)
    profits = []
    for r in returns:
        moved = value(snapshot(book, spot=1800.0 * float(np.exp(r))))
        profits.append(float(-8.0 * moved.unit.price_usd[moved.columns.ids.index(PUT_ID)]))
    today = value(snapshot(book))
    losses = sorted(-8.0 * float(today.unit.price_usd[today.columns.ids.index(PUT_ID)]) - p for p in profits)
    assert start.house.var_usd == pytest.approx(losses[-3], rel=1e-7)


@pytest.mark.parametrize("daily_vol", [0.03, 0.15])
def test_the_greatest_of_scan_es_and_floor_is_the_core(daily_vol: float) -> None:
    house = desk(curie_account(size=10.0), history=price_history("ETH", daily_vol=daily_vol)).house
    assert house.es_usd is not None
    assert house.floor_usd is not None
    core = max(house.scan_usd, house.es_usd, house.floor_usd)
    charges = house.basis_usd + house.liquidity_usd + house.concentration_usd
    assert house.initial_usd == pytest.approx(core + charges)
    assert (core > house.scan_usd) == (daily_vol > 0.1)


def test_without_a_history_nothing_is_said_of_the_tail() -> None:
    profile = desk(*BOOK, history=None)
    assert (profile.house.var_usd, profile.house.es_usd, profile.house.floor_usd) == (None, None, None)
    assert {a.es_part_usd for a in profile.accounts} == {None}


def test_a_history_without_an_underlying_says_so_and_gives_no_tail() -> None:
    house = desk(*BOOK, history=price_history("BTC")).house
    assert house.uncovered == ("ETH",)
    assert (house.var_usd, house.es_usd, house.floor_usd, house.history_ends_s) == (None,) * 4
    assert house.initial_usd > 0.0


sizes = st.floats(-50, 50).map(lambda x: round(x, 4))


@settings(max_examples=40, deadline=None)
@given(sizes, sizes, sizes)
def test_the_parts_of_accounts_sum_to_scan_and_es(perp: float, put: float, call: float) -> None:
    profile = desk(
        curie_account(size=perp),
        lyra_short("1", size=put),
        lyra_short("2", size=call, instrument=CALL_ID, in_base=True, collateral=3.0, needed=1.0),
    )
    slack = 1e-9 * (1.0 + profile.house.gross_scan_usd)
    assert sum(a.scan_part_usd for a in profile.accounts) == pytest.approx(profile.house.scan_usd, abs=slack)
    parts = [a.es_part_usd for a in profile.accounts]
    assert None not in parts
    assert sum(p for p in parts if p is not None) == pytest.approx(profile.house.es_usd, abs=slack)
    for account in profile.accounts:
        assert account.scan_part_usd <= account.standalone_usd + slack


def test_the_hedge_is_credited_with_what_it_saves() -> None:
    profile = desk(curie_account(size=-3.0), lyra_short("1", size=-8.0))
    hedge = next(a for a in profile.accounts if a.protocol == "curie")
    assert hedge.scan_part_usd < 0.0
    alone = desk(lyra_short("1", size=-8.0))
    assert profile.house.scan_usd < alone.house.scan_usd


def test_size_is_charged_against_a_days_volume() -> None:
    base = params()
    house = dataclasses.replace(
        base.house, impact=1.0, concentration_rate=0.5, daily_volume_usd=(("ETH", 100_000.0),)
    )
    charged: Params = dataclasses.replace(base, house=house)
    market = snapshot([curie_account(size=20.0)])
    free, dear = (margin_profiles(market, p)[0].house for p in (base, charged))
    notional = 20.0 * 1800.0
    assert dear.concentration_usd == pytest.approx(0.5 * (notional / 1e5 - 0.1) * notional)
    impact = 0.8 / 365**0.5 * (notional / 1e5) ** 0.5 * notional
    assert dear.liquidity_usd - free.liquidity_usd == pytest.approx(impact)
    assert free.concentration_usd == 0.0
    nameless = dataclasses.replace(charged, house=dataclasses.replace(house, daily_volume_usd=()))
    with pytest.raises(UnfitValueError, match="daily_volume_usd: no ETH"):
        margin_profiles(market, nameless)


def test_a_history_is_read_once_and_changes_the_digest() -> None:
    assert past_of(HISTORY) is past_of(price_history("ETH", "BTC"))
    assert params(history=HISTORY).digest != params().digest
    plans = {decide(snapshot(BOOK), params(history=HISTORY)).plan.id for _ in range(2)}
    assert len(plans) == 1


def test_a_small_book_is_decided_without_the_compiler() -> None:
    code = (
        "import sys\n"
        "from tests.policy.test_house import BOOK, HISTORY\n"
        "from tests.support.books import params, snapshot\n"
        "from keeper.policy.decide import decide\n"
        "decide(snapshot(BOOK), params(history=HISTORY))\n"
        "print([m for m in ('numba', 'llvmlite') if m in sys.modules])\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
