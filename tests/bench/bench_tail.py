"""99 % expected shortfall of 100,000 accounts in 10,000 scenarios."""

import statistics
import time
from collections.abc import Iterator

import numpy as np
from scipy.sparse import csr_array

from keeper.risk.kernels import tails
from tests.bench.books import POSITIONS, random_book, random_pnl_usd
from tests.bench.measure import Record

ACCOUNTS = 100_000
SCENARIOS = 10_000
WORST = 100
SLICE = 10_000
CHUNK = 100


def records() -> Iterator[Record]:
    """Yield both sides in turns over ten slices of the book, so each does all of it once."""
    pnl, book = random_pnl_usd(SCENARIOS), random_book(SLICE)
    csr = book.indptr, book.indices, book.sizes_base
    positions = csr_array((csr[2], csr[1], csr[0].astype(np.int32)), shape=(SLICE, len(pnl)))

    def sparse_and_partition() -> None:
        for begin in range(0, SLICE, CHUNK):
            block = np.asarray(positions[begin : begin + CHUNK] @ pnl)
            np.partition(block, WORST, axis=1)[:, :WORST].mean(axis=1)

    ours, theirs = [], []
    for _ in range(ACCOUNTS // SLICE):
        begin = time.thread_time()
        tails.scenario_tail(*csr, pnl, WORST, 1)
        middle = time.thread_time()
        sparse_and_partition()
        ours.append(middle - begin)
        theirs.append(time.thread_time() - middle)
    cells = SLICE * POSITIONS * SCENARIOS
    yield Record(
        name="tail.expected_shortfall",
        unit="ns/(position x scenario)",
        ours=1e9 * statistics.median(ours) / cells,
        peer=1e9 * statistics.median(theirs) / cells,
        peer_name="scipy CSR + numpy partition, chunks of 100 accounts",
    )
