"""Books for the benchmarks: accounts with twenty positions each over two thousand contracts."""

import numpy as np

from keeper.risk.book import Book, Instruments, Kind, instruments
from keeper.risk.inputs import Floats
from keeper.risk.scenarios import Scenarios, scenarios

POSITIONS = 20
INSTRUMENTS = 2_000


def random_book(accounts: int) -> Book:
    """Return a book in which every account holds 20 contracts at random."""
    rng = np.random.default_rng(1)
    return Book(
        accounts=tuple(map(str, range(accounts))),
        indptr=np.arange(0, POSITIONS * accounts + 1, POSITIONS, dtype=np.int64),
        indices=rng.integers(0, INSTRUMENTS, POSITIONS * accounts, dtype=np.int32),
        sizes_base=rng.normal(size=POSITIONS * accounts),
        cash_usd=np.zeros(accounts),
    )


def random_pnl_usd(count: int) -> Floats:
    """Return the P&L of every contract in `count` scenarios."""
    return np.random.default_rng(2).normal(size=(INSTRUMENTS, count)) * 100.0


def option_chain() -> Instruments:
    """Return 1,980 options and 20 perps and futures on two underlyings."""
    rng = np.random.default_rng(3)
    kind = np.where(rng.random(INSTRUMENTS) < 0.5, Kind.CALL, Kind.PUT)
    kind[:10], kind[10:20] = Kind.PERP, Kind.FUTURE
    option, underlying = kind >= Kind.CALL, rng.integers(0, 2, INSTRUMENTS)
    forward = np.where(underlying == 0, 60_000.0, 2_500.0)
    return instruments(
        ids=[f"i{row}" for row in range(INSTRUMENTS)],
        underlyings=["BTC", "ETH"],
        underlying=underlying,
        kind=kind,
        strike_usd=np.where(option, forward * np.exp(rng.normal(0.0, 0.4, INSTRUMENTS)), 0.0),
        expiry_y=np.where(kind == Kind.PERP, 0.0, rng.uniform(0.003, 1.0, INSTRUMENTS)),
        forward_usd=forward,
        vol=np.where(option, rng.uniform(0.4, 1.0, INSTRUMENTS), 0.0),
        discount=np.ones(INSTRUMENTS),
        inverse=np.zeros(INSTRUMENTS, dtype=bool),
    )


def random_scenarios(count: int) -> Scenarios:
    """Return moves of spot, basis and vol with the vol scaled by tenor."""
    rng = np.random.default_rng(4)
    return scenarios(
        ["BTC", "ETH"],
        [f"s{row}" for row in range(count)],
        spot_move=rng.uniform(-0.3, 0.3, (count, 2)),
        vol_move=rng.uniform(-0.3, 0.6, (count, 2)),
        perp_basis_move=rng.normal(0.0, 0.005, (count, 2)),
        future_basis_move=rng.normal(0.0, 0.01, (count, 2)),
        vol_power_short=0.3,
        vol_power_long=0.13,
    )
