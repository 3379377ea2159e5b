"""The ABI fragments: every one has a row, and says what its artifact says."""

import hashlib
import json
import tomllib
from typing import Any

import pytest

from keeper.chain.abi import ABI_ROOT, load
from keeper.protocols.registry import ADAPTERS

INDEX = tomllib.loads((ABI_ROOT / "INDEX.toml").read_text())
NAMES = sorted(p.relative_to(ABI_ROOT).with_suffix("").as_posix() for p in ABI_ROOT.rglob("*.json"))


def fragment(name: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = json.loads((ABI_ROOT / f"{name}.json").read_text())
    return items


def plain(entry: dict[str, Any]) -> dict[str, Any]:
    """An entry without the compiler's notes."""

    def io(item: dict[str, Any]) -> dict[str, Any]:
        kept = {k: item[k] for k in ("name", "type", "indexed") if k in item}
        return kept | ({"components": [io(c) for c in item["components"]]} if "components" in item else {})

    kept = {k: entry[k] for k in ("type", "name", "stateMutability", "anonymous") if k in entry}
    return kept | {k: [io(i) for i in entry[k]] for k in ("inputs", "outputs") if k in entry}


def test_every_fragment_has_a_row_and_every_row_a_fragment() -> None:
    assert sorted(INDEX) == NAMES
    for row in INDEX.values():
        assert set(row) - {"note"} == {"package", "version", "artifact", "sha256"}
        assert len(row["sha256"]) == 64


def test_fragments_hold_interfaces_only() -> None:
    for name in NAMES:
        entries = fragment(name)
        assert entries
        assert {e["type"] for e in entries} <= {"function", "event", "error"}
        assert "bytecode" not in (ABI_ROOT / f"{name}.json").read_text()
        signatures = [(e["type"], json.dumps(plain(e))) for e in entries]
        assert len(set(signatures)) == len(signatures)


def test_every_abi_that_an_adapter_names_is_here() -> None:
    for adapter in ADAPTERS.values():
        for name in adapter.abis:
            load(name)
        assert {contract for contract, _ in adapter.sends} <= set(NAMES)


@pytest.mark.devnet
@pytest.mark.parametrize("name", NAMES)
def test_a_fragment_is_part_of_its_artifact(name: str) -> None:
    from keeper.devnet.packages import folder_of

    row = INDEX[name]
    raw = (folder_of(row["package"]) / row["artifact"]).read_bytes()
    assert hashlib.sha256(raw).hexdigest() == row["sha256"]
    whole = [plain(e) for e in json.loads(raw)["abi"] if e["type"] in ("function", "event", "error")]
    for entry in fragment(name):
        assert plain(entry) in whole
