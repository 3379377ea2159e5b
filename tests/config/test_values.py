"""Kinds of value: each refuses what would be a traceback later, and says what it expects."""

import math

import pytest

from keeper.config.load import load
from tests.config.conftest import TEXT, Write, problems

OWNER = "0x90F79bf6EB2c4f870365E785982E1f101E93b906"


def problem(write: Write, old: str, new: str) -> str:
    assert old in TEXT
    return "\n".join(problems(write(TEXT.replace(old, new, 1))).values())


@pytest.mark.parametrize(
    "rest", ["node.example:85450/k3y-of-ours", "node.example:x", "node.example:0", "[::1", ":8545", ""]
)
def test_an_url_that_leads_nowhere(write: Write, rest: str) -> None:
    told = problem(write, '"http://127.0.0.1:8545"', f'"http://{rest}"')
    assert "chains.optimism.endpoints[0]" in told
    assert "expected an http:// or https:// URL" in told
    assert "k3y" not in told
    told = problem(write, "ws_endpoints = []", f'ws_endpoints = ["ws://{rest}"]')
    assert "chains.optimism.ws_endpoints[0]" in told
    assert "expected a ws:// or wss:// URL" in told


@pytest.mark.parametrize("text", ["inf", "-inf", "nan", "true", '"2.0"', "[]", "2020-01-01"])
def test_a_number_is_a_finite_number(write: Write, text: str) -> None:
    assert "policy.hedge[0].band" in problems(write(TEXT.replace("band = 2.0", f"band = {text}")))


def test_a_whole_number_serves_as_a_fraction(write: Write) -> None:
    band = load(write(TEXT.replace("band = 2.0", "band = 2")), {}).params().hedges[0].band_base
    assert (band, type(band)) == (2.0, float)
    assert math.isfinite(band)


@pytest.mark.parametrize("text", [OWNER, OWNER.lower()])
def test_an_address_with_and_without_a_checksum(write: Write, text: str) -> None:
    assert load(write(TEXT.replace(OWNER, text)), {}).profiles["desk"].owners[0] == OWNER


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (OWNER.replace("F7", "f7"), f"its checksum is wrong: a mistyped address, or meant {OWNER}"),
        ("0x" + OWNER[2:].upper(), f"meant {OWNER}"),
        ("0X" + OWNER[2:], "expected an address: 0x and 40 hexadecimal digits"),
        (OWNER[2:], "expected an address"),
        (OWNER[:-1], "expected an address"),
        (OWNER + "0", "expected an address"),
        (OWNER[:-1] + "g", "expected an address"),
        (OWNER[:-1] + "٣", "expected an address"),
        (OWNER + "\\n", "expected an address"),
        ("", "expected an address"),
    ],
)
def test_a_mistyped_address(write: Write, text: str, words: str) -> None:
    found = problems(write(TEXT.replace(f'owners = ["{OWNER}"', f'owners = ["{text}"', 1)))
    assert words in found["profiles.desk.owners[0]"]
