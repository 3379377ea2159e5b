"""What every margin model is: a name, two readers of JSON, one pure function, one typed result."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import wraps
from typing import Generic, Protocol, TypeVar

import numpy as np

from keeper.model.errors import DataError
from keeper.risk.models.fields import Record

Params = TypeVar("Params")


class Named(Protocol):
    """A frozen dataclass with the id of a case: the case itself, or its result."""

    @property
    def id(self) -> str:
        """As in the document, else the position in it."""


CaseT = TypeVar("CaseT", bound=Named)
ResultT = TypeVar("ResultT", bound=Named)


class NoFiniteMarginError(DataError):
    """The formulas overflow on this input, so there is no margin to report."""

    case: str
    """Id of the case."""

    field: str
    """Field of the result that is not finite."""

    def __init__(self, case: str, field: str) -> None:
        super().__init__(f"case {case!r}: {field} is not finite, expected parameters and amounts in range")
        self.case = case
        self.field = field


@dataclass(frozen=True, slots=True, kw_only=True)
class Model(Generic[Params, CaseT, ResultT]):
    """A margin model. Parameters are input: no number of a venue stands in its code."""

    name: str
    """As on the command line, for example `derive-srm`."""

    summary: str
    """One line for `keeper margin --list`."""

    units: Mapping[str, str]
    """Fields of the result that a table shows, in order, and the unit of each."""

    reading: str
    """How the signs are meant, one line for people."""

    params: Callable[[Record], Params]
    """Read the parameters from a document, or from a case that brings its own."""

    case: Callable[[str, Record], CaseT]
    """Read one case, given its id."""

    requirement: Callable[[Params, CaseT], ResultT]
    """Compute. Pure: same parameters and case, same result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginResult:
    """Answer of a scenario or rule-based margin model, in the unit of the case's cash."""

    id: str

    im: float
    """Initial margin balance: equity minus requirement, at least 0 where healthy."""

    mm: float
    """Maintenance margin balance, same sign."""

    mtm: float
    """Mark-to-market value, cash included."""

    worst_im: int | None
    """Scenario that sets `im`. The number of scenarios means the basis contingency. None: no scenarios."""

    worst_mm: int | None
    """Scenario that sets `mm`, same meaning."""

    scenario_pnl: tuple[float, ...]
    """Profit per scenario, in the order of the parameters."""


def finite_result(
    compute: Callable[[Params, CaseT], ResultT],
) -> Callable[[Params, CaseT], ResultT]:
    """Decorate a model's function: where its numbers overflow it raises `NoFiniteMarginError`."""

    @wraps(compute)
    def checked(params: Params, case: CaseT) -> ResultT:
        try:
            with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
                result = compute(params, case)
        except OverflowError as error:
            raise NoFiniteMarginError(case.id, "an intermediate number") from error
        for field in fields(result):  # type: ignore[arg-type]
            value = getattr(result, field.name)
            numbers = value if isinstance(value, tuple) else (value,)
            if any(isinstance(number, float) and not math.isfinite(number) for number in numbers):
                raise NoFiniteMarginError(result.id, field.name)
        return result

    return checked
