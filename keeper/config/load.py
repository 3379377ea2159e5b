"""Find, read and check the configuration file."""

import json
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from keeper.config.checks import cross_problems
from keeper.config.errors import ConfigMissingError, ConfigSyntaxError, Problem, SettingsError
from keeper.config.history import PricesUnfitError, read_history
from keeper.config.report import dotted, problems_of, shown
from keeper.config.settings import Settings
from keeper.config.tables import with_empty_tables
from keeper.model.params import PriceHistory

DEFAULT_PATH: Final = Path("config/keeper.toml")
VARIABLE: Final = re.compile(r"\$\{([^}]*)\}")
HISTORY: Final = ("policy", "house", "history")

EXPANDED: Final = (
    ("chains", "*", "endpoints", "*"),
    ("chains", "*", "ws_endpoints", "*"),
    ("chains", "*", "private_endpoint"),
    ("store", "path"),
    ("store", "url"),
    ("journal", "path"),
    ("signer", "keystore"),
    ("signer", "password_file"),
    ("signer", "url"),
    ("signer", "key_id"),
    ("signer", "urgent", "keystore"),
    ("signer", "urgent", "password_file"),
    ("signer", "urgent", "url"),
    ("signer", "urgent", "key_id"),
    HISTORY,
)
"""Keys whose values may name environment variables."""


def locate(named: Path | None, environment: Mapping[str, str]) -> Path:
    """Return the configuration file: as named, else `KEEPER_CONFIG`, else `config/keeper.toml`.

    Raises `ConfigMissingError` when there is none.
    """
    if named is not None:
        path, named_by = named, "named with -c"
    elif environment.get("KEEPER_CONFIG"):
        path, named_by = Path(environment["KEEPER_CONFIG"]), "named by KEEPER_CONFIG"
    else:
        path, named_by = DEFAULT_PATH, "the default"
    if not path.is_file():
        raise ConfigMissingError(path, named_by=named_by)
    return path


def load(named: Path | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Return the settings of a file that passes every check.

    Raises `ConfigMissingError`, `ConfigSyntaxError`, or `SettingsError` with all problems.
    """
    environment = os.environ if environment is None else environment
    path = locate(named, environment)
    raw = _read(path)
    problems: list[Problem] = []
    expanded = with_empty_tables(_expand(raw, (), environment, problems), Settings)
    problems += cross_problems(raw)
    history = _history(raw, expanded, path.parent, problems)
    settings: Settings | None = None
    try:
        # JSON, so that strict types still accept an array for a tuple and a text for an enum.
        settings = Settings.model_validate_json(
            json.dumps(expanded, default=str),
            context={"folder": path.parent, "source": path, "history": history},
        )
    except ValidationError as error:
        problems += problems_of(error, raw, Settings)
    reported = _once(problems)
    if settings is None or reported:
        raise SettingsError(path, reported)
    return settings


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigSyntaxError(path, str(error)) from error
    except OSError as error:
        raise ConfigMissingError(path, named_by=error.strerror or "unreadable") from error


def _expand(value: Any, key: tuple[str, ...], environment: Mapping[str, str], problems: list[Problem]) -> Any:
    """Return `value` with `${NAME}` replaced at the keys that allow it; unset names become problems."""
    if isinstance(value, dict):
        return {name: _expand(item, (*key, name), environment, problems) for name, item in value.items()}
    if isinstance(value, list):
        return [_expand(item, (*key, str(i)), environment, problems) for i, item in enumerate(value)]
    if not isinstance(value, str) or not any(_matches(key, pattern) for pattern in EXPANDED):
        return value

    def lookup(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in environment:
            expected = f"the environment variable {name} is not set"
            problems.append(Problem(key=dotted(key), found=shown(value), expected=expected))
        return environment.get(name, "")

    return VARIABLE.sub(lookup, value)


def _history(
    raw: Mapping[str, Any], expanded: Mapping[str, Any], folder: Path, problems: list[Problem]
) -> PriceHistory | None:
    """Return the price history that the file names, if it names one; an unfit one becomes a problem."""
    named = _at(expanded, HISTORY)
    if not isinstance(named, str) or not named:
        return None
    try:
        return read_history(folder / Path(named).expanduser())
    except PricesUnfitError as error:
        found = shown(_at(raw, HISTORY))
        problems.append(Problem(key=dotted(HISTORY), found=found, expected=error.problem))
        return None


def _at(table: Any, key: tuple[str, ...]) -> Any:
    for name in key:
        table = table.get(name) if isinstance(table, dict) else None
    return table


def _matches(key: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    return len(key) == len(pattern) and all(p in ("*", k) for k, p in zip(key, pattern, strict=True))


def _once(problems: list[Problem]) -> list[Problem]:
    """Return the first problem of each key, in the order of the keys."""
    first: dict[str, Problem] = {}
    for problem in problems:
        first.setdefault(problem.key, problem)
    return [first[key] for key in sorted(first)]
