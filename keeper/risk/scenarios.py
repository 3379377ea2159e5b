"""Scenarios: what may happen to spot, basis and vol, as columns ready for revaluation.

A scenario moves every underlying at once. Spot, perp basis and future basis are separate
factors, so a hedged book still shows the risk of its hedges drifting away from the spot.
Vol moves are quoted at 30 days and scaled to each tenor:

    tf(days) = (30 / max(days, days_floor)) ** power      short power below 30 days, long above
    up:    vol' = max(vol (1 + vol_move tf), vol_floor)
    down:  vol' = max(vol (1 + vol_move tf), 0)
    spot' = spot (1 + spot_move);   perp' = perp (1 + spot_move) (1 + perp_basis_move)

Source: Deribit portfolio margin (`private/pme/simulate`), Paradex portfolio margin.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from keeper.model.errors import UnfitValueError
from keeper.risk.inputs import Floats, finite, positions_of, require, unique

_MATRICES: Final = ("spot_move", "vol_move", "perp_basis_move", "future_basis_move", "skew_move")
_COLUMNS: Final = ("vol_power_short", "vol_power_long", "vol_floor", "weight")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scenarios:
    """S scenarios over U underlyings. Arrays are read-only float64."""

    names: tuple[str, ...]
    """One per scenario, length S, unique."""

    underlyings: tuple[str, ...]
    """One per column, length U, unique: the risk factors, as in `Instrument.underlying`."""

    spot_move: Floats
    """Relative move of the spot, shape (S, U), each above -1."""

    vol_move: Floats
    """Relative move of the vol at 30 days, shape (S, U)."""

    perp_basis_move: Floats
    """Relative move of perps on top of the spot, shape (S, U), each above -1."""

    future_basis_move: Floats
    """Relative move of dated forwards on top of the spot, shape (S, U), each above -1."""

    skew_move: Floats
    """Relative change of vol per unit of standardised log-moneyness, shape (S, U); see `shocked_vol`."""

    vol_power_short: Floats
    """Tenor power below 30 days, shape (S,); 0 is no scaling."""

    vol_power_long: Floats
    """Tenor power from 30 days on, shape (S,); 0 is no scaling."""

    vol_floor: Floats
    """Least vol after an up move, per year, shape (S,); 0 is none."""

    weight: Floats
    """Factor on the profit and loss, shape (S,), in 0..1 for dampened tails, else 1."""

    def __post_init__(self) -> None:
        S, U = len(self.names), len(self.underlyings)
        unique("names", self.names)
        unique("underlyings", self.underlyings)
        shapes = dict.fromkeys(_MATRICES, (S, U)) | dict.fromkeys(_COLUMNS, (S,))
        for field, shape in shapes.items():
            array = finite(field, getattr(self, field), shape=shape).copy()
            array.flags.writeable = False
            object.__setattr__(self, field, array)
        for field in ("spot_move", "perp_basis_move", "future_basis_move"):
            require(field, getattr(self, field), getattr(self, field) > -1.0, "a move above -1")
        for field in ("vol_floor", "weight"):
            require(field, getattr(self, field), getattr(self, field) >= 0.0, "at least 0")

    def __len__(self) -> int:
        return len(self.names)


def scenarios(
    underlyings: Sequence[str],
    names: Sequence[str],
    *,
    spot_move: ArrayLike = 0.0,
    vol_move: ArrayLike = 0.0,
    perp_basis_move: ArrayLike = 0.0,
    future_basis_move: ArrayLike = 0.0,
    skew_move: ArrayLike = 0.0,
    vol_power_short: ArrayLike = 0.0,
    vol_power_long: ArrayLike = 0.0,
    vol_floor: ArrayLike = 0.0,
    weight: ArrayLike = 1.0,
) -> Scenarios:
    """Build `Scenarios` from whatever broadcasts: scalars, one value a scenario, or the full table.

    Matrices accept a scalar, shape (S,) for one move of all underlyings, (1, U) or (S, U);
    columns accept a scalar or shape (S,). Units and signs as in `Scenarios`.

    Raises
    ------
    UnfitValueError
        Named by field and row: wrong shape, not finite, a move at or below -1, a negative weight.

    Examples
    --------
    >>> scenarios(["ETH"], ["down", "up"], spot_move=[-0.1, 0.1]).spot_move.tolist()
    [[-0.1], [0.1]]
    """
    S, U = len(names), len(underlyings)
    matrices = {
        "spot_move": spot_move,
        "vol_move": vol_move,
        "perp_basis_move": perp_basis_move,
        "future_basis_move": future_basis_move,
        "skew_move": skew_move,
    }
    columns = {
        "vol_power_short": vol_power_short,
        "vol_power_long": vol_power_long,
        "vol_floor": vol_floor,
        "weight": weight,
    }
    full = {field: _broadcast(field, values, (S, U)) for field, values in matrices.items()}
    full |= {field: _broadcast(field, values, (S,)) for field, values in columns.items()}
    return Scenarios(names=tuple(names), underlyings=tuple(underlyings), **full)


EXTENDED_MOVES: Final = (-0.66, -0.33, 0.50, 1.0, 2.0, 3.0, 4.0, 5.0)
"""Tail moves beyond the grid. Source: Deribit extended table; Paradex tail scenarios."""


def grid(
    underlyings: Sequence[str],
    *,
    spot_range: ArrayLike = 0.16,
    buckets: int = 4,
    vol_up: float = 0.40,
    vol_down: float = 0.22,
    vol_power_short: float = 0.30,
    vol_power_long: float = 0.13,
    vol_floor: float = 0.0,
    extended: Sequence[float] = EXTENDED_MOVES,
) -> Scenarios:
    """Return the house's first grid: spot in 2 x buckets + 1 steps, each with vol up, unchanged, down.

    Parameters
    ----------
    underlyings
        Column names, length U. All move together: step i moves each by spot_range i / buckets.
    spot_range
        Edge of the grid, relative, scalar or shape (U,), in 0..1. House default 16 %.
    buckets
        Steps on either side, at least 1.
    vol_up, vol_down
        Relative vol moves at 30 days, both positive.
    vol_power_short, vol_power_long, vol_floor
        As in `Scenarios`, the same for all rows.
    extended
        Moves beyond the edge, each with vol up and the loss dampened by weight range / |move|
        (the smallest range over the underlyings). A move inside the range keeps weight 1.

    Returns
    -------
    Scenarios
        3 (2 buckets + 1) + len(extended) rows, named `spot+1.00r/vol+0.40` (in units of the range)
        and, in the tail, `spot+1.00/vol+0.40`.

    Raises
    ------
    UnfitValueError
        For a range outside 0..1, no buckets, negative vol moves or an extended move at or below -1.

    Notes
    -----
    Source: Paradex portfolio margin (16 core and 8 tail scenarios, weight 0.16 / |move|); Deribit
    portfolio margin (nine moves by vol up, unchanged, down).
    """
    edge = np.broadcast_to(finite("spot_range", spot_range), (len(underlyings),))
    require("spot_range", edge, (edge > 0.0) & (edge < 1.0), "above 0 and below 1")
    require("buckets", buckets, buckets >= 1, "at least 1")
    require("vol_up", vol_up, vol_up >= 0.0, "at least 0")
    require("vol_down", vol_down, 0.0 <= vol_down <= 1.0, "in 0..1")

    steps = np.arange(-buckets, buckets + 1) / buckets
    core_spot = np.repeat(steps[:, None] * edge, 3, axis=0)
    core_vol = np.tile([vol_up, 0.0, -vol_down], len(steps))
    tail = finite("extended", extended, shape=(None,))
    tail_spot = np.repeat(tail[:, None], len(underlyings), axis=1)
    narrowest = float(edge.min()) if len(edge) else 1.0
    with np.errstate(divide="ignore"):
        tail_weight = np.minimum(1.0, narrowest / np.abs(tail))

    spot = np.vstack([core_spot, tail_spot])
    vol = np.concatenate([core_vol, np.full(len(tail), vol_up)])
    label = [f"spot{step:+.2f}r" for step in np.repeat(steps, 3)] + [f"spot{move:+.2f}" for move in tail]
    return scenarios(
        underlyings,
        [f"{name}/vol{v:+.2f}" for name, v in zip(label, vol, strict=True)],
        spot_move=spot,
        vol_move=vol,
        vol_power_short=vol_power_short,
        vol_power_long=vol_power_long,
        vol_floor=vol_floor,
        weight=np.concatenate([np.ones(len(core_vol)), tail_weight]),
    )


def concatenate(*parts: Scenarios) -> Scenarios:
    """Stack scenarios over the same underlyings, in order. Names must stay unique.

    Raises
    ------
    UnfitValueError
        If there is no part, the underlyings differ, or a name occurs twice.
    """
    if not parts:
        raise UnfitValueError("parts", "none given, expected at least one set of scenarios")
    underlyings = parts[0].underlyings
    for row, part in enumerate(parts):
        if part.underlyings != underlyings:
            raise UnfitValueError("parts", f"over {part.underlyings}, the first over {underlyings}", row=row)
    return Scenarios(
        names=tuple(name for part in parts for name in part.names),
        underlyings=underlyings,
        **{f: np.concatenate([getattr(p, f) for p in parts]) for f in (*_MATRICES, *_COLUMNS)},
    )


def restrict(
    whole: Scenarios, *, names: Sequence[str] | None = None, underlyings: Sequence[str] | None = None
) -> Scenarios:
    """Keep the named scenarios and underlyings, in the order asked for.

    Raises
    ------
    UnfitValueError
        For a name or underlying that `whole` does not hold.
    """
    rows = positions_of("scenario", whole.names if names is None else names, whole.names)
    columns = positions_of(
        "underlying", whole.underlyings if underlyings is None else underlyings, whole.underlyings
    )
    matrices = {f: getattr(whole, f)[np.ix_(rows, columns)] for f in _MATRICES}
    return Scenarios(
        names=tuple(whole.names[i] for i in rows),
        underlyings=tuple(whole.underlyings[i] for i in columns),
        **matrices,
        **{f: getattr(whole, f)[rows] for f in _COLUMNS},
    )


def extend(narrow: Scenarios, underlyings: Sequence[str]) -> Scenarios:
    """Add columns of underlyings that do not move, so that `underlyings` are covered in that order.

    Raises
    ------
    UnfitValueError
        If `underlyings` leaves out one that moves: dropping a factor must be asked of `restrict`.
    """
    targets = positions_of("underlying", narrow.underlyings, underlyings)
    matrices: dict[str, Floats] = {}
    for field in _MATRICES:
        matrices[field] = np.zeros((len(narrow), len(underlyings)))
        matrices[field][:, targets] = getattr(narrow, field)
    return Scenarios(
        names=narrow.names,
        underlyings=tuple(underlyings),
        **matrices,
        **{f: getattr(narrow, f) for f in _COLUMNS},
    )


def tenor_factor(
    days: ArrayLike, *, power_short: ArrayLike, power_long: ArrayLike, days_floor: float = 1.0
) -> Floats:
    """Return (30 / max(days, days_floor)) ** power, the short power below 30 days, else the long.

    `days` are days to expiry, at least 0; all arguments broadcast. The floor keeps an option in its
    last hours from an unbounded vol move (Paradex floors at one day).

    Examples
    --------
    >>> round(float(tenor_factor(10.0, power_short=0.30, power_long=0.13)), 6)
    1.390389
    """
    tenor = np.maximum(np.asarray(days, dtype=np.float64), days_floor)
    power = np.where(tenor < 30.0, power_short, power_long)
    factor: Floats = np.power(30.0 / tenor, power)
    return factor


MONEYNESS_CAP: Final = 2.0
"""Standard deviations of log-moneyness beyond which a skew move grows no further (house choice)."""


def shocked_vol(
    table: Scenarios,
    vol: ArrayLike,
    days: ArrayLike,
    underlying: ArrayLike,
    *,
    log_moneyness_sd: ArrayLike = 0.0,
    days_floor: float = 1.0,
) -> Floats:
    """Return the vol of n options in every scenario, shape (S, n), per year.

    vol' = vol (1 + vol_move tf(days) + skew_move clip(x, -2, 2)), floored at `vol_floor` after an up
    move and at 0 always. x is `log_moneyness_sd` = ln(K / F) / (vol sqrt(T)): the skew tilts around
    the forward, so a positive skew_move lifts calls and lowers puts.

    Parameters
    ----------
    table
        The scenarios, S of them.
    vol
        Vol before the move, per year, shape (n,).
    days
        Days to expiry, shape (n,).
    underlying
        Column of each option in `table`, integers, shape (n,).
    log_moneyness_sd
        x above, scalar or shape (n,); matters only where a scenario moves the skew.
    days_floor
        As in `tenor_factor`.
    """
    column = np.asarray(underlying, dtype=np.intp)
    base = np.asarray(vol, dtype=np.float64)
    tf = tenor_factor(
        np.asarray(days, dtype=np.float64)[None, :],
        power_short=table.vol_power_short[:, None],
        power_long=table.vol_power_long[:, None],
        days_floor=days_floor,
    )
    move = table.vol_move[:, column]
    tilt = table.skew_move[:, column] * np.clip(log_moneyness_sd, -MONEYNESS_CAP, MONEYNESS_CAP)
    moved = base * (1.0 + move * tf + tilt)
    least = np.where(move > 0.0, table.vol_floor[:, None], 0.0)
    shocked: Floats = np.maximum(moved, least)
    return shocked


def _broadcast(field: str, values: ArrayLike, shape: tuple[int, ...]) -> Floats:
    array = finite(field, values)
    if len(shape) == 2 and array.ndim == 1:
        array = array[:, None]
    try:
        return np.broadcast_to(array, shape)
    except ValueError:
        raise UnfitValueError(field, f"shape is {array.shape}, expected {shape}") from None
