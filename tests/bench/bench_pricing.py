"""Price, delta, gamma and vega of a million options on one thread."""

import csv
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import QuantLib
from scipy.special import ndtr

from keeper.risk import black76
from keeper.risk.inputs import Floats
from keeper.risk.kernels import pricing
from tests.bench.measure import Record, race

OPTIONS = 1_000_000
QUANTLIB_OPTIONS = 5_000
CHUNK = 8_192


def records() -> Iterator[Record]:
    """Yield speed against chunked numpy and a reused QuantLib engine, and accuracy."""
    options = some_options(OPTIONS)
    ours, theirs = (tuple(np.empty(OPTIONS) for _ in range(4)) for _ in range(2))
    few = tuple(column[:QUANTLIB_OPTIONS] for column in options)
    engine = ReusedEngine()
    seconds = race(
        {
            "ours": lambda: pricing.price_and_greeks(*options, *ours),
            "numpy": lambda: chunked_numpy(options, theirs),
            "quantlib": lambda: engine.price_and_greeks(few),
        }
    )
    ours_ns = 1e9 * seconds["ours"] / OPTIONS
    for peer, count, name in (
        ("numpy", OPTIONS, "numpy + scipy ndtr, chunks of 8192"),
        ("quantlib", QUANTLIB_OPTIONS, "QuantLib analytic engine, reused"),
    ):
        yield Record(
            name="pricing.price_and_3_greeks",
            unit="ns/option",
            ours=ours_ns,
            peer=1e9 * seconds[peer] / count,
            peer_name=name,
        )
    yield Record(
        name="pricing.max_error_vs_scipy",
        unit="of the forward",
        ours=float(np.max(np.abs(ours[0] - theirs[0]) / options[0])),
        peer=1e-10,
        peer_name="limit",
    )
    yield from published()


def published() -> Iterator[Record]:
    """Yield the error of the kernel on the lets_be_rational rows, where they are present."""
    shared = Path(os.environ.get("KEEPER_SHARED", Path(__file__).resolve().parents[3] / "shared"))
    path = shared / "vectors/lets_be_rational/test_values.csv"
    if not path.exists():
        return
    with path.open() as file:
        rows = list(csv.DictReader(file))
    F, K, T, vol, sign, black = (
        np.array([float(row[name]) for row in rows]) for name in ("F", "K", "T", "sigma", "q", "black")
    )
    out = tuple(np.empty(F.size) for _ in range(4))
    pricing.price_and_greeks(F, K, T, vol, np.ones(F.size), sign, *out)
    yield Record(
        name="pricing.max_error_vs_lets_be_rational",
        unit="of the forward",
        ours=float(np.max(np.abs(out[0] - black) / F)),
        peer=1e-10,
        peer_name="limit",
    )
    careful = black76.price(F, K, T, vol, call=sign > 0.0)
    yield Record(
        name="black76.max_error_vs_lets_be_rational",
        unit="of the price",
        ours=float(np.max(np.abs(careful - black) / np.where(black > 0.0, black, 1.0))),
        peer=1e-12,
        peer_name="limit",
    )


def some_options(n: int) -> tuple[Floats, ...]:
    """Return forward, strike, expiry, vol, discount and sign of n options as a venue lists them."""
    rng = np.random.default_rng(1)
    forward = rng.uniform(1_000.0, 4_000.0, n)
    expiry = rng.uniform(0.01, 2.0, n)
    strike = forward * np.exp(rng.normal(0.0, 0.3, n))
    return (
        forward,
        strike,
        expiry,
        rng.uniform(0.2, 1.5, n),
        np.exp(-0.03 * expiry),
        rng.choice([-1.0, 1.0], n),
    )


def chunked_numpy(options: tuple[Floats, ...], out: tuple[Floats, ...]) -> None:
    """Do the same with numpy, in chunks that stay in the cache."""
    for begin in range(0, options[0].size, CHUNK):
        part = slice(begin, begin + CHUNK)
        F, K, T, vol, D, sign = (column[part] for column in options)
        root_t = np.sqrt(T)
        sd = vol * root_t
        d1 = np.log(F / K) / sd + 0.5 * sd
        n1, n2 = ndtr(sign * d1), ndtr(sign * (d1 - sd))
        density = D * 0.3989422804014327 * np.exp(-0.5 * d1 * d1)
        price, delta, gamma, vega = (column[part] for column in out)
        price[:] = D * sign * (F * n1 - K * n2)
        delta[:] = D * sign * n1
        gamma[:] = density / (F * sd)
        vega[:] = density * F * root_t


class ReusedEngine:
    """One QuantLib option and engine whose quotes are moved: the fastest way it offers from Python.

    Black-76 depends on F / K and vol sqrt(T) only, up to scale, so one strike and expiry serve all.
    """

    def __init__(self) -> None:
        """Build the option: one year, struck at 100."""
        today = QuantLib.Date(1, 1, 2026)
        QuantLib.Settings.instance().evaluationDate = today
        count, calendar = QuantLib.Actual365Fixed(), QuantLib.NullCalendar()
        self.spot, self.vol = QuantLib.SimpleQuote(100.0), QuantLib.SimpleQuote(0.5)
        rate = QuantLib.YieldTermStructureHandle(QuantLib.FlatForward(today, 0.0, count))
        surface = QuantLib.BlackConstantVol(today, calendar, QuantLib.QuoteHandle(self.vol), count)
        process = QuantLib.BlackProcess(
            QuantLib.QuoteHandle(self.spot), rate, QuantLib.BlackVolTermStructureHandle(surface)
        )
        self.option = QuantLib.VanillaOption(
            QuantLib.PlainVanillaPayoff(QuantLib.Option.Call, 100.0),
            QuantLib.EuropeanExercise(today + QuantLib.Period(365, QuantLib.Days)),
        )
        self.option.setPricingEngine(QuantLib.AnalyticEuropeanEngine(process))

    def price_and_greeks(self, options: tuple[Floats, ...]) -> None:
        """Move the quotes to each option and read price, delta, gamma and vega."""
        F, K, T, vol, _, _ = options
        spots, spreads = (100.0 * F / K).tolist(), (vol * np.sqrt(T)).tolist()
        option = self.option
        for spot, spread in zip(spots, spreads, strict=True):
            self.spot.setValue(spot)
            self.vol.setValue(spread)
            option.NPV()
            option.delta()
            option.gamma()
            option.vega()
