"""A signer in another process: its two dialects, its refusals, and its forgeries."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from eth_account import Account

from keeper.execution.signer.errors import SignedOtherwise, SignerRefused, SignerUnfit, SignerUnreachable
from keeper.execution.signer.remote import Method, RemoteSigner
from tests.execution.signer.samples import ADDRESS, KEY, LEGACY, MODERN, OTHER_KEY, Reply, serving

pytestmark = pytest.mark.faults

METHODS: tuple[Method, ...] = ("eth_signTransaction", "account_signTransaction")


class StandIn:
    """Signs as web3signer and clef do, or as it is told to."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.key = KEY
        self.change: dict[str, Any] = {}
        self.reply: Reply | None = None
        self.result: Any = None
        self.slow_s = 0.0

    def __call__(self, headers: Mapping[str, str], body: dict[str, Any]) -> Reply:
        time.sleep(self.slow_s)
        if self.reply is not None:
            return self.reply
        result = self._result(body) if self.result is None else self.result
        return 200, json.dumps({"jsonrpc": "2.0", "id": body["id"], "result": result}).encode()

    def _result(self, body: dict[str, Any]) -> Any:
        if body["method"] in ("eth_accounts", "account_list"):
            return [Account.from_key(KEY).address.lower()]
        (asked,) = body["params"]
        self.asked.append(asked)
        tx = {name: value for name, value in asked.items() if name != "from"} | self.change
        raw = "0x" + bytes(Account.from_key(self.key).sign_transaction(tx).raw_transaction).hex()
        return raw if body["method"] == "eth_signTransaction" else {"raw": raw, "tx": {}}


@contextmanager
def loaded(
    stand_in: StandIn, method: Method = "eth_signTransaction", timeout_s: float = 2.0
) -> Iterator[RemoteSigner]:
    with serving(stand_in) as url:
        yield RemoteSigner.load(url, ADDRESS, method=method, timeout_s=timeout_s)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("tx", [MODERN, LEGACY], ids=["modern", "legacy"])
def test_it_has_transactions_signed(method: Method, tx: dict[str, Any]) -> None:
    stand_in = StandIn()
    with loaded(stand_in, method) as signer:
        signed = signer.sign(tx)
    assert signer.address == ADDRESS
    assert signed.raw == bytes(Account.from_key(KEY).sign_transaction(tx).raw_transaction)
    (asked,) = stand_in.asked
    assert asked["from"] == ADDRESS
    assert asked["nonce"] == hex(tx["nonce"])
    assert asked["data"] == tx["data"]


@pytest.mark.parametrize(
    "change",
    [
        {"to": "0x" + "66" * 20},
        {"value": "0xde0b6b3a7640000"},
        {"data": "0xdeadbeef"},
        {"nonce": "0x8"},
        {"chainId": "0x1"},
        {"gas": "0xffffff"},
        {"maxFeePerGas": "0xffffffffffff"},
        {"maxPriorityFeePerGas": "0x1"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_signer_that_signs_something_else_is_a_tripwire(change: dict[str, Any]) -> None:
    stand_in = StandIn()
    with loaded(stand_in) as signer:
        stand_in.change = change
        with pytest.raises(SignedOtherwise, match=f"{next(iter(change))} is ") as info:
            signer.sign(MODERN)
    assert "Nothing of it was stored or sent" in str(info.value)


def test_a_signer_with_another_key_is_a_tripwire() -> None:
    stand_in = StandIn()
    with loaded(stand_in) as signer:
        stand_in.key = OTHER_KEY
        with pytest.raises(SignedOtherwise, match=f"signed by {Account.from_key(OTHER_KEY).address}"):
            signer.sign(MODERN)


def test_a_signer_without_the_account_is_unfit() -> None:
    stand_in = StandIn()
    answers: tuple[Any, ...] = ([], ["0x" + "12" * 20], {}, "no", 5)
    for listed in answers:
        stand_in.result = listed
        with pytest.raises(SignerUnfit, match="is not among them"), loaded(stand_in):
            pass


def test_a_refusal_is_told_in_its_words() -> None:
    stand_in = StandIn()
    with loaded(stand_in) as signer:
        error = {"code": -32000, "message": "request denied"}
        stand_in.reply = 200, json.dumps({"jsonrpc": "2.0", "id": 2, "error": error}).encode()
        with pytest.raises(SignerRefused, match=r"refused: request denied \(-32000\)"):
            signer.sign(MODERN)


@pytest.mark.parametrize(
    "reply",
    [
        (200, b"not json"),
        (502, b"<html>bad gateway</html>"),
        (200, b"[]"),
        (429, b""),
        (200, b'{"id":2,"jsonrpc":"2.0","result":"0xzz"}'),
    ],
    ids=["garbage", "gateway", "list", "limited", "no hex"],
)
def test_an_unusable_answer_signs_nothing(reply: Reply) -> None:
    stand_in = StandIn()
    with loaded(stand_in) as signer:
        stand_in.reply = reply
        with pytest.raises(SignerUnreachable, match="nothing was signed"):
            signer.sign(MODERN)


@pytest.mark.parametrize("result", ["", "0x", {}, {"raw": None}, [], 7, "0x02"])
def test_an_answer_that_is_no_transaction(result: Any) -> None:
    stand_in = StandIn()
    with loaded(stand_in) as signer:
        stand_in.result = result
        with pytest.raises((SignedOtherwise, SignerUnreachable)):
            signer.sign(MODERN)


def test_a_slow_signer_is_given_up() -> None:
    stand_in = StandIn()
    with loaded(stand_in, timeout_s=0.2) as signer:
        stand_in.slow_s = 0.6
        with pytest.raises(SignerUnreachable, match=r"no answer within 0\.2 s"):
            signer.sign(MODERN)


def test_nobody_there() -> None:
    with serving(StandIn()) as url:
        pass
    with pytest.raises(SignerUnreachable, match="cannot be connected to"):
        RemoteSigner.load(url, ADDRESS, method="eth_signTransaction", timeout_s=1.0)


def test_credentials_of_the_url_show_nowhere() -> None:
    stand_in = StandIn()
    with serving(stand_in) as url:
        secret = url.replace("http://", "http://user:hunter2secret@") + "/v1/pathsecret"
        signer = RemoteSigner.load(secret, ADDRESS, method="eth_signTransaction", timeout_s=1.0)
        error = {"code": -1, "message": "denied for hunter2secret at pathsecret"}
        stand_in.reply = 200, json.dumps({"jsonrpc": "2.0", "id": 2, "error": error}).encode()
        with pytest.raises(SignerRefused) as info:
            signer.sign(MODERN)
    for text in (str(info.value), repr(signer)):
        assert "hunter2secret" not in text
        assert "pathsecret" not in text
