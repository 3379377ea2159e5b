"""How an input document holds its cases, the same for every model.

* `{"params": ..., "cases": [{"id": ..., ...}, ...]}`: many cases under common parameters
* `{"columns": [...], "rows": [[...], ...]}`: a table, one case per row
* `[{...}, ...]` or `{"name": {...}, ...}`: cases by themselves, listed or named
* any other object: one case, which brings its own parameters

A case with `params` or `model_params` of its own is computed with these.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from keeper.model.errors import DataError, UnfitValueError
from keeper.risk.models.fields import FieldError, Record
from keeper.risk.models.model import Model

_SINGLE = frozenset({"input", "params", "model_params"})


class UnfitCaseError(DataError):
    """A case that reads well cannot be computed: an amount out of range, a name without parameters."""

    path: str
    """Where the case stands, for example `cases[3] (desk)`."""

    def __init__(self, path: str, problem: DataError) -> None:
        super().__init__(f"{path} {problem}" if path else str(problem))
        self.path = path


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """An input file, taken apart."""

    shared: Record
    """Where parameters common to all cases stand."""

    cases: tuple[tuple[str, Record], ...]
    """Id and content, at least one."""


def document(parsed: object) -> Document:
    """Take a parsed JSON document apart.

    Raises
    ------
    FieldError
        It is none of the forms above, holds no case, or a row has not one number per column.
    """
    if isinstance(parsed, list):
        root = Record(path="", values={"cases": parsed})
        return Document(shared=Record(path="", values={}), cases=_listed(root, "cases"))
    if not isinstance(parsed, Mapping):
        raise FieldError("document", found=type(parsed).__name__, expected="an object or a list of cases")
    root = Record(path="", values=parsed)
    if "cases" in root:
        return Document(shared=root, cases=_listed(root, "cases"))
    if "rows" in root:
        return Document(shared=root, cases=_table(root))
    if parsed and not _SINGLE & parsed.keys() and all(isinstance(v, Mapping) for v in parsed.values()):
        named = tuple((name, Record(path=f"{name}:", values=root.record(name).values)) for name in parsed)
        return Document(shared=root, cases=named)
    return Document(shared=root, cases=((_id(root, "0"), root),))


def evaluate(model: Model[Any, Any, Any], held: Document) -> Iterator[Any]:
    """Yield the model's result for every case, in order.

    Raises
    ------
    DataError
        At the first case that is unfit; the message names it.
    """
    common: Any = None
    read = False
    for id_, record in held.cases:
        own = "params" in record or "model_params" in record
        if not own and not read:
            common, read = model.params(held.shared), True
        try:
            parameters = model.params(record) if own else common
            yield model.requirement(parameters, model.case(id_, record))
        except UnfitValueError as error:
            raise UnfitCaseError(record.path, error) from error


def _listed(root: Record, name: str) -> tuple[tuple[str, Record], ...]:
    records = root.records(name)
    if not records:
        raise root.unfit(name, "at least one case")
    cases = []
    for row, record in enumerate(records):
        id_ = _id(record, str(row))
        named = f"{record.path} ({id_}):" if "id" in record else f"{record.path}:"
        cases.append((id_, Record(path=named, values=record.values)))
    return tuple(cases)


def _table(root: Record) -> tuple[tuple[str, Record], ...]:
    columns, rows = root.values.get("columns"), root.values.get("rows")
    if not isinstance(columns, list) or not all(isinstance(column, str) for column in columns):
        raise root.unfit("columns", "a list of names")
    if not isinstance(rows, list) or not rows:
        raise root.unfit("rows", "a list of at least one row")
    cases = []
    for number, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(columns):
            found = f"a list of {len(row)}" if isinstance(row, list) else type(row).__name__
            raise FieldError(
                f"rows[{number}]", found=found, expected=f"{len(columns)} values, one per column"
            )
        record = Record(path=f"rows[{number}]:", values=dict(zip(columns, row, strict=True)))
        cases.append((str(number), record))
    return tuple(cases)


def _id(record: Record, otherwise: str) -> str:
    raw = record.values.get("id", otherwise)
    if isinstance(raw, str) and raw:
        return raw
    if type(raw) is int:
        return str(raw)
    raise record.unfit("id", "a text")
