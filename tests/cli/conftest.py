"""Run commands in this process, as a shell would: arguments in, exit code and both outputs back."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from keeper.cli.main import main

EXAMPLE = Path(__file__).resolve().parents[2] / "config" / "example.toml"


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one object on standard output."""
        found: dict[str, Any] = json.loads(self.out)
        return found


Run: TypeAlias = Callable[..., Ran]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*arguments: str) -> Ran:
        monkeypatch.setattr(sys, "argv", ["keeper", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code
        captured = capsys.readouterr()
        return Ran(
            code=code if isinstance(code, int) else int(bool(code)), out=captured.out, err=captured.err
        )

    return command


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "keeper.toml"
    path.write_text(EXAMPLE.read_text())
    return path
