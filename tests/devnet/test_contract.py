"""The codec: structs by name, overloads by signature, refusals in words."""

from typing import Any

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from keeper.devnet.artifacts import Artifact, Link, linked
from keeper.devnet.contract import Contract, revert_reason
from keeper.devnet.errors import DevnetError, RevertError
from keeper.devnet.node import Node
from tests.support.chains import Chains

NOWHERE = "0x" + "11" * 20


def entry(
    kind: str, name: str, *inputs: dict[str, Any], outputs: tuple[dict[str, Any], ...] = ()
) -> dict[str, Any]:
    return {"type": kind, "name": name, "inputs": list(inputs), "outputs": list(outputs)}


def argument(kind: str, name: str = "", *components: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind, "name": name, "components": list(components)}


ORDER = argument("tuple", "order", argument("uint256", "size"), argument("address", "who"))
ARTIFACT = Artifact(
    name="Sample",
    abi=(
        entry("function", "place", ORDER, argument("bool", "now")),
        entry("function", "placeAll", argument("tuple[]", "orders", *ORDER["components"])),
        entry("function", "close", argument("uint256", "id")),
        entry("function", "close", argument("uint256", "id"), argument("address", "to")),
        entry("error", "TooSmall", argument("address", "thrower"), argument("uint256", "size")),
    ),
    bytecode="",
    links=(),
)
TOO_SMALL = "0x" + keccak(text="TooSmall(address,uint256)")[:4].hex()


@pytest.fixture
def sample() -> Contract:
    return Contract(Node("http://127.0.0.1:9"), NOWHERE, ARTIFACT, sender=NOWHERE)


def test_a_struct_is_given_by_names_in_any_order(sample: Contract) -> None:
    by_name = sample.data("place", {"who": NOWHERE, "size": 7}, True)
    selector = keccak(text="place((uint256,address),bool)")[:4]
    assert by_name == "0x" + (selector + encode(["(uint256,address)", "bool"], [(7, NOWHERE), True])).hex()


@pytest.mark.parametrize(
    "order", [{"size": 7}, {"size": 7, "who": NOWHERE, "when": 1}, {"size": 7, "whom": NOWHERE}]
)
def test_a_struct_with_other_names_is_refused(order: dict[str, object], sample: Contract) -> None:
    with pytest.raises(ValueError, match=r"order takes \['size', 'who'\]"):
        sample.data("place", order, True)


def test_too_few_arguments_are_refused(sample: Contract) -> None:
    with pytest.raises(ValueError, match="zip"):
        sample.data("place", {"who": NOWHERE, "size": 7})


def test_an_overloaded_name_alone_is_no_function(sample: Contract) -> None:
    assert sample.data("close(uint256)", 1)[:10] == "0x" + keccak(text="close(uint256)")[:4].hex()
    assert sample.data("close(uint256,address)", 1, NOWHERE)[:10] != sample.data("close(uint256)", 1)[:10]
    with pytest.raises(KeyError):
        sample.data("close", 1)


def test_array_of_structs_has_its_full_signature(sample: Contract) -> None:
    assert sample.data("placeAll", [])[:10] == "0x" + keccak(text="placeAll((uint256,address)[])")[:4].hex()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (None, "no reason given"),
        ("0x", "no reason given"),
        ("0x08c379a0" + encode(["string"], ["CH_EAV"]).hex(), "CH_EAV"),
        ("0x4e487b71" + encode(["uint256"], [17]).hex(), "panic 0x11"),
        (TOO_SMALL + encode(["address", "uint256"], [NOWHERE, 3]).hex(), "TooSmall(size=3)"),
        ("0xdeadbeef", "unknown error 0xdeadbeef"),
    ],
)  # fmt: skip
def test_refusals_in_words(data: str | None, words: str, sample: Contract) -> None:
    assert revert_reason(data) == words


def test_linking_puts_addresses_where_the_compiler_left_room() -> None:
    place = "__$" + "0" * 34 + "$__"
    artifact = Artifact(name="A", abi=(), bytecode=f"60{place}61{place}", links=(Link("L", 1), Link("L", 22)))
    address = "0x" + "Ab" * 20
    assert linked(artifact, {"L": address}) == f"60{'ab' * 20}61{'ab' * 20}"
    with pytest.raises(DevnetError, match="A needs library L"):
        linked(artifact, {})


@pytest.mark.devnet
def test_the_venues_own_reasons_come_through(chains: Chains) -> None:
    house, healthy = chains.curie["ClearingHouse"], chains.actor("mona")
    liquidate = "liquidate(address,address)"
    with pytest.raises(RevertError, match=r"ClearingHouse\.liquidate.* reverted: CH_EAV"):
        house.call(liquidate, healthy, chains.curie.base("BTC"))
    with pytest.raises(RevertError, match="reverted: CH_EAV"):
        house.send(liquidate, healthy, chains.curie.base("BTC"), sender=chains.actor("desk"))
    with pytest.raises(RevertError, match=r"reverted: PositionNotLiquidatable\(position="):
        chains.lyra["OptionMarket"].send("liquidatePosition", 3, chains.actor("desk"))
