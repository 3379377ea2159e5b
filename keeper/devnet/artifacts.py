"""Compiled contracts from the npm packages: ABI, bytecode, libraries still to be linked."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from keeper.devnet.errors import DevnetError, PackageMissingError
from keeper.devnet.packages import folder_of

_PACKAGES: Final[Mapping[str, tuple[str, str]]] = {
    "lyra": ("@lyrafinance/protocol", "dist/artifacts/contracts"),
    "curie": ("@perp/curie-contract", "artifacts/contracts"),
    "oracle": ("@perp/perp-oracle-contract", "artifacts/contracts"),
    "uniswap": ("@uniswap/v3-core", "artifacts/contracts"),
    "openzeppelin": ("@openzeppelin/contracts", "build/contracts"),
    "chainlink": ("@chainlink/contracts", "abi/v0.7"),
}


@dataclass(frozen=True, slots=True)
class Link:
    """A place in the bytecode that wants a library's address."""

    library: str
    start: int
    """Byte offset."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """One compiled contract."""

    name: str
    abi: tuple[Mapping[str, Any], ...]
    bytecode: str
    """Hex without 0x; the places of `links` hold no valid hex."""

    links: tuple[Link, ...]


@cache
def load(source: str, name: str) -> Artifact:
    """Return contract `name` of a package: `lyra`, `curie`, `oracle`, `uniswap`, `openzeppelin`, `chainlink`.

    Raises `PackageMissingError`.
    """
    package, _ = _PACKAGES[source]
    path = _index(source).get(name)
    if path is None:
        raise PackageMissingError(f"{name} of {package}", folder_of(package))
    found = json.loads(path.read_text())
    # the oldest of the packages nests what the compiler said
    compiled = found.get("compilerOutput", found)
    code = compiled["evm"]["bytecode"]["object"] if "evm" in compiled else found["bytecode"]
    return Artifact(
        name=name,
        abi=tuple(compiled["abi"]),
        bytecode=code.removeprefix("0x"),
        links=tuple(_links(found.get("linkReferences", {}))),
    )


def linked(artifact: Artifact, libraries: Mapping[str, str]) -> str:
    """Return deployable bytecode as hex without 0x. Raises `DevnetError` when a library is not given."""
    code = artifact.bytecode
    for link in artifact.links:
        if link.library not in libraries:
            raise DevnetError(f"{artifact.name} needs library {link.library}: deploy it first and pass it")
        at = 2 * link.start
        code = code[:at] + libraries[link.library][2:].lower() + code[at + 40 :]
    return code


def multicall3_init_code() -> str:
    """Return Multicall3's creation code, 0x hex, from the package that carries it."""
    path = folder_of("viem") / "constants" / "contracts.ts"
    found = re.search(r"multicall3Bytecode\s*=\s*'(0x[0-9a-f]+)'", path.read_text())
    if found is None:
        raise PackageMissingError("multicall3Bytecode of viem", path)
    return found[1]


@cache
def _index(source: str) -> dict[str, Path]:
    """Map contract names to files; the build information beside them is left out."""
    package, folder = _PACKAGES[source]
    paths = sorted((folder_of(package) / folder).rglob("*.json"))
    return {p.stem: p for p in paths if not p.name.endswith(".dbg.json")}


def _links(references: Mapping[str, Mapping[str, list[Mapping[str, int]]]]) -> Iterator[Link]:
    for libraries in references.values():
        for library, places in libraries.items():
            for place in places:
                yield Link(library, place["start"])
