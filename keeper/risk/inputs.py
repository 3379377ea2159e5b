"""Checks of array input: what is wrong is named by field and row, and never becomes a NaN margin."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keeper.model.errors import UnfitValueError

Floats: TypeAlias = NDArray[np.float64]


def finite(field: str, values: ArrayLike, *, shape: tuple[int | None, ...] | None = None) -> Floats:
    """Return `values` as float64 with every element finite.

    Parameters
    ----------
    field
        Name for the message.
    values
        Anything numpy reads as numbers.
    shape
        Expected shape; None in it stands for any length. Not checked where absent.

    Raises
    ------
    UnfitValueError
        If the shape differs, or at the first NaN or infinity.
    """
    array = np.asarray(values, dtype=np.float64)
    if shape is not None and not (
        array.ndim == len(shape) and all(s in (None, n) for s, n in zip(shape, array.shape, strict=True))
    ):
        wanted = ", ".join("any" if s is None else str(s) for s in shape)
        raise UnfitValueError(field, f"shape is {array.shape}, expected ({wanted})")
    require(field, array, np.isfinite(array), "a finite number")
    return array


def require(field: str, values: ArrayLike, fits: ArrayLike, expected: str) -> None:
    """Raise `UnfitValueError` at the first element of `values` for which `fits` is false."""
    good = np.asarray(fits, dtype=np.bool_)
    if good.all():
        return
    array = np.broadcast_to(np.asarray(values), good.shape)
    at = np.unravel_index(int((~good).argmax()), good.shape) if good.ndim else ()
    column = "".join(f", column {i}" for i in at[1:])
    raise UnfitValueError(
        field, f"{array[at]} is not {expected}{column}", row=int(at[0]) if len(at) else None
    )


def unique(field: str, names: Sequence[str]) -> tuple[str, ...]:
    """Return `names` as a tuple, or raise `UnfitValueError` at the first that occurs twice."""
    seen: set[str] = set()
    for row, name in enumerate(names):
        if name in seen:
            raise UnfitValueError(field, f"{name!r} occurs twice, expected unique names", row=row)
        seen.add(name)
    return tuple(names)


def positions_of(field: str, wanted: Sequence[str], known: Sequence[str]) -> list[int]:
    """Return the index of each wanted name in `known`, or raise `UnfitValueError` at the first stranger."""
    index = {name: i for i, name in enumerate(known)}
    for row, name in enumerate(wanted):
        if name not in index:
            raise UnfitValueError(field, f"{name!r} is unknown, expected one of {', '.join(known)}", row=row)
    return [index[name] for name in wanted]
