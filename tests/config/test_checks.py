"""Tables that contradict each other: one problem for each, at the key that is to be changed."""

import copy
from typing import Any

import pytest

from keeper.config.checks import cross_problems

OWNER = "0x90F79bf6EB2c4f870365E785982E1f101E93b906"
OTHER = "0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65"


def problem(raw: dict[str, Any]) -> tuple[str, str]:
    (found,) = cross_problems(raw)
    return found.key, str(found)


def test_the_example_has_none(example: dict[str, Any]) -> None:
    assert list(cross_problems(example)) == []


def test_one_table_per_chain_id(example: dict[str, Any]) -> None:
    example["chains"]["arbitrum"]["chain_id"] = 10
    assert problem(example)[0] == "chains.arbitrum.chain_id"


def test_a_venue_on_an_unknown_chain(example: dict[str, Any]) -> None:
    example["venues"]["curie"]["chain"] = "arbitrun"
    key, text = problem(example)
    assert key == "venues.curie.chain"
    assert 'did you mean "arbitrum"?' in text


def test_a_venue_of_an_unknown_protocol(example: dict[str, Any]) -> None:
    example["venues"]["lyra"]["protocol"] = "lira"
    key, text = problem(example)
    assert key == "venues.lyra.protocol"
    assert "allowed: curie, lyra" in text


def test_a_contract_that_the_adapter_needs(example: dict[str, Any]) -> None:
    del example["venues"]["lyra"]["contracts"]["OptionToken"]
    assert problem(example)[0] == "venues.lyra.contracts.OptionToken"


def test_a_contract_that_the_adapter_does_not_know(example: dict[str, Any]) -> None:
    example["venues"]["lyra"]["contracts"]["OptionTokens"] = OWNER
    key, text = problem(example)
    assert key == "venues.lyra.contracts.OptionTokens"
    assert 'did you mean "OptionToken"?' in text


def test_the_same_protocol_twice_on_a_chain(example: dict[str, Any]) -> None:
    example["venues"]["curie2"] = copy.deepcopy(example["venues"]["curie"])
    assert problem(example)[0] == "venues.curie2"


def test_own_accounts_are_named(example: dict[str, Any]) -> None:
    example["profiles"]["desk"]["owners"] = []
    assert problem(example)[0] == "profiles.desk.owners"


def test_one_profile_takes_all_other_accounts(example: dict[str, Any]) -> None:
    example["profiles"]["members"] = {"role": "member"}
    assert problem(example)[0] == "profiles.members.owners"


@pytest.mark.parametrize(
    ("first", "second", "clash"),
    [
        ([], [], True),
        (["optimism"], [], True),
        (["optimism"], ["arbitrum", "optimism"], True),
        (["optimism"], ["arbitrum"], False),
    ],
)
def test_an_owner_is_netted_once(
    example: dict[str, Any], first: list[str], second: list[str], clash: bool
) -> None:
    example["profiles"]["desk"]["chains"] = first
    example["profiles"]["second"] = {"role": "own", "owners": [OTHER, OWNER.lower()], "chains": second}
    found = [p.key for p in cross_problems(example)]
    assert found == (["profiles.second.owners[1]"] if clash else [])


def test_a_profile_on_an_unknown_chain(example: dict[str, Any]) -> None:
    example["profiles"]["desk"]["chains"] = ["optimism", "polygon"]
    assert problem(example)[0] == "profiles.desk.chains[1]"


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("profile", "desc", 'did you mean "desk"?'),
        ("profile", "watched", 'expected a profile with role "own"'),
        ("venue", "curi", 'did you mean "curie"?'),
        ("underlying", "SOL", "not traded on curie; allowed: BTC, ETH"),
    ],
)
def test_a_hedge_names_what_exists(example: dict[str, Any], key: str, value: str, expected: str) -> None:
    example["policy"]["hedge"][0][key] = value
    at, text = problem(example)
    assert at == f"policy.hedge[0].{key}"
    assert expected in text


def test_a_hedge_needs_a_venue_that_can(example: dict[str, Any]) -> None:
    example["policy"]["hedge"][0]["venue"] = "lyra"
    key, text = problem(example)
    assert key == "policy.hedge[0].venue"
    assert "expected a venue of curie" in text


def test_an_underlying_is_hedged_once_per_profile(example: dict[str, Any]) -> None:
    example["policy"]["hedge"].append(dict(example["policy"]["hedge"][0]))
    assert problem(example)[0] == "policy.hedge[1]"


def test_live_needs_a_signer(example: dict[str, Any]) -> None:
    del example["signer"]
    assert list(cross_problems(example)) == []
    example["mode"] = "live"
    assert problem(example)[0] == "signer"


@pytest.mark.parametrize(
    "spoilt", [3, "text", [], [[]], {"x": 3}, {"x": []}, {"x": {"owners": 3, "chains": [4]}}]
)
@pytest.mark.parametrize("table", ["chains", "venues", "profiles", "policy"])
def test_wrong_types_are_passed_over(example: dict[str, Any], table: str, spoilt: object) -> None:
    example[table] = spoilt
    assert all(p.key for p in cross_problems(example))
