"""Revaluation against hand-worked moves, an oracle built from the documented formulas, and both engines."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import keeper.risk.kernels as kernels
from keeper.model.errors import DataError
from keeper.risk import black76, inverse
from keeper.risk.book import Instruments, Kind, instruments
from keeper.risk.inputs import Floats
from keeper.risk.revaluation import revalue
from keeper.risk.scenarios import Scenarios, grid, scenarios, shocked_vol

SEEDS = st.integers(0, 2**32 - 1)


def one(kind: Kind, **changed: float | bool) -> Instruments:
    """Return one contract on ETH at 2,000 USD; options are struck at 2,100 with 0.25 years left."""
    option = kind >= Kind.CALL
    values: dict[str, float | bool] = {
        "strike_usd": 2_100.0 if option else 0.0,
        "expiry_y": 0.25 if kind >= Kind.FUTURE else 0.0,
        "forward_usd": 2_000.0,
        "vol": 0.8 if option else 0.0,
        "discount": 1.0,
        "inverse": False,
        **changed,
    }
    return instruments(
        ids=["x"],
        underlyings=["ETH"],
        underlying=[0],
        kind=[kind],
        **{name: [value] for name, value in values.items()},
    )


def one_scenario(**moves: float) -> Scenarios:
    return scenarios(["ETH"], ["s"], **moves)


def random_table(rng: np.random.Generator, n: int) -> Instruments:
    kind = rng.integers(0, len(Kind), n)
    option = kind >= Kind.CALL
    forward = rng.uniform(10.0, 1e5, n)
    return instruments(
        ids=[f"i{row}" for row in range(n)],
        underlyings=["BTC", "ETH", "SOL"],
        underlying=rng.integers(0, 3, n),
        kind=kind,
        strike_usd=np.where(option, forward * np.exp(rng.normal(0.0, 0.4, n)), 0.0),
        expiry_y=np.where(kind >= Kind.FUTURE, rng.choice([0.0, 0.002, 0.05, 0.5, 2.0], n), 0.0),
        forward_usd=forward,
        vol=np.where(option, rng.uniform(0.1, 2.0, n), 0.0),
        discount=np.where(kind >= Kind.FUTURE, rng.uniform(0.9, 1.0, n), 1.0),
        inverse=(rng.random(n) < 0.3) & (kind != Kind.SPOT),
    )


def random_scenarios(rng: np.random.Generator, n: int) -> Scenarios:
    """Return scenarios whose columns are in another order than the instruments', and one more."""
    names = ["SOL", "DOGE", "BTC", "ETH"]
    return scenarios(
        names,
        [f"s{row}" for row in range(n)],
        spot_move=rng.uniform(-0.6, 1.5, (n, 4)),
        vol_move=rng.uniform(-0.9, 2.0, (n, 4)),
        perp_basis_move=rng.normal(0.0, 0.01, (n, 4)),
        future_basis_move=rng.normal(0.0, 0.02, (n, 4)),
        skew_move=rng.normal(0.0, 0.05, (n, 4)),
        vol_power_short=rng.choice([0.0, 0.3], n),
        vol_power_long=rng.choice([0.0, 0.13], n),
        vol_floor=rng.choice([0.0, 0.9], n),
        weight=rng.uniform(0.1, 1.0, n),
    )


def oracle(table: Instruments, moves: Scenarios) -> Floats:
    """Return what `revalue` must: one contract at a time, coins counted as coins and then sold."""
    pnl = np.empty((len(table), len(moves)))
    for i in range(len(table)):
        column = moves.underlyings.index(table.underlyings[table.underlying[i]])
        F, K, T, vol, D = (
            getattr(table, name)[i] for name in ("forward_usd", "strike_usd", "expiry_y", "vol", "discount")
        )
        kind = Kind(table.kind[i])
        basis = {
            Kind.SPOT: 0.0 * moves.spot_move[:, column],
            Kind.PERP: moves.perp_basis_move[:, column],
        }.get(kind, moves.future_basis_move[:, column])
        after = F * (1.0 + moves.spot_move[:, column]) * (1.0 + basis)
        spot, spot_after = D * F, D * F * (1.0 + moves.spot_move[:, column])
        if kind in (Kind.CALL, Kind.PUT):
            call = kind == Kind.CALL
            with np.errstate(divide="ignore", invalid="ignore"):
                sd = np.log(K / F) / (vol * np.sqrt(T))
            shocked = shocked_vol(moves, [vol], [365.0 * T], [column], log_moneyness_sd=np.array([sd]))[:, 0]
            if table.inverse[i]:
                coins = inverse.price(F, K, T, vol, call=call)
                coins_after = inverse.price(after, K, T, shocked, call=call)
                pnl[i] = coins_after * spot_after - coins * spot
            else:
                pnl[i] = black76.price(after, K, T, shocked, call=call, discount=D) - black76.price(
                    F, K, T, vol, call=call, discount=D
                )
        elif table.inverse[i]:
            pnl[i] = inverse.linear_pnl_coin(1.0, after / F - 1.0) * spot_after
        else:
            pnl[i] = after - F
    return pnl * moves.weight


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_both_engines_equal_the_oracle(seed: int) -> None:
    rng = np.random.default_rng(seed)
    table, moves = random_table(rng, 25), random_scenarios(rng, 40)
    expected, scale = (
        oracle(table, moves),
        1e-12 * np.maximum(3.0 * table.forward_usd, table.strike_usd)[:, None],
    )
    patch = pytest.MonkeyPatch()
    for threshold in (0, 10**9):
        patch.setattr(kernels, "COMPILED_FROM_OPTIONS", threshold)
        assert np.all(np.abs(revalue(table, moves) - expected) <= scale)
    patch.undo()


