"""Every field of every model's input, replaced by everything that does not belong there.

Whatever comes in, the answer is a finite margin or an error that says where: never a NaN, and never an
exception that was not raised on purpose.
"""

import copy
import json
import math
from collections.abc import Iterator
from typing import Any, Final

import pytest

from keeper.model.errors import DataError
from keeper.risk.models import NAMES, UnknownModelError, model
from keeper.risk.models.documents import document, evaluate
from tests.risk.models import deribit_cases as deribit
from tests.risk.models import derive_cases as derive
from tests.risk.models import test_house as house
from tests.risk.models import test_saccr as saccr

Path = tuple[str | int, ...]

_LEGS: Final = [derive.option(-1.0, 2000.0, call=True), derive.option(2.0, 1800.0, call=False)]
_COLLATERAL: Final = [{"slot": 0, "amount": 1.0, "price": 2000.0, "conf": 0.5}]


def _derive(params: Any, case: Any) -> Any:
    return derive.scaled(
        {"params": params, "collateralSlots": derive.SLOTS, "cases": [{"id": "x", "input": case}]}
    )


DOCUMENTS: Final[dict[str, Any]] = {
    "black76": {
        "columns": ["timeToExpirySec", "discount", "volatility", "forward", "strike"],
        "rows": [[86_400, derive.wad(0.99), derive.wad(0.6), derive.wad(2000.0), derive.wad(2100.0)]],
    },
    "deribit-pme": [deribit.case({"BTC-PERPETUAL": 1.0, deribit.CALL: -2.0})],
    "derive-pmrm-1": _derive(derive.V1, derive.portfolio(options=_LEGS, perpPos=1.0, base=1.0, spotConf=0.5)),
    "derive-pmrm-2": _derive(
        derive.V2, derive.portfolio(options=_LEGS, perpPos=1.0, collaterals=_COLLATERAL, spotConf=0.5)
    ),
    "derive-srm": _derive(
        derive.SRM,
        {"stable": 0.9, "cash": 1.0, "markets": [derive.market(options=_LEGS, perpPos=1.0, base=1.0)]},
    ),
    "house": house.BOOK,
    "saccr": {"cases": [{"id": "x", **saccr.EXAMPLES["ex5"]}]},
}

NASTY: Final[tuple[Any, ...]] = (
    None,
    "",
    "nan",
    "1e400",
    math.nan,
    math.inf,
    -1,
    -(10**30),
    1e308,
    10**400,
    str(2**254),
    True,
    [],
    {},
    [[]],
)


def test_every_model_has_a_document_here() -> None:
    assert set(DOCUMENTS) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_documents_are_fit(name: str) -> None:
    (result,) = outcome(name, DOCUMENTS[name])
    assert finite(result)


@pytest.mark.parametrize("name", NAMES)
def test_no_field_can_be_broken_unnoticed(name: str) -> None:
    messages = []
    for path in leaves(DOCUMENTS[name]):
        for value in NASTY:
            try:
                results = outcome(name, replaced(DOCUMENTS[name], path, value))
            except DataError as error:
                messages.append(str(error))
            else:
                assert all(finite(result) for result in results), (path, value)
    assert messages
    assert [text for text in messages if "\n" in text or len(text) > 400] == []


@pytest.mark.parametrize("name", NAMES)
def test_no_field_can_be_left_out_unnoticed(name: str) -> None:
    for path in leaves(DOCUMENTS[name]):
        if isinstance(path[-1], int):
            continue
        tree = copy.deepcopy(DOCUMENTS[name])
        at = tree
        for step in path[:-1]:
            at = at[step]
        del at[path[-1]]
        try:
            results = outcome(name, tree)
        except DataError:
            continue
        assert all(finite(result) for result in results), path


def test_an_unknown_model_is_named() -> None:
    with pytest.raises(UnknownModelError, match="'span' is unknown, expected one of black76"):
        model("span")


def outcome(name: str, parsed: Any) -> list[Any]:
    return list(evaluate(model(name), document(parsed)))


def finite(result: Any) -> bool:
    """Whether the result can be written as JSON that other programs read."""
    values = {field: getattr(result, field) for field in type(result).__dataclass_fields__}
    json.dumps(values, allow_nan=False)
    return True


def leaves(tree: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the paths of all fields, tables and lists included; of a list of numbers only the first."""
    if path:
        yield path
    if isinstance(tree, dict):
        for name, branch in tree.items():
            yield from leaves(branch, (*path, name))
    elif isinstance(tree, list):
        plain = all(isinstance(entry, float | int) for entry in tree)
        for row, branch in enumerate(tree[:1] if plain else tree):
            yield from leaves(branch, (*path, row))


def replaced(tree: Any, path: Path, value: Any) -> Any:
    """Return a copy of `tree` with one field replaced; what is not on the way is shared."""
    if not path:
        return value
    branch = copy.copy(tree)
    branch[path[0]] = replaced(tree[path[0]], path[1:], value)
    return branch
