"""Calls, answers, events and reverts by the fragments that adapters name."""

from typing import Any

import pytest
from eth_abi.abi import encode as abi_encode
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from keeper.chain import abi
from keeper.chain.errors import AbiMismatch, AbiMissing
from keeper.model.reads import Address, Call, Send

ALICE = Address("0x90F79bf6EB2c4f870365E785982E1f101E93b906")
BOB = Address("0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65")
HERE = Address("0x82ac2CE43e33683c58BE4cDc40975E73aA50f459")

ACCOUNT_VALUE = Call("curie/ClearingHouse", HERE, "getAccountValue", (ALICE,))


def test_selectors_are_the_published_ones() -> None:
    # shared reference pages of both venues, sections "Minimal ABI"
    assert abi.selector("curie/ClearingHouse", "getAccountValue") == "0x5ae80951"
    assert abi.selector("lyra/OptionToken", "getOptionPositions") == "0x23d35477"
    assert abi.selector("lyra/OptionMarket", "liquidatePosition") == "0x5f036de1"
    assert abi.selector("erc20/ERC20", "balanceOf") == "0x70a08231"


def test_a_call_and_a_send_are_encoded_alike() -> None:
    data = abi.encode(ACCOUNT_VALUE)
    assert data == "0x5ae80951" + bytes(12).hex() + ALICE[2:].lower()
    assert abi.encode(Send("curie/ClearingHouse", HERE, "getAccountValue", (ALICE,))) == data


def test_negative_values_keep_their_sign() -> None:
    assert abi.decode(ACCOUNT_VALUE, abi_encode(["int256"], [-(10**18)])) == -(10**18)


def test_several_outputs_are_a_tuple_in_order() -> None:
    call = Call("curie/AccountBalance", HERE, "getPnlAndPendingFee", (ALICE,))
    assert abi.decode(call, abi_encode(["int256", "int256", "uint256"], [-1, 2, 3])) == (-1, 2, 3)


def test_an_array_of_structs_is_a_list_of_dicts() -> None:
    call = Call("lyra/OptionToken", HERE, "getOptionPositions", ([1, 2],))
    kinds = "(uint256,uint256,uint8,uint256,uint256,uint8)[]"
    answer = abi.decode(call, abi_encode([kinds], [[(1, 4, 2, 10**18, 5, 1), (0,) * 6]]))
    assert answer[0] == {
        "positionId": 1,
        "strikeId": 4,
        "optionType": 2,
        "amount": 10**18,
        "collateral": 5,
        "state": 1,
    }
    assert answer[1]["state"] == 0


def test_an_empty_answer_says_that_no_contract_is_there() -> None:
    with pytest.raises(AbiMismatch, match=f"getAccountValue at {HERE}: answered nothing: no contract there"):
        abi.decode(ACCOUNT_VALUE, b"")


def test_a_function_without_outputs_answers_none() -> None:
    assert abi.decode(Call("lyra/OptionMarket", HERE, "liquidatePosition", (1, ALICE)), b"") is None


def test_missing_entries_are_named() -> None:
    with pytest.raises(AbiMissing, match="nowhere/Nothing: no ABI of that name"):
        abi.load("nowhere/Nothing")
    with pytest.raises(AbiMissing, match=r"curie/ClearingHouse\.nothing"):
        abi.function("curie/ClearingHouse", "nothing")
    with pytest.raises(AbiMissing, match=r"curie/ClearingHouse\.Nothing"):
        abi.event("curie/ClearingHouse", "Nothing")


def written(tmp_path: Any, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "Thing.json").write_text(text, encoding="utf-8")
    monkeypatch.setattr(abi, "ABI_ROOT", tmp_path)


@pytest.fixture(autouse=True)
def _own_abis_are_forgotten() -> Any:
    yield
    abi.load.cache_clear()


