"""Scenarios that move one thing: basis, skew, or one underlying alone.

A book that nets to nothing over the spot still holds the perp against the future, one wing against
the other, and one coin against the next. These rows ask each of those bets by itself.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from keeper.model.errors import UnfitValueError
from keeper.risk.inputs import Floats, finite, positions_of, require
from keeper.risk.scenarios import Scenarios, scenarios


def basis_scenarios(
    underlyings: Sequence[str], *, perp_range: ArrayLike, future_range: ArrayLike
) -> Scenarios:
    """Return the eight ways in which perp and forwards part from the spot and from each other.

    Per basis pair (perp, future): each alone up and down, both together, and against each other; the spot
    stands. All underlyings move together.

    Parameters
    ----------
    underlyings
        Column names, length U.
    perp_range, future_range
        Relative moves on top of the spot, scalar or shape (U,), at least 0 and below 1. House basis
        charge: 1 %; OKX moves BTC and ETH by an annualised 5 % between expiries.

    Raises
    ------
    UnfitValueError
        For ranges outside those bounds.

    Notes
    -----
    Source: OKX portfolio margin, MR4 (basis risk); the 1 % of the cross-venue example.
    """
    perp, future = (
        _range(field, values, len(underlyings))
        for field, values in (("perp_range", perp_range), ("future_range", future_range))
    )
    signs = [(p, f) for p in (1.0, 0.0, -1.0) for f in (1.0, 0.0, -1.0) if p or f]
    return scenarios(
        underlyings,
        [f"basis/perp{p:+.0f}/future{f:+.0f}" for p, f in signs],
        perp_basis_move=np.array([p * perp for p, _ in signs]),
        future_basis_move=np.array([f * future for _, f in signs]),
    )


def per_expiry(table: Scenarios, factor_of: Mapping[str, str]) -> Scenarios:
    """Return the scenarios over finer factors, each with the column of its underlying.

    A dated future or an expiry becomes a factor of its own by having its own column: list `ETH-27MAR26`
    beside `ETH` in `Instruments.underlyings`, and let `futures_apart` move it.

    Parameters
    ----------
    table
        Scenarios over underlyings.
    factor_of
        Underlying of each finer factor, by name, in the order of the new columns.

    Raises
    ------
    UnfitValueError
        For an underlying that `table` does not hold.

    Examples
    --------
    >>> from keeper.risk.scenarios import grid
    >>> per_expiry(grid(["ETH"]), {"ETH": "ETH", "ETH-27MAR26": "ETH"}).underlyings
    ('ETH', 'ETH-27MAR26')
    """
    columns = positions_of("factor_of", list(factor_of.values()), table.underlyings)
    return Scenarios(
        names=table.names,
        underlyings=tuple(factor_of),
        spot_move=table.spot_move[:, columns],
        vol_move=table.vol_move[:, columns],
        perp_basis_move=table.perp_basis_move[:, columns],
        future_basis_move=table.future_basis_move[:, columns],
        skew_move=table.skew_move[:, columns],
        vol_power_short=table.vol_power_short,
        vol_power_long=table.vol_power_long,
        vol_floor=table.vol_floor,
        weight=table.weight,
    )


def futures_apart(factors: Sequence[str], years: ArrayLike, *, annual_rate: float) -> Scenarios:
    """Return each expiry's forward moving alone, and each pair moving against each other.

    An expiry of T years moves by annual_rate T, so far expiries move further. 2 F rows alone and
    F (F - 1) rows in pairs; the spot stands.

    Parameters
    ----------
    factors
        Columns, one per expiry (`per_expiry`), length F.
    years
        To each expiry, at least 0, shape (F,).
    annual_rate
        Annualised basis move, at least 0. OKX: 5 % for BTC and ETH, 15 % large, 30 % other coins.

    Raises
    ------
    UnfitValueError
        Shapes differ, negative, or a move of 100 % or more.

    Notes
    -----
    Source: OKX portfolio margin, MR4 (basis risk between expiries).
    """
    tenor = finite("years", years, shape=(len(factors),))
    require("years", tenor, tenor >= 0.0, "at least 0")
    require("annual_rate", annual_rate, 0.0 <= annual_rate < np.inf, "finite and at least 0")
    move = annual_rate * tenor
    require("years", move, move < 1.0, "a basis move below 1")
    alone = [(f"{name}{sign:+.0f}", {i: sign}) for i, name in enumerate(factors) for sign in (1.0, -1.0)]
    pairs = [
        (f"{factors[i]}+1/{factors[j]}-1", {i: 1.0, j: -1.0})
        for i in range(len(factors))
        for j in range(len(factors))
        if i != j
    ]
    signs = np.zeros((len(alone) + len(pairs), len(factors)))
    for row, (_, legs) in enumerate(alone + pairs):
        for column, sign in legs.items():
            signs[row, column] = sign
    return scenarios(factors, [f"future/{name}" for name, _ in alone + pairs], future_basis_move=signs * move)


def skew_scenarios(
    underlyings: Sequence[str],
    *,
    skew_range: ArrayLike,
    spot_range: ArrayLike = 0.0,
) -> Scenarios:
    """Return the smile tilting each way, with the spot still and moving either way.

    Six rows, or two where the spot range is 0. `skew_range` is the relative change of vol per standard
    deviation of log-moneyness, as `Scenarios.skew_move`: 0.05 moves a 25-delta option's vol by 3.4 %.

    Parameters
    ----------
    underlyings
        Column names, length U.
    skew_range
        Scalar or shape (U,), at least 0 and below 1. On 5 February 2026 it moved by -0.06 (BTC), -0.07 (ETH).
    spot_range
        Relative moves of the spot that go with it, scalar or shape (U,), at least 0 and below 1.

    Raises
    ------
    UnfitValueError
        For ranges outside those bounds.
    """
    tilt = _range("skew_range", skew_range, len(underlyings))
    spot = _range("spot_range", spot_range, len(underlyings))
    spot_signs = (0.0,) if not spot.any() else (-1.0, 0.0, 1.0)
    signs = [(s, k) for s in spot_signs for k in (-1.0, 1.0)]
    return scenarios(
        underlyings,
        [f"skew{k:+.0f}/spot{s:+.0f}" for s, k in signs],
        spot_move=np.array([s * spot for s, _ in signs]),
        skew_move=np.array([k * tilt for _, k in signs]),
    )


def one_at_a_time(table: Scenarios) -> Scenarios:
    """Return every scenario for each underlying alone, the others standing still, S x U rows.

    Names gain the underlying: `spot+1.00r/vol+0.40/ETH only`. What a cross-coin hedge loses when the
    coins part company.

    Raises
    ------
    UnfitValueError
        If there is no underlying.
    """
    U = len(table.underlyings)
    if not U:
        raise UnfitValueError("underlyings", "none given, expected at least one")
    alone = np.tile(np.eye(U), (len(table), 1))

    def only(matrix: Floats) -> Floats:
        return np.repeat(matrix, U, axis=0) * alone

    return Scenarios(
        names=tuple(f"{name}/{underlying} only" for name in table.names for underlying in table.underlyings),
        underlyings=table.underlyings,
        spot_move=only(table.spot_move),
        vol_move=only(table.vol_move),
        perp_basis_move=only(table.perp_basis_move),
        future_basis_move=only(table.future_basis_move),
        skew_move=only(table.skew_move),
        vol_power_short=np.repeat(table.vol_power_short, U),
        vol_power_long=np.repeat(table.vol_power_long, U),
        vol_floor=np.repeat(table.vol_floor, U),
        weight=np.repeat(table.weight, U),
    )


def _range(field: str, values: ArrayLike, size: int) -> Floats:
    given = finite(field, values)
    require(field, given, (given >= 0.0) & (given < 1.0), "at least 0 and below 1")
    try:
        return np.broadcast_to(given, (size,))
    except ValueError:
        raise UnfitValueError(field, f"shape is {given.shape}, expected ({size},)") from None
