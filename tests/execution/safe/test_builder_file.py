"""The Transaction Builder's file: its checksum against that of a file of the app itself."""

import copy
import json
from typing import Any

import pytest
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from keeper.execution.safe.builder_file import batch_file, checksum
from keeper.execution.safe.multisend import Part
from keeper.model.reads import Address
from keeper.model.units import Wei
from tests.execution.safe.test_multisend import batches
from tests.execution.safe.test_transaction import addresses

EXPORTED: dict[str, Any] = {
    "version": "1.0",
    "chainId": "1",
    "createdAt": 1761326849944,
    "meta": {
        "name": "Transactions Batch",
        "description": "",
        "txBuilderVersion": "1.18.2",
        "createdFromSafeAddress": "0xA77DE01e157f9f57C7c4A326eeE9C4874D0598b6",
        "createdFromOwnerAddress": "",
        "checksum": "0x8b5032f716845c8b08bab3d63dbd9ba92e056f3557793cd041e59b84e16aa989",
    },
    "transactions": [
        {
            "to": "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48",
            "value": "0",
            "data": None,
            "contractMethod": {
                "inputs": [
                    {"internalType": "address", "name": "spender", "type": "address"},
                    {"internalType": "uint256", "name": "value", "type": "uint256"},
                ],
                "name": "approve",
                "payable": False,
            },
            "contractInputsValues": {
                "spender": "0x474e5Ded6b5D078163BFB8F6dBa355C3aA5478C8",
                "value": "100000000000",
            },
        }
    ],
}
"""Written by the app. Source: 5afe/safe-cli-nodejs, TRANSACTION_BUILDER_FORMAT_ANALYSIS.md."""

PART = Part(to=Address("0x" + "11" * 20), data="0x095ea7b3", value=Wei(7))
SAFE = Address("0x" + "22" * 20)


def built(*parts: Part, description: str = "why", **changes: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {"safe": SAFE, "chain_id": 10, "created_at_ms": 1, "name": "keeper"} | changes
    return batch_file(parts, description=description, **fields)


def test_the_checksum_is_the_apps_own() -> None:
    assert checksum(EXPORTED) == EXPORTED["meta"]["checksum"]


def test_the_checksum_of_a_small_file_by_hand() -> None:
    document = {"b": [1, "x"], "a": None, "meta": {"name": "any", "k": "v"}}
    serial = '{["a","b","meta"]null,[1,"x"],{["k","name"]"v",null,},}'
    assert checksum(document) == "0x" + keccak(text=serial).hex()


def test_the_file_holds_what_the_app_asks_for() -> None:
    document = built(PART)
    assert set(document) == set(EXPORTED)
    assert set(document["meta"]) == set(EXPORTED["meta"])
    assert set(document["transactions"][0]) == set(EXPORTED["transactions"][0])
    assert (document["version"], document["chainId"], document["createdAt"]) == ("1.0", "10", 1)
    (held,) = document["transactions"]
    assert (held["to"], held["value"], held["data"]) == (PART.to, "7", "0x095ea7b3")
    assert document["meta"]["checksum"] == checksum(document)


@given(batches, addresses, st.integers(1, 2**53), st.text(max_size=30))
def test_a_file_that_was_written_and_read_keeps_its_checksum(
    batch: list[Part], safe: Address, now_ms: int, text: str
) -> None:
    document = built(*batch, safe=safe, created_at_ms=now_ms, description=text)
    again = json.loads(json.dumps(document))
    assert again["meta"]["checksum"] == checksum(again)
    found = [Part(to=t["to"], data=t["data"], value=Wei(int(t["value"]))) for t in again["transactions"]]
    assert found == batch


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["transactions"][0].update(to=SAFE),
        lambda d: d["transactions"][0].update(value="8"),
        lambda d: d["transactions"][0].update(data="0x"),
        lambda d: d["transactions"].append(d["transactions"][0]),
        lambda d: d.update(chainId="1"),
        lambda d: d["meta"].update(createdFromSafeAddress=PART.to),
    ],
    ids=["to", "value", "data", "twice", "chain", "safe"],
)
def test_a_file_that_was_changed_loses_its_checksum(change: Any) -> None:
    document = built(PART)
    changed = copy.deepcopy(document)
    change(changed)
    assert checksum(changed) != document["meta"]["checksum"]


def test_the_name_may_be_changed() -> None:
    document = built(PART)
    renamed = {**document, "meta": {**document["meta"], "name": "ours"}}
    assert checksum(renamed) == document["meta"]["checksum"]