def test_a_cash_settled_call_by_hand() -> None:
    down = one_scenario(spot_move=-0.1, vol_move=0.5, weight=0.4)
    pnl = revalue(one(Kind.CALL, discount=0.98), down)[0, 0]
    after = black76.price(1_800.0, 2_100.0, 0.25, 1.2, call=True)
    before = black76.price(2_000.0, 2_100.0, 0.25, 0.8, call=True)
    assert pnl == pytest.approx(0.4 * 0.98 * (after - before), rel=1e-12)


def test_spot_perp_and_future_have_their_own_basis() -> None:
    moves = one_scenario(spot_move=-0.1, perp_basis_move=-0.01, future_basis_move=0.02)
    values = [revalue(one(kind), moves)[0, 0] for kind in (Kind.SPOT, Kind.PERP, Kind.FUTURE)]
    assert values == pytest.approx([-200.0, 2_000 * (0.9 * 0.99 - 1), 2_000 * (0.9 * 1.02 - 1)], rel=1e-14)


def test_an_inverse_perp_loses_coins_that_are_worth_less() -> None:
    # 1 ETH of notional is 2,000 USD. At 1,600 that is 1.25 ETH: 0.25 ETH lost, worth 400 USD at the new spot.
    assert revalue(one(Kind.PERP, inverse=True), one_scenario(spot_move=-0.2))[0, 0] == pytest.approx(-400.0)
    # The spot stands still and the perp falls 2 %: 0.02 / 0.98 ETH lost, at an unchanged 2,000 USD.
    moved = revalue(one(Kind.PERP, inverse=True), one_scenario(perp_basis_move=-0.02))[0, 0]
    assert moved == pytest.approx(-2_000.0 * 0.02 / 0.98)


@given(
    st.floats(-0.8, 3.0), st.floats(-0.5, 2.0), st.sampled_from([Kind.PERP, Kind.FUTURE, Kind.CALL, Kind.PUT])
)
def test_without_a_basis_move_coin_and_cash_settlement_agree(spot: float, vol: float, kind: Kind) -> None:
    moves = one_scenario(spot_move=spot, vol_move=vol)
    cash, coin = (revalue(one(kind, inverse=settled), moves)[0, 0] for settled in (False, True))
    assert coin == pytest.approx(cash, rel=1e-9, abs=1e-9)


@given(st.floats(-0.8, 3.0), st.floats(-0.5, 2.0), st.floats(-0.05, 0.05))
def test_parity_holds_in_every_scenario(spot: float, vol: float, basis: float) -> None:
    moves = one_scenario(spot_move=spot, vol_move=vol, future_basis_move=basis)
    call, put, future = (revalue(one(kind), moves)[0, 0] for kind in (Kind.CALL, Kind.PUT, Kind.FUTURE))
    assert call - put == pytest.approx(future, rel=1e-9, abs=1e-8)


def test_nothing_happens_in_a_scenario_without_moves() -> None:
    table = random_table(np.random.default_rng(1), 50)
    still = scenarios(["BTC", "ETH", "SOL"], ["still"], vol_power_short=0.3)
    assert np.max(np.abs(revalue(table, still)[:, 0]) / table.forward_usd) < 1e-15


def test_a_long_option_never_loses_more_than_its_price() -> None:
    rng = np.random.default_rng(2)
    pnl = revalue(one(Kind.PUT), random_scenarios(rng, 500))
    worth = black76.price(2_000.0, 2_100.0, 0.25, 0.8, call=False)
    assert pnl.min() >= -worth - 1e-9


def test_an_unknown_underlying_is_named() -> None:
    with pytest.raises(DataError, match="ETH"):
        revalue(one(Kind.PERP), grid(["BTC"]))


def test_an_empty_table_is_an_empty_result() -> None:
    none = instruments(
        ids=[], underlyings=["ETH"], underlying=[], kind=[], strike_usd=[], expiry_y=[], forward_usd=[],
        vol=[], discount=[], inverse=[],
    )  # fmt: skip
    assert revalue(none, grid(["ETH"])).shape[0] == 0
