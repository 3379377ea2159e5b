"""A valid configuration to spoil."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "config" / "example.toml"
Write: TypeAlias = Callable[[str], Path]


@pytest.fixture
def example() -> dict[str, Any]:
    return tomllib.loads(EXAMPLE.read_text())


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to_file(text: str) -> Path:
        path = tmp_path / "keeper.toml"
        path.write_text(text)
        return path

    return to_file
