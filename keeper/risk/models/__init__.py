"""Margin models by name. Each is one file that exports `MODEL`.

A new model is one new file and one line in `_MODULES`. The file holds frozen dataclasses for its
parameters, its case and its result, two readers from JSON, one pure function, and

    MODEL = Model(
        name="span", summary="...", units={"im": "USD"}, reading="...",
        params=params,            # Record -> parameters
        case=case,                # id, Record -> case
        requirement=margin,       # parameters, case -> result; decorated with `finite_result`
    )

`keeper margin` then offers it, and `documents` takes its input files apart. A result carries an `id`.
Parameters are always input: a model's file holds a venue's rules, never its numbers. Shared are only
the concepts that two models really have in common: Derive's option prices (`derive_black76`),
parameters (`derive_params`) and portfolio (`derive_portfolio`). A model that serves others too keeps its
formulas apart from its JSON form: `house` from `house_book`, `risk.saccr` from `saccr`. What a
long model reads has files of its own: `deribit_pme` has `deribit_params` and `deribit_portfolio`.

Decided: parse by hand into frozen values instead of pydantic models, since most numbers are integers
with 18 decimals in strings, which must not pass through floats, and an error has to name the case as
well as the field. Modules are imported when asked for: listing names costs nothing.
"""

from importlib import import_module
from typing import Any, Final

from keeper.model.errors import ConfigError
from keeper.risk.models.model import Model

_MODULES: Final = {
    "black76": "black76",
    "deribit-pme": "deribit_pme",
    "derive-pmrm-1": "derive_pmrm_1",
    "derive-pmrm-2": "derive_pmrm_2",
    "derive-srm": "derive_srm",
    "house": "house_book",
    "saccr": "saccr",
}

NAMES: Final = tuple(_MODULES)
"""Every registered model, sorted."""


class UnknownModelError(ConfigError):
    """No margin model has this name."""

    name: str
    """What was asked for."""

    def __init__(self, name: str) -> None:
        super().__init__(f"model {name!r} is unknown, expected one of {', '.join(NAMES)}")
        self.name = name


def model(name: str) -> Model[Any, Any, Any]:
    """Return the margin model of that name. Raises `UnknownModelError` where there is none."""
    if name not in _MODULES:
        raise UnknownModelError(name)
    found: Model[Any, Any, Any] = import_module(f"{__name__}.{_MODULES[name]}").MODEL
    return found
