"""Whole recorded chains, from bids and asks to surfaces that were searched for arbitrage, on one thread."""

import os
import statistics
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares

from keeper.risk.inputs import Floats
from keeper.risk.surfaces.arbitrage import require_no_arbitrage
from keeper.risk.surfaces.smile_quotes import SmileQuotes
from keeper.risk.surfaces.svi import RawSvi
from keeper.risk.surfaces.svi_fit import fit_svi, inside_band
from tests.bench.measure import Record, race
from tests.risk.surfaces.chains import Chain, chains

LIMIT_MS = 150.0
LIMIT_OUTSIDE = 0.10


def records() -> Iterator[Record]:
    """Yield the time of a chain of both currencies, a race with scipy, and how many quotes fits miss."""
    shared = Path(os.environ.get("KEEPER_SHARED", Path(__file__).resolve().parents[3] / "shared"))
    if not (shared / "recordings/deribit_chains").exists():
        return
    snapshots = list(zip(chains()[::2], chains()[1::2], strict=True))
    milliseconds = [
        1e3 * race({"ours": partial(both_calibrated, pair)}, rounds=3)["ours"] for pair in snapshots
    ]
    for name, ours in (("median", statistics.median(milliseconds)), ("slowest", max(milliseconds))):
        yield Record(
            name=f"surface.chain_calibrated_and_checked.{name}",
            unit="ms/snapshot",
            ours=ours,
            peer=LIMIT_MS,
            peer_name="limit",
        )
    yield against_scipy(chains()[-4].quotes())
    for calm, days in ((True, "calm"), (False, "crash")):
        yield Record(
            name=f"surface.liquid_quotes_outside_bid_ask.{days}",
            unit="share, worst snapshot",
            ours=max(outside(chain) for chain in chains() if chain.calm == calm),
            peer=LIMIT_OUTSIDE,
            peer_name="limit",
        )


def both_calibrated(pair: tuple[Chain, Chain]) -> None:
    """Calibrate both currencies of a snapshot."""
    for chain in pair:
        calibrated(chain)


def calibrated(chain: Chain) -> RawSvi:
    """Do all that lies between an order book and a surface that may be used."""
    slices = fit_svi(chain.quotes()).slices
    require_no_arbitrage(slices)
    return slices


def against_scipy(quotes: SmileQuotes) -> Record:
    """Race the calibration with scipy's, which fits each expiry alone and knows no arbitrage."""
    seconds = race({"ours": lambda: fit_svi(quotes), "scipy": lambda: slice_by_slice(quotes)}, rounds=3)
    return Record(
        name="surface.calibration",
        unit="ms/currency",
        ours=1e3 * seconds["ours"],
        peer=1e3 * seconds["scipy"],
        peer_name="scipy least_squares, raw SVI slice by slice, no arbitrage conditions",
    )


def slice_by_slice(quotes: SmileQuotes) -> list[Floats]:
    """Fit every expiry by itself to the middle of its bands, weighted by their widths."""
    fits = []
    for row in range(quotes.expiry_y.size):
        rows = (quotes.expiry == row) & (quotes.w_low > 0.0) & np.isfinite(quotes.w_high)
        k, mid = quotes.k[rows], 0.5 * (quotes.w_low + quotes.w_high)[rows]
        half = 0.5 * (quotes.w_high - quotes.w_low)[rows]

        def misses(p: Floats, k: Floats = k, mid: Floats = mid, half: Floats = half) -> Floats:
            x = k - p[3]
            wanted: Floats = (p[0] + p[1] * (p[2] * x + np.sqrt(x * x + p[4] ** 2)) - mid) / half
            return wanted

        level = float(mid[np.abs(k).argmin()])
        start = [0.5 * level, 0.5 * np.sqrt(level), -0.2, 0.0, np.sqrt(level)]
        low, high = [-1.0, 0.0, -0.999, -2.0, 1e-4], [5.0, 2.0, 0.999, 2.0, 5.0]
        fits.append(least_squares(misses, start, bounds=(low, high), x_scale="jac").x)
    return fits


def outside(chain: Chain) -> float:
    """Return the share of liquid quotes that the fitted surface misses."""
    quotes = chain.quotes()
    return 1.0 - float(inside_band(quotes, fit_svi(quotes))[chain.liquid(quotes)].mean())
