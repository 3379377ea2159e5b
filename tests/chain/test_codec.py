"""Single words take a path of our own: it must agree with eth_abi, and refuse what eth_abi refuses."""

import contextlib
from typing import Any

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from keeper.chain.codec import Decoder, Param, checksummed, encode_arguments
from keeper.chain.errors import AbiMismatch

ALICE = "0x90F79bf6EB2c4f870365E785982E1f101E93b906"

bits = st.integers(1, 32).map(lambda n: 8 * n)


def of(kind: str, *, name: str = "", components: list[dict[str, Any]] | None = None) -> Param:
    return Param.of({"name": name, "type": kind, "components": components or []})


@st.composite
def words(draw: st.DrawFn) -> tuple[str, Any]:
    match draw(st.sampled_from(["uint", "int", "bool", "address"])):
        case "uint":
            n = draw(bits)
            return f"uint{n}", draw(st.integers(0, 2**n - 1))
        case "int":
            n = draw(bits)
            return f"int{n}", draw(st.integers(-(2 ** (n - 1)), 2 ** (n - 1) - 1))
        case "bool":
            return "bool", draw(st.booleans())
        case _:
            return "address", checksummed("0x" + draw(st.binary(min_size=20, max_size=20)).hex())


@given(st.lists(words(), min_size=1, max_size=6))
def test_words_are_encoded_as_eth_abi_does_and_read_back(values: list[tuple[str, Any]]) -> None:
    kinds, given_values = [k for k, _ in values], [v for _, v in values]
    params = [of(k) for k in kinds]
    data = encode_arguments("f", params, given_values)
    assert data == encode(kinds, given_values)
    assert Decoder(params)("f", data) == given_values


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("uint8", 256),
        ("uint256", -1),
        ("int128", 2**127),
        ("int24", -(2**23) - 1),
        ("bool", 1),
        ("address", "0x12"),
        ("address", 5),
        ("uint256", True),
        ("uint256", 1.0),
        ("bytes32", b"\x01" * 33),
        ("uint256[]", 7),
    ],
)
def test_arguments_that_do_not_fit_are_refused(kind: str, value: object) -> None:
    with pytest.raises(AbiMismatch, match="do not fit"):
        encode_arguments("f", [of(kind)], [value])


def test_a_wrong_number_of_arguments_is_refused() -> None:
    with pytest.raises(AbiMismatch, match="takes 2 arguments, was given 1"):
        encode_arguments("f", [of("bool"), of("bool")], [True])


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("bool", (2).to_bytes(32, "big")),
        ("address", b"\x01" + bytes(31)),
        ("uint8", (256).to_bytes(32, "big")),
        ("int8", (128).to_bytes(32, "big")),
        ("int256", bytes(31)),
        ("uint256", b""),
        ("string", (2**200).to_bytes(32, "big")),
        ("uint256[]", (32).to_bytes(32, "big") + (2**40).to_bytes(32, "big")),
    ],
)
def test_data_that_no_value_encodes_to_is_refused(kind: str, word: bytes) -> None:
    with pytest.raises(AbiMismatch):
        Decoder([of(kind)])("f", word)


MARKET: list[dict[str, Any]] = [
    {"name": "id", "type": "uint256"},
    {
        "name": "boards",
        "type": "tuple[]",
        "components": [
            {"name": "delta", "type": "int256"},
            {"name": "owner", "type": "address"},
            {
                "name": "strikes",
                "type": "tuple[]",
                "components": [{"name": "price", "type": "uint256"}, {"name": "label", "type": "string"}],
            },
        ],
    },
    {"name": "pair", "type": "tuple[2]", "components": [{"name": "a", "type": "int24"}]},
]


def test_nested_dynamic_structs_become_dicts_and_lists() -> None:
    param = of("tuple", name="market", components=MARKET)
    assert param.type == "(uint256,(int256,address,(uint256,string)[])[],(int24)[2])"
    raw = (7, [(-5, ALICE.lower(), [(1600, "put"), (1900, "")]), (0, ALICE.lower(), [])], [(-1,), (2,)])
    value = {
        "id": 7,
        "boards": [
            {
                "delta": -5,
                "owner": ALICE,
                "strikes": [{"price": 1600, "label": "put"}, {"price": 1900, "label": ""}],
            },
            {"delta": 0, "owner": ALICE, "strikes": []},
        ],
        "pair": [{"a": -1}, {"a": 2}],
    }
    data = encode([param.type], [raw])
    assert Decoder([param])("f", data) == [value]
    assert encode_arguments("f", [param], [value]) == data
    assert encode_arguments("f", [param], [raw]) == data


def test_a_struct_with_an_unnamed_component_stays_a_tuple() -> None:
    param = of("tuple", components=[{"name": "", "type": "uint256"}, {"name": "b", "type": "bool"}])
    assert Decoder([param])("f", encode([param.type], [(3, True)])) == [(3, True)]


def nested(depth: int) -> st.SearchStrategy[tuple[dict[str, Any], st.SearchStrategy[Any]]]:
    """A type as ABI JSON, and a strategy for its values."""
    leaves = st.sampled_from(
        [
            ({"type": "uint256"}, st.integers(0, 2**256 - 1)),
            ({"type": "int256"}, st.integers(-(2**255), 2**255 - 1)),
            ({"type": "int24"}, st.integers(-(2**23), 2**23 - 1)),
            ({"type": "uint8"}, st.integers(0, 255)),
            ({"type": "bool"}, st.booleans()),
            (
                {"type": "address"},
                st.binary(min_size=20, max_size=20).map(lambda b: checksummed("0x" + b.hex())),
            ),
            ({"type": "bytes32"}, st.binary(min_size=32, max_size=32)),
            ({"type": "bytes4"}, st.binary(min_size=4, max_size=4)),
            ({"type": "bytes"}, st.binary(max_size=70)),
            ({"type": "string"}, st.text(max_size=20)),
        ]
    )
    if depth == 0:
        return leaves
    inner = nested(depth - 1)
    lists = inner.map(lambda t: ({**t[0], "type": t[0]["type"] + "[]"}, st.lists(t[1], max_size=3)))
    arrays = inner.map(
        lambda t: ({**t[0], "type": t[0]["type"] + "[2]"}, st.lists(t[1], min_size=2, max_size=2))
    )
    structs = st.lists(inner, min_size=1, max_size=3).map(
        lambda ts: (
            {"type": "tuple", "components": [{**t[0], "name": f"c{i}"} for i, t in enumerate(ts)]},
            st.tuples(*(t[1] for t in ts)).map(lambda vs: {f"c{i}": v for i, v in enumerate(vs)}),
        )
    )
    return st.one_of(leaves, lists, arrays, structs)


@given(st.data())
def test_any_nesting_is_read_back(data: st.DataObject) -> None:
    items = data.draw(st.lists(nested(3), min_size=1, max_size=3))
    values = [data.draw(strategy) for _, strategy in items]
    params = [Param.of(item) for item, _ in items]
    encoded = encode_arguments("f", params, values)
    assert Decoder(params)("f", encoded) == values
    if encoded:
        with contextlib.suppress(AbiMismatch):
            Decoder(params)("f", encoded[: data.draw(st.integers(0, len(encoded) - 1))])


@given(st.binary(max_size=200))
def test_no_bytes_make_the_decoder_raise_anything_else(data: bytes) -> None:
    for param in (of("tuple", components=MARKET), of("string"), of("uint8"), of("address[]"), of("bytes")):
        with contextlib.suppress(AbiMismatch):
            Decoder([param])("f", data)
