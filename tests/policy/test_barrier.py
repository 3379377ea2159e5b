"""Distance to the venue's line: closed forms for perps, the collateral twin for shorts.

Many accounts are searched at once; each must come out as if it were searched alone, by its own rule and move
by move.
"""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper.model.book import Account, Balance, Position, Requirement
from keeper.policy import barrier
from keeper.policy.barrier import CLOSE, MOVES, POINTS, Line, lines_of
from keeper.policy.rule import Factors
from keeper.policy.venue_rule import market_of, rule_of
from tests.support.books import CALL_ID, CURIE, PERP, PUT_ID, curie_account, lyra_short, quotes, snapshot, wad


def line(account: Account) -> Line | None:
    (found,) = lines_of([account], market_of(snapshot([account])))
    return found


@given(st.floats(1.0, 50.0), st.floats(0.07, 0.6))
def test_a_long_perp_fails_where_equity_meets_maintenance(size: float, margin: float) -> None:
    cash = round(size * 1800.0 * margin, 6)
    got = line(curie_account(size=round(size, 6), cash=cash))
    assert got is not None
    # E + q (S' - S) = mm q S'
    price = (size * 1800.0 - cash) / (size * (1 - 0.0625))
    assert got.price_usd == pytest.approx(price, rel=1e-5)
    assert got.distance == pytest.approx(1 - price / 1800.0, abs=2e-6)


def test_a_short_perp_fails_above() -> None:
    got = line(curie_account(size=-10.0, cash=5_000.0))
    assert got is not None
    assert got.price_usd == pytest.approx((18_000 + 5_000) / (10 * 1.0625), rel=1e-5)


def test_an_account_that_fails_now_is_at_distance_zero() -> None:
    got = line(curie_account(size=10.0, cash=1_000.0))
    assert got is not None
    assert got.distance == 0.0


def test_a_fully_collateralised_put_has_no_line() -> None:
    assert line(lyra_short(size=-8.0, collateral=12_800.0)) is None


def test_a_partially_collateralised_put_fails_below_spot() -> None:
    got = line(lyra_short(size=-8.0, collateral=6_000.0))
    assert got is not None
    assert got.price_usd < 1800.0


def test_no_position_or_no_requirement_no_line() -> None:
    assert line(curie_account(size=0.0)) is None
    assert line(lyra_short(size=5.0, needed=0.0, collateral=0.0)) is None


def healthy_at(account: Account, move: float) -> bool:
    rule = rule_of(account, market_of(snapshot([account])))
    assert rule is not None
    return bool(rule(Factors(n=1, spot={"ETH": np.array([1.0 + move])})).excess_usd[0] >= 0.0)


def searched_alone(account: Account) -> float | None:
    """Walk outwards from no move in both directions, then through ever finer steps, one move at a time."""
    if not healthy_at(account, 0.0):
        return 0.0
    zero = int(np.flatnonzero(MOVES == 0.0)[0])
    found: list[float] = []
    for outwards in (MOVES[zero:], MOVES[zero::-1]):
        grid = [float(move) for move in outwards]
        failing = next((i for i, move in enumerate(grid) if not healthy_at(account, move)), None)
        if failing is None:
            continue
        left, right = grid[failing - 1], grid[failing]
        while abs(right - left) > CLOSE:
            steps = [float(move) for move in np.linspace(left, right, POINTS)]
            at = next((i for i in range(1, POINTS - 1) if not healthy_at(account, steps[i])), POINTS - 1)
            left, right = steps[at - 1], steps[at]
        found.append(right)
    return min(found, key=abs, default=None)


ether = st.builds(
    lambda size, cash, kind: dataclasses.replace(
        curie_account(size=round(size, 4), cash=round(cash, 2)),
        balances=(
            Balance(asset="USDC", amount=wad(round(cash, 2))),
            *([Balance(asset="WETH", amount=wad(round(kind, 3)), underlying="ETH")] if kind else []),
        ),
    ),
    st.floats(-20.0, 20.0).filter(lambda size: abs(size) > 0.1),
    st.floats(500.0, 40_000.0),
    st.sampled_from([0.0, 0.0, 2.5]),
)
options = st.builds(
    lambda instrument, size, collateral, in_base: lyra_short(
        instrument=instrument,
        size=-round(size, 4),
        collateral=round(size * (collateral if in_base else 1_600.0 * collateral), 4),
        in_base=in_base and instrument == CALL_ID,
    ),
    st.sampled_from([PUT_ID, CALL_ID]),
    st.floats(0.2, 20.0),
    st.floats(0.1, 1.1),
    st.booleans(),
)


@settings(max_examples=30)
@given(st.lists(ether | options, min_size=1, max_size=6))
def test_each_of_many_accounts_comes_out_as_if_searched_alone(accounts: list[Account]) -> None:
    named = [dataclasses.replace(a, id=f"{a.protocol}:{a.chain_id}:{i}") for i, a in enumerate(accounts)]
    for account, got in zip(named, lines_of(named, market_of(snapshot(named))), strict=True):
        expected = searched_alone(account)
        assert (None if got is None else got.move) == expected
        if got is not None and got.move != 0.0:
            inside = got.move - math.copysign(2.0 * CLOSE, got.move)
            assert not healthy_at(account, got.move)
            assert healthy_at(account, inside)


def test_more_accounts_than_are_searched_together(monkeypatch: pytest.MonkeyPatch) -> None:
    accounts = [curie_account(size=10.0, cash=2_000.0 + 500.0 * i) for i in range(7)]
    market = market_of(snapshot(accounts))
    whole = lines_of(accounts, market)
    monkeypatch.setattr(barrier, "TOGETHER", 3)
    assert lines_of(accounts, market) == whole
    distances = [line.distance for line in whole if line is not None]
    assert len(distances) == 7
    assert distances == sorted(distances)


def test_the_nearer_of_two_underlyings_counts() -> None:
    bitcoin = dataclasses.replace(PERP, id=f"{CURIE}:0xvBTC", underlying="BTC")
    both = curie_account(size=10.0, cash=6_000.0)
    both = dataclasses.replace(
        both,
        positions=(*both.positions, Position(instrument=bitcoin.id, size=wad(-1.0), entry=wad(30_000.0))),
        venue=Requirement(equity=wad(6_000.0), initial=wad(4_800.0), maintenance=wad(3_000.0)),
    )
    seen = snapshot([both])
    mark = dataclasses.replace(quotes()[2], subject=bitcoin.id, price=wad(30_000.0))
    seen = dataclasses.replace(seen, instruments=(*seen.instruments, bitcoin), quotes=(*seen.quotes, mark))
    got, none = lines_of([both, curie_account(size=0.0)], market_of(seen))
    # 3,000 of excess: ether would have to fall by 3,000 / 16,875, and bitcoin to rise by 3,000 / 31,875.
    assert got is not None
    assert got.underlying == "BTC"
    assert got.price_usd == pytest.approx(30_000.0 * (1.0 + 3_000.0 / 31_875.0), abs=30_000.0 * CLOSE)
    assert none is None
