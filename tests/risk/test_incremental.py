"""A live scan always equals a fresh scan of the book as it has become."""

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from keeper.model.errors import DataError
from keeper.risk.book import Book
from keeper.risk.incremental import LiveScan
from keeper.risk.inputs import Floats
from keeper.risk.scan import scan_book

ACCOUNTS, INSTRUMENTS, SCENARIOS = 12, 6, 70
sizes = st.floats(-100.0, 100.0)
seeds = st.integers(0, 2**32 - 1)


def book_from(positions: list[dict[int, float]]) -> Book:
    return Book(
        accounts=tuple(f"a{row}" for row in range(len(positions))),
        indptr=np.cumsum([0, *(len(held) for held in positions)]).astype(np.int64),
        indices=np.array([j for held in positions for j in held], dtype=np.int32),
        sizes_base=np.array([size for held in positions for size in held.values()]),
        cash_usd=np.zeros(len(positions)),
    )


def pnl_row(seed: int, rows: int = 1) -> Floats:
    return np.random.default_rng(seed).normal(size=(rows, SCENARIOS)).round(2)


class TradingDay(RuleBasedStateMachine):
    """Fills and reprices in any order."""

    def __init__(self) -> None:
        super().__init__()
        rng = np.random.default_rng(7)
        self.positions: list[dict[int, float]] = [
            {int(j): float(rng.normal()) for j in rng.permutation(INSTRUMENTS)[: rng.integers(0, 5)]}
            for _ in range(ACCOUNTS)
        ]
        self.pnl = pnl_row(8, INSTRUMENTS)
        self.live = LiveScan(book_from(self.positions), self.pnl)

    @rule(
        account=st.integers(0, ACCOUNTS - 1),
        held=st.dictionaries(st.integers(0, INSTRUMENTS - 1), sizes, max_size=INSTRUMENTS),
    )
    def fill(self, account: int, held: dict[int, float]) -> None:
        self.positions[account] = held
        requirement = self.live.replace_account(account, list(held), list(held.values()))
        assert requirement == self.live.standalone_usd[account]

    @rule(instrument=st.integers(0, INSTRUMENTS - 1), seed=seeds)
    def reprice(self, instrument: int, seed: int) -> None:
        self.pnl[instrument] = pnl_row(seed)[0]
        touched = self.live.reprice(instrument, self.pnl[instrument])
        assert touched.tolist() == [a for a, held in enumerate(self.positions) if instrument in held]

    @invariant()
    def equals_a_fresh_scan(self) -> None:
        fresh = scan_book(book_from(self.positions), self.pnl)
        assert np.array_equal(self.live.standalone_usd, fresh.standalone_usd)
        assert np.array_equal(self.live.standalone_worst, fresh.standalone_worst)


TradingDay.TestCase.settings = settings(max_examples=15, stateful_step_count=12, deadline=None)
test_a_trading_day = TradingDay.TestCase


@pytest.fixture
def live() -> LiveScan:
    return LiveScan(book_from([{0: 1.0}, {0: -1.0, 1: 2.0}]), pnl_row(9, 2))


@pytest.mark.parametrize(
    ("account", "indices", "held", "message"),
    [
        (2, [0], [1.0], "account"),
        (-1, [0], [1.0], "account"),
        (0, [2], [1.0], "indices"),
        (0, [-1], [1.0], "indices"),
        (0, [0.5], [1.0], "indices"),
        (0, [0, 1], [1.0], "sizes_base"),
        (0, [0], [np.nan], "sizes_base"),
    ],
)
def test_a_bad_fill_changes_nothing(
    live: LiveScan, account: int, indices: list[float], held: list[float], message: str
) -> None:
    before = live.standalone_usd
    with pytest.raises(DataError, match=message):
        live.replace_account(account, indices, held)
    assert np.array_equal(live.standalone_usd, before)


@pytest.mark.parametrize(
    ("instrument", "row", "message"),
    [
        (2, np.ones(SCENARIOS), "instrument"),
        (0, np.ones(SCENARIOS - 1), "pnl_usd"),
        (0, np.full(SCENARIOS, np.nan), "pnl_usd"),
    ],
)
def test_a_bad_price_changes_nothing(live: LiveScan, instrument: int, row: Floats, message: str) -> None:
    before = live.standalone_usd
    with pytest.raises(DataError, match=message):
        live.reprice(instrument, row)
    assert np.array_equal(live.standalone_usd, before)


def test_what_the_caller_holds_stays_the_callers() -> None:
    pnl = pnl_row(10, 2)
    live = LiveScan(book_from([{0: 1.0}, {1: 2.0}]), pnl)
    kept = pnl.copy()
    live.reprice(0, np.full(SCENARIOS, -5.0))
    live.standalone_usd[:] = 0.0
    assert np.array_equal(pnl, kept)
    assert live.standalone_usd[0] == 5.0
