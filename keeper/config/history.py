"""The price history: a CSV file of daily closes, read once, before the first cycle.

    date,ETH,BTC
    2026-01-01,2987.40,88731.98
    2026-01-02,3124.42,89944.69

A close belongs to the midnight UTC that ends its day. Days may be missing; cells may not: a return is
only taken over one day, and only where every underlying has both its closes.
"""

import csv
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from math import isfinite
from pathlib import Path
from typing import Final

from keeper.model.errors import ConfigError
from keeper.model.params import PriceHistory

LEAST_RETURNS: Final = 100
"""Below, the worst 1 % of the days would be less than one day."""


class PricesUnfitError(ConfigError):
    """The file of daily closes cannot be used."""

    path: Path
    line: int | None
    """Where, counted from 1; None where it is the whole file."""

    problem: str
    """What is wrong and what was expected, without the path."""

    def __init__(self, path: Path, problem: str, *, line: int | None = None) -> None:
        self.problem = problem if line is None else f"line {line}: {problem}"
        super().__init__(f"{path}: {self.problem}")
        self.path = path
        self.line = line


def read_history(path: Path) -> PriceHistory:
    """Return the closes of a file.

    Raises `PricesUnfitError`: no such file, a header without `date` and an underlying, a line with a missing
    or unfit cell, dates that do not rise, or fewer than `LEAST_RETURNS` pairs of days in a row.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.reader(file, strict=True))
    except OSError as error:
        raise PricesUnfitError(path, f"cannot be read: {error.strerror or error}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise PricesUnfitError(path, f"is not a CSV file in UTF-8: {error}") from error
    lines = ((number, row) for number, row in enumerate(rows, start=1) if row)
    underlyings = _header(path, lines)
    days: list[date] = []
    closes: list[tuple[float, ...]] = []
    for number, row in lines:
        day, day_closes = _line(path, number, row, underlyings)
        if days and day <= days[-1]:
            raise PricesUnfitError(path, f"{day} does not come after {days[-1]}", line=number)
        days.append(day)
        closes.append(day_closes)
    returns = sum(later - earlier == timedelta(days=1) for earlier, later in pairwise(days))
    if returns < LEAST_RETURNS:
        raise PricesUnfitError(path, f"{returns} daily returns, expected at least {LEAST_RETURNS}")
    return PriceHistory(
        underlyings=underlyings, times_s=tuple(_end_s(day) for day in days), closes_usd=tuple(closes)
    )


def _line(
    path: Path, number: int, row: list[str], underlyings: tuple[str, ...]
) -> tuple[date, tuple[float, ...]]:
    if len(row) != 1 + len(underlyings):
        expected = f"expected a date and a close of {', '.join(underlyings)}"
        raise PricesUnfitError(path, f"{len(row)} cells, {expected}", line=number)
    try:
        day = date.fromisoformat(row[0].strip())
    except ValueError:
        raise PricesUnfitError(path, f'date is "{row[0]}", expected YYYY-MM-DD', line=number) from None
    return day, tuple(
        _close(path, number, name, cell) for name, cell in zip(underlyings, row[1:], strict=True)
    )


def _header(path: Path, lines: Iterator[tuple[int, list[str]]]) -> tuple[str, ...]:
    number, row = next(lines, (1, []))
    names = tuple(cell.strip() for cell in row)
    underlyings = names[1:]
    if names[:1] != ("date",) or not underlyings or not all(underlyings):
        raise PricesUnfitError(path, "expected a header: date and one column per underlying", line=number)
    if len(set(underlyings)) < len(underlyings):
        raise PricesUnfitError(path, "an underlying occurs twice in the header", line=number)
    return underlyings


def _close(path: Path, number: int, name: str, cell: str) -> float:
    try:
        close = float(cell)
    except ValueError:
        close = 0.0
    if not (isfinite(close) and close > 0.0):
        raise PricesUnfitError(path, f'{name} is "{cell}", expected a close above 0', line=number)
    return close


def _end_s(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) + 86_400