def test_an_overloaded_function_is_named_by_its_signature(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = '{"type": "function", "name": "f", "inputs": [{"type": "uint256"}]}'
    two = '{"type": "function", "name": "f", "inputs": [{"type": "uint256"}, {"type": "bool"}]}'
    written(tmp_path, monkeypatch, f"[{one}, {two}]")
    with pytest.raises(AbiMissing, match="overloaded"):
        abi.function("own/Thing", "f")
    assert abi.selector("own/Thing", "f(uint256)") == "0x" + keccak(text="f(uint256)")[:4].hex()
    assert abi.selector("own/Thing", "f(uint256,bool)") == "0x" + keccak(text="f(uint256,bool)")[:4].hex()


def test_a_library_function_may_bring_its_selector(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    item = '{"type": "function", "name": "f", "inputs": [], "outputs": [], "selector": "0x11223344"}'
    written(tmp_path, monkeypatch, f'{{"abi": [{item}]}}')
    assert abi.selector("own/Thing", "f") == "0x11223344"


def test_an_abi_that_is_not_json_is_named(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, monkeypatch, "[{")
    with pytest.raises(AbiMissing, match="own/Thing: is not JSON"):
        abi.load("own/Thing")


def test_every_fragment_can_be_read() -> None:
    names = [p.relative_to(abi.ABI_ROOT).with_suffix("").as_posix() for p in abi.ABI_ROOT.rglob("*.json")]
    assert "curie/ClearingHouse" in names
    assert all(abi.load(name) for name in names)


LIQUIDATED = "PositionLiquidated(address,address,uint256,uint256,uint256,address)"


def raw_log(topics: list[bytes], data: bytes) -> dict[str, Any]:
    return {
        "address": HERE,
        "topics": ["0x" + t.hex() for t in topics],
        "data": "0x" + data.hex(),
        "blockNumber": "0x10",
        "logIndex": "0x2",
    }


def word(address: str) -> bytes:
    return bytes(12) + bytes.fromhex(address[2:])


def test_an_event_is_decoded_in_the_order_of_the_abi() -> None:
    data = abi_encode(["uint256", "uint256", "uint256", "address"], [100, 5, 3, BOB])
    topics = [keccak(text=LIQUIDATED), word(ALICE), word(HERE)]
    log = abi.decode_log(
        "curie/ClearingHouse", ("PositionChanged", "PositionLiquidated"), raw_log(topics, data)
    )
    assert (log.event, log.block_number, log.log_index) == ("PositionLiquidated", 16, 2)
    assert list(log.args) == [
        "trader",
        "baseToken",
        "positionNotional",
        "positionSize",
        "liquidationFee",
        "liquidator",
    ]
    assert log.args["trader"] == ALICE
    assert log.args["positionSize"] == 5
    assert log.args["liquidator"] == BOB


@pytest.mark.parametrize(
    ("topics", "data"),
    [
        ([keccak(text="Other()")], b""),
        ([keccak(text=LIQUIDATED), word(ALICE)], bytes(128)),
        ([keccak(text=LIQUIDATED), word(ALICE), word(HERE)], bytes(64)),
        ([keccak(text=LIQUIDATED), b"\x01" * 32, word(HERE)], bytes(128)),
    ],
)
def test_a_log_of_another_shape_is_refused(topics: list[bytes], data: bytes) -> None:
    with pytest.raises(AbiMismatch):
        abi.decode_log("curie/ClearingHouse", ("PositionLiquidated",), raw_log(topics, data))


def test_an_error_string_is_its_text() -> None:
    data = keccak(text="Error(string)")[:4] + abi_encode(["string"], ["CH_EAV"])
    revert = abi.decode_revert(data, ())
    assert (revert.name, revert.text, revert.error) == ("Error", "CH_EAV", "CH_EAV")


def test_a_custom_error_is_named_with_its_arguments() -> None:
    signature = "PositionNotLiquidatable(address,(uint256,uint256,uint8,uint256,uint256,uint8),uint256)"
    body = abi_encode(
        ["address", "(uint256,uint256,uint8,uint256,uint256,uint8)", "uint256"],
        [HERE, (7, 4, 2, 1, 5, 1), 2000],
    )
    data = keccak(text=signature)[:4] + body
    assert data[:4].hex() == "1f0319a9"  # published in the venue's reference page
    revert = abi.decode_revert(data, ("lyra/OptionToken",))
    assert revert.name == revert.error == "PositionNotLiquidatable"
    assert revert.args["thrower"] == HERE
    assert revert.args["position"]["positionId"] == 7
    assert revert.text.startswith(f"PositionNotLiquidatable(thrower={HERE}, position=(positionId=7,")
    # An error that bubbled up from another contract is found among all fragments.
    assert abi.decode_revert(data, ("curie/Vault",)) == revert


def test_a_panic_is_explained() -> None:
    data = keccak(text="Panic(uint256)")[:4] + abi_encode(["uint256"], [0x11])
    revert = abi.decode_revert(data, ())
    assert (revert.name, revert.args) == ("Panic", {"code": 0x11})
    assert revert.text == "Panic(0x11): arithmetic overflow or underflow"


@given(st.binary(max_size=120))
def test_any_revert_data_has_words(data: bytes) -> None:
    assert abi.decode_revert(data, ("curie/ClearingHouse",)).text


def test_an_unknown_error_is_named_by_its_selector() -> None:
    revert = abi.decode_revert(bytes.fromhex("deadbeef") + bytes(32), ())
    assert (revert.name, revert.text) == ("0xdeadbeef", "unknown error 0xdeadbeef with 32 bytes")
    assert abi.decode_revert(b"", ()).text == "reverted without a reason"
    assert abi.decode_revert(b"\x01", ()).name == "0x01"
