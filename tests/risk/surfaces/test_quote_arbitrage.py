"""Arbitrage in raw quotes: planted trades are found, fair books pass, and a linear programme agrees."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linprog

from keeper.risk import black76
from keeper.risk.surfaces.quote_arbitrage import QuoteArbitrageError, quote_offences, require_fair_quotes
from keeper.risk.surfaces.smile_quotes import SmileQuotes, book_quotes

K = np.array([70.0, 80.0, 90.0, 100.0, 110.0, 120.0, 140.0])
F, T = 100.0, 0.25
MID = black76.price(F, K, T, 0.6, call=True)


def calls(bid: ArrayLike, ask: ArrayLike, *, strikes: ArrayLike = K, expiry_y: ArrayLike = T) -> SmileQuotes:
    n = np.size(strikes)
    return book_quotes(
        expiry_y=np.broadcast_to(np.asarray(expiry_y), (n,)),
        strike_usd=np.asarray(strikes),
        call=np.ones(n, dtype=bool),
        bid=np.asarray(bid),
        ask=np.asarray(ask),
        forward_usd=np.full(n, F),
        coin=False,
    ).quotes


def test_a_fair_book_passes() -> None:
    require_fair_quotes(calls(MID * 0.99, MID * 1.01))


def test_a_dear_middle_is_a_butterfly_with_its_wings() -> None:
    bid, ask = MID * 0.99, MID * 1.01
    bid[3], ask[3] = bid[3] + 3.0, ask[3] + 3.0
    (offence,) = quote_offences(calls(bid, ask))
    assert offence.kind == "butterfly"
    assert offence.strikes_usd == (100.0, 90.0, 110.0)
    assert offence.gain_usd == pytest.approx(bid[3] - 0.5 * (ask[2] + ask[4]))


def test_a_higher_strike_that_bids_more_is_a_vertical_spread() -> None:
    bid, ask = MID * 0.99, MID * 1.01
    bid[6], ask[6] = ask[5] + 1.0, ask[5] + 2.0
    (offence,) = quote_offences(calls(bid, ask))
    assert (offence.kind, offence.strikes_usd) == ("vertical", (140.0, 120.0))
    assert offence.gain_usd == pytest.approx(1.0)


def test_an_ask_below_intrinsic_value_is_named() -> None:
    bid, ask = MID * 0.99, MID * 1.01
    bid[0], ask[0] = 28.0, 29.0
    offences = quote_offences(calls(bid, ask))
    assert ("intrinsic", (70.0,)) in {(o.kind, o.strikes_usd) for o in offences}


def test_a_put_too_cheap_for_its_call_is_parity() -> None:
    quotes = book_quotes(
        expiry_y=[T, T], strike_usd=[100.0, 100.0], call=[True, False], bid=[12.0, 10.0], ask=[12.2, 10.2],
        forward_usd=[F, F], coin=False,
    ).quotes  # fmt: skip
    (offence,) = quote_offences(quotes)
    assert (offence.kind, offence.strikes_usd) == ("parity", (100.0, 100.0))
    assert offence.gain_usd == pytest.approx(1.8)


def test_a_nearer_option_that_is_dearer_is_a_calendar_spread() -> None:
    late = black76.price(F, K, 0.5, 0.35, call=True)
    quotes = calls(
        np.concatenate([MID * 0.99, late * 0.99]),
        np.concatenate([MID * 1.01, late * 1.01]),
        strikes=np.tile(K, 2),
        expiry_y=np.repeat([T, 0.5], K.size),
    )
    with pytest.raises(QuoteArbitrageError) as refusal:
        require_fair_quotes(quotes)
    assert {o.kind for o in refusal.value.offences} == {"calendar"}
    assert (100.0, 100.0) in {o.strikes_usd for o in refusal.value.offences}
    assert all(o.expiry_y == (T, 0.5) for o in refusal.value.offences)
    assert "strikes 100 / 100" in str(refusal.value)


def test_only_the_first_offences_are_printed() -> None:
    with pytest.raises(QuoteArbitrageError, match="and 2 more") as refusal:
        require_fair_quotes(calls(MID[::-1] * 0.99, MID[::-1] * 1.01))
    assert len(refusal.value.offences) == 7


def fair_function_exists(bid: NDArray[np.float64], ask: NDArray[np.float64]) -> bool:
    """Ask a linear programme for any convex falling call function between bids and asks."""
    x = np.concatenate([[0.0], K / F])
    n = x.size
    rows, limits = [], []
    for i in range(n - 1):  # slopes between -1 and 0
        row = np.zeros(n)
        row[i], row[i + 1] = -1.0, 1.0
        rows += [row, -row]
        limits += [0.0, x[i + 1] - x[i]]
    for i in range(1, n - 1):  # convexity
        row = np.zeros(n)
        left, right = x[i] - x[i - 1], x[i + 1] - x[i]
        row[i - 1], row[i], row[i + 1] = -right, left + right, -left
        rows.append(row)
        limits.append(0.0)
    bounds = [(1.0, 1.0), *((low, high) for low, high in zip(bid / F, ask / F, strict=True))]
    found = linprog(np.zeros(n), A_ub=np.array(rows), b_ub=np.array(limits), bounds=bounds, method="highs")
    return bool(found.status == 0)


@settings(max_examples=60)
@given(st.lists(st.floats(-0.08, 0.08), min_size=7, max_size=7), st.floats(0.002, 0.05))
def test_verdict_agrees_with_a_linear_programme(noise: list[float], width: float) -> None:
    mid = MID * (1.0 + np.array(noise))
    bid, ask = mid * (1.0 - width), mid * (1.0 + width)
    offences = quote_offences(calls(bid, ask), tolerance=0.0)
    if any(o.gain_usd > 1e-6 for o in offences):
        assert not fair_function_exists(bid, ask)
    if not offences:
        assert fair_function_exists(bid - 1e-9, ask + 1e-9)
