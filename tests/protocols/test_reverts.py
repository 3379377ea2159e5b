"""Every refusal that the venues' pages name has a meaning, and only harmless ones are benign."""

import re

import pytest

from keeper.chain.abi import load
from keeper.protocols.curie import Curie
from keeper.protocols.lyra import Lyra
from tests.support.shared import shared

SECTION = re.compile(r"^## 5\. Errors$(.*?)^## 6\.", re.MULTILINE | re.DOTALL)


def section(page: str) -> str:
    found = SECTION.search(shared(f"venues/{page}").read_text())
    assert found is not None
    return found[1]


def test_every_code_on_curies_page_has_a_meaning() -> None:
    codes = set(re.findall(r"\b(?:CH|EX|V)_[A-Z0-9]+\b", section("perp_curie.md"))) | {
        "OLD",
        "Pausable: paused",
    }
    assert len(codes) > 25
    assert {c for c in codes if Curie().meaning(c, {}) is None} == set()


def test_every_error_on_lyras_page_has_a_meaning_and_the_selector_it_says() -> None:
    known = {e.name: key.hex() for name in Lyra.abis for key, e in load(name).errors.items()}
    rows = [line for line in section("lyra_avalon.md").splitlines() if "0x" in line]
    assert len(rows) > 10
    for row in rows:
        names = re.findall(r"\b([A-Z]\w+)\(address", row)
        selectors = re.findall(r"0x([0-9a-f]{8})\b", row)
        assert len(names) == len(selectors) > 0
        for name, selector in zip(names, selectors, strict=True):
            assert known[name] == selector
            assert Lyra().meaning(name, {}) is not None


def test_every_custom_error_that_may_come_back_has_a_meaning() -> None:
    for name in Lyra.abis:
        for error in load(name).errors.values():
            assert Lyra().meaning(error.name, {}) is not None, error.name


@pytest.mark.parametrize(
    ("error", "benign"),
    [
        ("PositionNotLiquidatable", True),
        ("ERC721: owner query for nonexistent token", True),
        ("BoardAlreadySettled", True),
        ("BoardExpired", True),
        ("MarketIsPaused", False),
        ("RateIsInvalid", False),
        ("AdjustmentResultsInMinimumCollateralNotBeingMet", False),
        ("TotalCostOutsideOfSpecifiedBounds", False),
    ],
)
def test_lyra_tells_done_from_broken(error: str, benign: bool) -> None:
    meaning = Lyra().meaning(error, {})
    assert meaning is not None
    assert meaning.benign == benign


@pytest.mark.parametrize(
    ("error", "benign"),
    [
        ("CH_EAV", True),
        ("CH_PSZ", True),
        ("CH_NEXO", True),
        ("CH_NEFCI", False),
        ("CH_IIC", False),
        ("CH_TE", False),
    ],
)
def test_curie_tells_done_from_broken(error: str, benign: bool) -> None:
    meaning = Curie().meaning(error, {})
    assert meaning is not None
    assert meaning.benign == benign


def test_numbers_in_an_error_are_told() -> None:
    meaning = Lyra().meaning("BoardExpired", {"thrower": "0x", "boardId": 3, "boardExpiry": 1})
    assert meaning is not None
    assert meaning.text.endswith("(number 3)")


def test_an_unknown_error_has_no_meaning() -> None:
    assert Lyra().meaning("CH_EAV", {}) is None
    assert Curie().meaning("PositionNotLiquidatable", {}) is None
    assert Curie().meaning("", {}) is None
