"""One changed account, and one repriced instrument with a thousand holders."""

import itertools
from collections.abc import Iterator

import numpy as np

from keeper.risk.incremental import LiveScan
from tests.bench.books import INSTRUMENTS, POSITIONS, random_book, random_pnl_usd
from tests.bench.measure import Record, race

ACCOUNTS = 100_000
SCENARIOS = 512
BATCH = 100


def records() -> Iterator[Record]:
    """Yield both against the limits that a block leaves."""
    rng = np.random.default_rng(5)
    live = LiveScan(random_book(ACCOUNTS), random_pnl_usd(SCENARIOS))
    held = rng.integers(0, INSTRUMENTS, (BATCH, POSITIONS), dtype=np.int32)
    sizes, rows = rng.normal(size=(BATCH, POSITIONS)), rng.normal(size=(BATCH, SCENARIOS))
    instruments = itertools.cycle(range(INSTRUMENTS))
    holders: list[int] = []

    def reprice() -> None:
        for row in rows[:10]:
            holders.append(live.reprice(next(instruments), row).size)

    def fill() -> None:
        for account in range(BATCH):
            live.replace_account(account, held[account], sizes[account])

    repriced = race({"reprice": reprice})["reprice"] / 10
    yield Record(
        name="incremental.one_account",
        unit="us",
        ours=1e6 * race({"fill": fill}, rounds=15)["fill"] / BATCH,
        peer=20.0,
        peer_name="limit",
    )
    yield Record(
        name=f"incremental.one_instrument_{round(np.mean(holders))}_holders",
        unit="ms",
        ours=1e3 * repriced,
        peer=2.0,
        peer_name="limit",
    )
