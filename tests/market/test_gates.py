"""Surfaces and funding: what is unfit to be used."""

from dataclasses import replace

import pytest

from keeper.market import funding, surfaces
from keeper.market.age import too_old
from keeper.model.params import StalenessParams
from keeper.model.quote import Funding, VolSlice, VolSurface
from keeper.model.units import ONE, Wad

NOW_S = 1_700_000_000
LIMITS = StalenessParams(max_quote_age_s=3600, max_surface_age_s=86_400, max_skew_s=120, max_deviation=0.05)


def wads(*values: float) -> tuple[Wad, ...]:
    return tuple(Wad(round(v * ONE)) for v in values)


SLICE = VolSlice(expiry_s=NOW_S + 86_400, strikes=wads(1600, 1900), vols=wads(0.9, 0.8))
SURFACE = VolSurface(
    underlying="ETH",
    venue="lyra:10",
    chain_id=10,
    rate=Wad(0),
    slices=(SLICE, replace(SLICE, expiry_s=NOW_S + 2 * 86_400)),
    source="lyra:10:OptionMarket",
    observed_at_s=NOW_S,
)


def test_a_sound_surface_is_kept_as_it_is() -> None:
    assert surfaces.trusted([SURFACE], taken_at_s=NOW_S, limits=LIMITS) == ((SURFACE,), ())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"observed_at_s": NOW_S - 86_401}, "86401 s old, limit is 86400 s"),
        ({"slices": ()}, "holds no expiry"),
        ({"slices": (SLICE, SLICE)}, "do not ascend"),
        ({"slices": (replace(SLICE, strikes=(), vols=()),)}, "0 strikes"),
        ({"slices": (replace(SLICE, vols=wads(0.9)),)}, "2 strikes and 1 vols"),
        ({"slices": (replace(SLICE, strikes=wads(1900, 1600)),)}, "not positive and ascending"),
        ({"slices": (replace(SLICE, strikes=wads(0, 1600)),)}, "not positive and ascending"),
        ({"slices": (replace(SLICE, vols=wads(0.9, 0)),)}, "vol 0 is not positive"),
    ],
)
def test_an_unfit_surface_is_a_gap(change: dict[str, object], words: str) -> None:
    kept, (gap,) = surfaces.trusted([replace(SURFACE, **change)], taken_at_s=NOW_S, limits=LIMITS)  # type: ignore[arg-type]
    assert kept == ()
    assert (gap.what, gap.key, gap.chain_id) == ("surface", "lyra:10/ETH", 10)
    assert words in gap.reason


def test_stale_funding_is_a_gap() -> None:
    rate = Funding(
        instrument="curie:42161:0xETH",
        rate_per_day=Wad(0),
        source="s",
        chain_id=42161,
        observed_at_s=NOW_S - 3600,
    )
    stale = replace(rate, observed_at_s=NOW_S - 3601, source="t")
    kept, (gap,) = funding.trusted([stale, rate], taken_at_s=NOW_S, limits=LIMITS)
    assert kept == (rate,)
    assert (gap.what, gap.key) == ("funding", "t")


def test_an_age_at_the_limit_passes() -> None:
    assert too_old(100, taken_at_s=160, limit_s=60) is None
    assert too_old(99, taken_at_s=160, limit_s=60) == "61 s old, limit is 60 s"
