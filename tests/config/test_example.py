"""The example file and the models say the same: every key, and every default."""

import re
import tomllib
from collections.abc import Iterator
from typing import Any, TypeGuard

import pytest
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from keeper.config.load import load
from keeper.config.policy_tables import HedgeTable
from keeper.config.settings import Settings
from keeper.config.tables import ChainTable, ProfileTable, Table, VenueTable
from tests.config.conftest import EXAMPLE

NAMED: dict[str, type[Table]] = {
    "chains": ChainTable,
    "venues": VenueTable,
    "profiles": ProfileTable,
    "policy.hedge": HedgeTable,
}
"""Tables that a file holds once per name, or once per entry of a list."""

HEADER = re.compile(r"^\[+([^\]]+)\]+")
KEY = re.compile(r"^(\w+) = ")
DEFAULT = re.compile(r"Default (.+)$")


def fields(table: type[Table], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Yield every key as `table.key`, names and list entries left out."""
    for name, field in table.model_fields.items():
        key = f"{prefix}{field.alias or name}"
        if key == "signer.urgent":
            continue  # the same keys once more: the example shows them in comments
        if key in NAMED:
            yield from fields(NAMED[key], f"{key}.")
        elif nested := [
            t for t in (field.annotation, *getattr(field.annotation, "__args__", ())) if is_table(t)
        ]:
            yield from fields(nested[0], f"{key}.")
        else:
            yield key, field


def is_table(annotation: object) -> TypeGuard[type[Table]]:
    return isinstance(annotation, type) and issubclass(annotation, Table)


def table_of(header: str) -> str:
    """Return the table's name without the names that a user chooses."""
    parts = header.split(".")
    return parts[0] + header[len(f"{parts[0]}.{parts[1]}") :] if parts[0] in NAMED else header


def stated() -> dict[str, str | None]:
    """Return every key of the file, with the default that its comment states."""
    found: dict[str, str | None] = {}
    table, above = "", ""
    for line in EXAMPLE.read_text().splitlines():
        if header := HEADER.match(line):
            table = table_of(header.group(1)) + "."
        elif key := KEY.match(line):
            default = DEFAULT.search(line) or DEFAULT.search(above)
            name = f"{table}{key.group(1)}" if table else key.group(1)
            found[name] = default.group(1) if default else found.get(name)
        above = line if line.startswith("#") else ""
    return found


KEYS = dict(fields(Settings))
STATED = stated()


def test_the_example_passes_every_check() -> None:
    assert load(EXAMPLE).params().hedges[0].venue == "curie:42161"


def test_every_key_of_the_settings_is_in_the_example() -> None:
    tables = {"venues.contracts", "venues.underlyings"}
    assert KEYS.keys() - tables <= STATED.keys()
    assert {key for key in STATED.keys() - KEYS.keys() if not key.startswith(tuple(tables))} == set()


@pytest.mark.parametrize("key", sorted(KEYS.keys() - {"venues.contracts", "venues.underlyings"}))
def test_every_stated_default_is_true(key: str) -> None:
    field = KEYS[key]
    if field.is_required():
        assert STATED[key] is None, f"{key} is required, the example says it has a default"
        return
    text = STATED[key]
    assert text is not None, f"{key} has a default, the example does not state it"
    if text == "none":
        assert field.default is None
        return
    value: Any = tomllib.loads(f"value = {text}")["value"]
    default = to_jsonable_python(field.get_default(call_default_factory=True))
    assert value == default
    assert type(value) is type(default)
