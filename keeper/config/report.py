"""Turn pydantic's errors into problems that name the key, what was found, and what is allowed."""

import difflib
import json
import re
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Final, Union, get_args, get_origin
from urllib.parse import urlsplit

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from keeper.config.errors import Problem
from keeper.config.tables import Table

SHOULD: Final = re.compile(r"^\w+ should (be|have) ")
SHOWN: Final = 60
"""Longest value that a message repeats."""


def problems_of(error: ValidationError, raw: Mapping[str, Any], root: type[Table]) -> Iterator[Problem]:
    """Yield one problem per error. `raw` is the file before environment variables were filled in."""
    for detail in error.errors(include_url=False, include_input=False):
        yield _problem(detail, raw, root)


def _problem(detail: ErrorDetails, raw: Mapping[str, Any], root: type[Table]) -> Problem:
    location = detail["loc"]
    key = dotted(location)
    match detail["type"]:
        case "missing":
            return Problem(key=key, found="", expected="missing; this key is required")
        case "extra_forbidden":
            name, allowed = str(location[-1]), _keys(root, location[:-1])
            return Problem(key=key, found="", expected=f"unknown key; {suggestion(name, allowed)}")
        case _:
            expected = SHOULD.sub("expected ", detail["msg"])
            return Problem(key=key, found=shown(_at(raw, location)), expected=expected)


def dotted(location: Iterable[int | str]) -> str:
    """Return a key's path as it would be written: `chains.optimism.endpoints[0]`."""
    text = ""
    for part in location:
        if isinstance(part, int) or part.isdigit():
            text += f"[{part}]"
        elif part != "[key]":
            text += f".{part}" if text else part
    return text


def suggestion(name: str, allowed: Sequence[str]) -> str:
    """Return what may stand in the place of `name`, the likeliest first."""
    close = difflib.get_close_matches(name, allowed, n=1)
    likely = f'did you mean "{close[0]}"? ' if close else ""
    return f"{likely}allowed: {', '.join(sorted(allowed)) or 'none'}"


def shown(value: object) -> str:
    """Return a value for a message: short, of an URL its host, of a table nothing."""
    if isinstance(value, str):
        text = f'"{masked(value)}"'
    elif isinstance(value, dict):
        text = ""
    elif isinstance(value, list) and value:
        text = f"a list of {len(value)}"
    else:
        text = json.dumps(value, default=str)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def masked(text: str) -> str:
    """Return an URL without user, path and query, which may hold a key; any other text as it is."""
    if "://" not in text:
        return text
    try:
        parts = urlsplit(text)
    except ValueError:
        return "an URL"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/..." if parts.netloc else "an URL"


def _at(raw: Any, location: Iterable[int | str]) -> Any:
    """Return what the file holds at a location, an empty table where it ends early."""
    for part in location:
        if isinstance(part, int):
            if not isinstance(raw, list) or part >= len(raw):
                return raw
            raw = raw[part]
        else:
            if not isinstance(raw, dict) or part not in raw:
                return raw
            raw = raw[part]
    return raw


def _keys(table: type[Table], location: Iterable[int | str]) -> tuple[str, ...]:
    """Return the keys that are allowed in the table at a location."""
    current: Any = table
    for part in location:
        if isinstance(current, type) and issubclass(current, Table):
            fields = {field.alias or name: field.annotation for name, field in current.model_fields.items()}
            current = _unwrapped(fields[str(part)])
        else:
            current = _unwrapped(get_args(current)[-1 if get_origin(current) is dict else 0])
    return tuple(f.alias or n for n, f in current.model_fields.items())


def _unwrapped(annotation: Any) -> Any:
    """Return an annotation without `Annotated` and `| None`."""
    if get_origin(annotation) is Annotated:
        return _unwrapped(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return _unwrapped(next(a for a in get_args(annotation) if a is not type(None)))
    return annotation
