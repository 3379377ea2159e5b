"""A valid configuration to spoil."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from keeper.config.errors import SettingsError
from keeper.config.load import load

EXAMPLE = Path(__file__).resolve().parents[2] / "config" / "example.toml"
TEXT = EXAMPLE.read_text()
Write: TypeAlias = Callable[[str], Path]


def problems(path: Path, environment: dict[str, str] | None = None) -> dict[str, str]:
    with pytest.raises(SettingsError) as caught:
        load(path, environment or {})
    return {p.key: str(p) for p in caught.value.problems}


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
