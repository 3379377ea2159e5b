"""Typed reading of a parsed JSON document: what is wrong is named by its path and never becomes a number.

* DataError
  * FieldError   a field is missing, of the wrong type, not finite, or out of range
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from keeper.model.errors import DataError
from keeper.model.units import Wad, to_float

_INT256: Final = 2**255


class FieldError(DataError):
    """A field of an input document is missing or unfit."""

    path: str
    """Where the field is, for example `cases[3] (srm/3): input.options[2].vol`."""

    expected: str
    """What would have been accepted, in words."""

    def __init__(self, path: str, *, found: str, expected: str) -> None:
        super().__init__(f"{path} is {found}, expected {expected}")
        self.path = path
        self.expected = expected


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A JSON object and where it stands in its document."""

    path: str
    """Prefix of every field's path, empty for the document itself."""

    values: Mapping[str, object]

    def __contains__(self, name: str) -> bool:
        """Whether the field is there and is not null."""
        return self.values.get(name) is not None

    def at(self, name: str) -> str:
        """Return the path of a field."""
        if not self.path:
            return name
        return f"{self.path} {name}" if self.path.endswith(":") else f"{self.path}.{name}"

    def unfit(self, name: str, expected: str) -> FieldError:
        """Return the error that names a field of this object, and what was expected of it."""
        found = _shown(self.values[name]) if name in self.values else "missing"
        return FieldError(self.at(name), found=found, expected=expected)

    def wad(
        self, name: str, *, low: float | None = None, high: float | None = None, default: float | None = None
    ) -> float:
        """Return an integer with 18 decimals, given as a string or a JSON integer, in units of 1.

        Raises
        ------
        FieldError
            The field is missing without a `default`, is not an integer of 256 bits, or is outside
            `low` to `high` (both inclusive).
        """
        if default is not None and name not in self:
            return default
        return self._within(name, to_float(self.exact(name)), low, high)

    def exact(self, name: str) -> Wad:
        """Return an integer with 18 decimals as it stands. Errors as in `wad`."""
        raw = self.values.get(name)
        try:
            whole = int(raw) if isinstance(raw, str) else raw
        except ValueError:
            whole = None
        if type(whole) is not int or abs(whole) >= _INT256:
            raise self.unfit(name, "an integer with 18 decimals")
        return Wad(whole)

    def real(
        self, name: str, *, low: float | None = None, high: float | None = None, default: float | None = None
    ) -> float:
        """Return a finite JSON number. Errors as in `wad`."""
        if default is not None and name not in self:
            return default
        raw = self.values.get(name)
        try:
            number = float(raw) if type(raw) in (int, float) else math.nan  # type: ignore[arg-type]
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise self.unfit(name, "a finite number")
        return self._within(name, number, low, high)

    def whole(self, name: str, *, low: int, high: int | None = None) -> int:
        """Return an integer, given as a JSON integer or its digits, for example seconds."""
        raw = self.values.get(name)
        try:
            number = int(raw) if isinstance(raw, str) else raw
        except ValueError:
            number = None
        top = _INT256 if high is None else high
        if type(number) is not int or not low <= number <= top:
            expected = f"an integer of at least {low}" if high is None else f"an integer from {low} to {high}"
            raise self.unfit(name, expected)
        return number

    def flag(self, name: str) -> bool:
        """Return `true` or `false`."""
        raw = self.values.get(name)
        if not isinstance(raw, bool):
            raise self.unfit(name, "true or false")
        return raw

    def text(self, name: str, *, one_of: Sequence[str] | None = None, default: str | None = None) -> str:
        """Return a string that is not empty, one of `one_of` where given."""
        if default is not None and name not in self:
            return default
        raw = self.values.get(name)
        if not isinstance(raw, str) or not raw or (one_of is not None and raw not in one_of):
            raise self.unfit(name, "a text" if one_of is None else f"one of {', '.join(one_of)}")
        return raw

    def record(self, name: str) -> "Record":
        """Return an object inside this one."""
        raw = self.values.get(name)
        if not isinstance(raw, Mapping):
            raise self.unfit(name, "an object")
        return Record(path=self.at(name), values=raw)

    def records(self, name: str, *, optional: bool = False) -> tuple["Record", ...]:
        """Return a list of objects. A missing `optional` list is an empty one."""
        if optional and name not in self:
            return ()
        raw = self.values.get(name)
        if not isinstance(raw, list):
            raise self.unfit(name, "a list of objects")
        for row, entry in enumerate(raw):
            if not isinstance(entry, Mapping):
                raise FieldError(f"{self.at(name)}[{row}]", found=_shown(entry), expected="an object")
        return tuple(Record(path=f"{self.at(name)}[{row}]", values=entry) for row, entry in enumerate(raw))

    def reals(
        self, name: str, *, low: float | None = None, high: float | None = None, length: int | None = None
    ) -> tuple[float, ...]:
        """Return a list of finite JSON numbers, of `length` where given."""
        raw = self.values.get(name)
        if not isinstance(raw, list):
            raise self.unfit(name, "a list of numbers")
        if length is not None and len(raw) != length:
            path, found = self.at(name), f"a list of {len(raw)}"
            raise FieldError(path, found=found, expected=f"a list of {length} numbers")
        rows = Record(path=self.path, values={f"{name}[{row}]": entry for row, entry in enumerate(raw)})
        return tuple(rows.real(entry, low=low, high=high) for entry in rows.values)

    def names(self) -> Iterator[str]:
        """Iterate over the names of the fields."""
        return iter(self.values)

    def _within(self, name: str, number: float, low: float | None, high: float | None) -> float:
        if (low is not None and number < low) or (high is not None and number > high):
            bounds = f"at least {low:g}" if high is None else f"at most {high:g}"
            raise self.unfit(name, f"{low:g} to {high:g}" if None not in (low, high) else bounds)
        return number


def _shown(value: object) -> str:
    """Return a value as an error may print it: short, on one line."""
    if value is None:
        return "null"
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
