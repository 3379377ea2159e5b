"""Each account's worst scenario: 20 positions over 2,000 instruments, 512 scenarios."""

import time
from collections.abc import Callable, Iterator

import numpy as np
from scipy.sparse import csr_array

from keeper.risk.book import Book
from keeper.risk.inputs import Floats
from keeper.risk.kernels import scanning
from keeper.risk.revaluation import revalue
from keeper.risk.scan import scan_book
from tests.bench.bench_pricing import chunked_numpy, some_options
from tests.bench.books import POSITIONS, option_chain, random_book, random_pnl_usd, random_scenarios
from tests.bench.measure import Record, Work, peak_bytes, race

ACCOUNTS = 100_000
SCENARIOS = 512
CHUNK = 500


def records() -> Iterator[Record]:
    """Yield speed, memory, growth and threads of the scan, then of a whole revaluation."""
    pnl = random_pnl_usd(SCENARIOS)
    book = random_book(ACCOUNTS)
    positions = csr_array(
        (book.sizes_base, book.indices, book.indptr.astype(np.int32)), shape=(ACCOUNTS, len(pnl))
    )

    def ours(threads: int = 1) -> object:
        return scanning.scenario_minimum(book.indptr, book.indices, book.sizes_base, pnl, threads)

    seconds = race({"ours": ours, "scipy": lambda: chunked_scipy(positions, pnl)})
    cells = ACCOUNTS * POSITIONS * SCENARIOS
    yield Record(
        name="scan.worst_scenario",
        unit="ns/(position x scenario)",
        ours=1e9 * seconds["ours"] / cells,
        peer=1e9 * seconds["scipy"] / cells,
        peer_name="scipy CSR, chunks of 500 accounts",
    )
    yield Record(
        name="scan.memory",
        unit="MB besides the result",
        ours=(peak_bytes(ours) - 16 * ACCOUNTS) / 2**20,
        peer=32.0,
        peer_name="limit",
    )
    yield from threads(ours)
    yield from growth(pnl)
    yield from revaluation(book)


def threads(scan: Callable[[int], object]) -> Iterator[Record]:
    """Yield what a second thread brings, and how much more CPU time both take together.

    Where the first ratio is low and the second near 1, another program had the second core; where both are
    low, the threads stood in each other's way.
    """
    runners: dict[str, Work] = {"one": lambda: scan(1), "two": lambda: scan(2)}
    for name, unit, clock in (
        ("two_threads", "ms", time.perf_counter),
        ("two_threads_cpu", "ms of CPU", time.process_time),
    ):
        taken = race(runners, rounds=15, clock=clock, pick=min)
        yield Record(
            name=f"scan.{name}",
            unit=unit,
            ours=1e3 * taken["two"],
            peer=1e3 * taken["one"],
            peer_name="one thread",
        )


def growth(pnl: Floats) -> Iterator[Record]:
    """Yield the cost per cell of 10**6 accounts against that of 10**4."""
    small, large = random_book(10_000), random_book(1_000_000)

    def scan(book: Book) -> object:
        return scanning.scenario_minimum(book.indptr, book.indices, book.sizes_base, pnl, 1)

    seconds = race({"small": lambda: scan(small), "large": lambda: scan(large)}, rounds=3)
    yield Record(
        name="scan.a_million_accounts",
        unit="ns/(position x scenario)",
        ours=1e9 * seconds["large"] / (len(large) * POSITIONS * SCENARIOS),
        peer=1e9 * seconds["small"] / (len(small) * POSITIONS * SCENARIOS),
        peer_name="10,000 accounts",
    )


def revaluation(book: Book) -> Iterator[Record]:
    """Yield the whole way from prices to worst scenarios, against every position priced in every scenario."""
    chain, moves = option_chain(), random_scenarios(SCENARIOS)
    seconds = race({"ours": lambda: scan_book(book, revalue(chain, moves))}, rounds=5)["ours"]
    n = 100_000
    options, out = some_options(n), tuple(np.empty(n) for _ in range(4))
    each = race({"numpy": lambda: chunked_numpy(options, out)}, rounds=5)["numpy"] / n
    yield Record(
        name="scan.revalue_100000_accounts",
        unit="ms",
        ours=1e3 * seconds,
        peer=1e3 * each * ACCOUNTS * POSITIONS * SCENARIOS,
        peer_name="numpy + scipy ndtr on every position and scenario, extrapolated from 100,000",
    )


def chunked_scipy(positions: csr_array, pnl: Floats) -> Floats:
    """Return the minimum by sparse product in chunks of accounts."""
    minimum = np.empty(positions.shape[0])
    for begin in range(0, minimum.size, CHUNK):
        minimum[begin : begin + CHUNK] = np.asarray(positions[begin : begin + CHUNK] @ pnl).min(axis=1)
    return minimum
