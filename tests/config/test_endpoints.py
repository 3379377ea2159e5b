"""An URL that leads nowhere is a problem of the file, not a traceback later."""

from pathlib import Path

import pytest

from keeper.config.errors import SettingsError
from keeper.config.load import load

EXAMPLE = Path(__file__).resolve().parents[2] / "config" / "example.toml"


def problem(folder: Path, old: str, new: str) -> str:
    text = EXAMPLE.read_text()
    assert old in text
    path = folder / "keeper.toml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(SettingsError) as raised:
        load(path, {})
    return str(raised.value)


@pytest.mark.parametrize(
    "rest", ["node.example:85450/k3y-of-ours", "node.example:x", "node.example:0", "[::1", ":8545", ""]
)
def test_an_url_that_leads_nowhere(tmp_path: Path, rest: str) -> None:
    told = problem(tmp_path, '"http://127.0.0.1:8545"', f'"http://{rest}"')
    assert "chains.optimism.endpoints[0]" in told
    assert "expected an http:// or https:// URL" in told
    assert "k3y" not in told
    told = problem(tmp_path, "ws_endpoints = []", f'ws_endpoints = ["ws://{rest}"]')
    assert "chains.optimism.ws_endpoints[0]" in told
    assert "expected a ws:// or wss:// URL" in told
