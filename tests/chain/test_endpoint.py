"""One endpoint against a node that misbehaves, and what of its URL is ever shown."""

import gzip
import json
import socket
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from keeper.chain.endpoint import Endpoint
from keeper.chain.errors import EndpointUnfit, NodeRefused, NodeUnreachable, RateLimited
from keeper.model.errors import KeeperError
from tests.support.rpc_proxy import (
    Exchange,
    Reply,
    RpcError,
    RpcProxy,
    delayed,
    dropped,
    garbage,
    limited,
    refused,
)

pytestmark = pytest.mark.faults

KEY = "s3cr3tpr0jectkey"


def node(method: str, params: list[Any]) -> Any:
    if method == "echo":
        return params
    raise RpcError(-32601, f"Method not found, key {KEY}")


@pytest.fixture
def proxy() -> Iterator[RpcProxy]:
    with RpcProxy(node) as proxy:
        yield proxy


@contextmanager
def endpoint(url: str, *, timeout_s: float = 5.0) -> Iterator[Endpoint]:
    made = Endpoint(url, timeout_s=timeout_s)
    yield made
    made.close()


def test_results_come_back_and_requests_are_counted(proxy: RpcProxy) -> None:
    with endpoint(proxy.url) as one:
        assert one.ask("echo", [1, {"a": "b"}]) == [1, {"a": "b"}]
        assert one.ask("echo", []) == []
        assert one.requests == len(proxy.seen) == 2


def test_an_error_of_the_node_keeps_code_words_and_data(proxy: RpcProxy) -> None:
    proxy.fault(refused(3, "execution reverted", "0x08c379a0"), "echo")
    with endpoint(proxy.url) as one, pytest.raises(NodeRefused) as caught:
        one.ask("echo", [])
    assert (caught.value.code, caught.value.text) == (3, "execution reverted")
    assert caught.value.data.hex() == "08c379a0"


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"<html>Bad Gateway</html>", 502, "HTTP 502 with something that is not JSON"),
        (b"", 200, "not JSON"),
        (b"[]", 200, "JSON that is not JSON-RPC"),
        (b'{"ok": true}', 200, "JSON that is not JSON-RPC"),
        (b'{"jsonrpc": "2.0", "id": 1, "error": null}', 200, "JSON that is not JSON-RPC"),
        (b"[" * 100_000, 200, "not JSON"),
        (b'{"a":' * 100_000, 200, "not JSON"),
        (b'{"jsonrpc": "2.0", "id": 77, "result": "0x1"}', 200, "answered request 77, expected 1"),
        (b"\xff\xfe", 200, "not JSON"),
    ],
)
def test_an_answer_to_nothing_we_asked_is_no_answer(
    proxy: RpcProxy, body: bytes, status: int, words: str
) -> None:
    proxy.fault(garbage(body, status))
    with endpoint(proxy.url) as one, pytest.raises(NodeUnreachable, match=words):
        one.ask("echo", [])


@pytest.mark.parametrize(
    ("code", "text", "data"),
    [
        (3, "execution reverted: rate limit exceeded", "0x08c379a0"),
        (3, "execution reverted: gateway timeout", None),
        (-32000, "VM Exception while processing transaction: revert too many requests", None),
        (-32015, "no backend is currently healthy", "Reverted 0x08c379a0"),
    ],
)
def test_a_contracts_own_words_do_not_speak_for_the_node(
    proxy: RpcProxy, code: int, text: str, data: str | None
) -> None:
    """Else any contract could set every endpoint aside."""
    proxy.fault(refused(code, text, data), "echo")
    with endpoint(proxy.url) as one, pytest.raises(NodeRefused) as caught:
        one.ask("echo", [])
    assert caught.value.text == text


@pytest.mark.parametrize(
    ("text", "retry_after", "certain"),
    [("", None, False), ("", "2", True), ("limit exceeded", "2", True), ("rate limit", None, True)],
)
def test_whether_it_is_certain_that_the_rate_is_meant(
    proxy: RpcProxy, text: str, retry_after: str | None, certain: bool
) -> None:
    def fault(exchange: Exchange) -> Reply:
        headers = () if retry_after is None else (("Retry-After", retry_after),)
        return Reply(exchange.reply(error={"code": -32005, "message": text}).body, headers=headers)

    proxy.fault(fault, "echo")
    with endpoint(proxy.url) as one, pytest.raises(RateLimited) as caught:
        one.ask("echo", [])
    assert caught.value.certain == certain


def test_an_error_inside_an_http_error_is_the_nodes_own(proxy: RpcProxy) -> None:
    proxy.fault(garbage(b'{"jsonrpc": "2.0", "id": 1, "error": {"code": -32000, "message": "no"}}', 400))
    with endpoint(proxy.url) as one, pytest.raises(NodeRefused, match="no"):
        one.ask("echo", [])


def test_rate_limits_say_how_long_to_wait(proxy: RpcProxy) -> None:
    proxy.fault(limited(retry_after_s=7), times=1)
    with endpoint(proxy.url) as one:
        with pytest.raises(RateLimited) as caught:
            one.ask("echo", [])
        assert caught.value.retry_after_s == 7.0
        proxy.fault(refused(-32005, "too many requests"), times=1)
        with pytest.raises(RateLimited) as caught:
            one.ask("echo", [])
        assert caught.value.retry_after_s is None
        proxy.fault(refused(-32005, "query returned more than 10000 results"), times=1)
        with pytest.raises(NodeRefused):
            one.ask("echo", [])


def test_a_silent_node_costs_the_timeout_and_no_more(proxy: RpcProxy) -> None:
    proxy.fault(delayed(30.0))
    with endpoint(proxy.url, timeout_s=0.2) as one, pytest.raises(NodeUnreachable, match=r"within 0\.2 s"):
        one.ask("echo", [])


def test_a_connection_that_died_in_between_is_opened_again(proxy: RpcProxy) -> None:
    proxy.fault(dropped(), times=1)
    with endpoint(proxy.url) as one:
        assert one.ask("echo", [1]) == [1]
        proxy.fault(dropped())
        with pytest.raises(NodeUnreachable, match="connection broke"):
            one.ask("echo", [2])


def test_nobody_listening() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (
        endpoint(f"http://127.0.0.1:{port}") as one,
        pytest.raises(NodeUnreachable, match="cannot be connected"),
    ):
        one.ask("echo", [])


def chunked(body: bytes) -> bytes:
    pieces = [body[i : i + 1999] for i in range(0, len(body), 1999)]
    return b"".join(f"{len(p):x}\r\n".encode() + p + b"\r\n" for p in [*pieces, b""])


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("in_chunks", [False, True])
def test_bodies_come_plain_zipped_and_in_chunks(zipped: bool, in_chunks: bool) -> None:
    """Go servers send long answers in chunks, proxies compress them."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "result": "0x" + "ab" * 100_000}).encode()
    sent = gzip.compress(body) if zipped else body
    head = "HTTP/1.1 200 OK\r\n" + ("Content-Encoding: gzip\r\n" if zipped else "")
    head += "Transfer-Encoding: chunked\r\n\r\n" if in_chunks else f"Content-Length: {len(sent)}\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(head.encode() + (chunked(sent) if in_chunks else sent))
                while connection.recv(65536):
                    """To the end of the request: closing on unread bytes would reset the connection."""

        thread = threading.Thread(target=serve)
        thread.start()
        with endpoint(f"http://127.0.0.1:{server.getsockname()[1]}") as one:
            assert one.ask("echo", []) == "0x" + "ab" * 100_000
        thread.join()


def test_a_node_that_drips_is_cut_off() -> None:
    """Every single read is inside the timeout; only the whole is not."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        stop = threading.Event()

        def drip() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
                while not stop.wait(0.02):
                    try:
                        connection.sendall(b" ")
                    except OSError:
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            with (
                endpoint(f"http://127.0.0.1:{server.getsockname()[1]}", timeout_s=0.3) as one,
                pytest.raises(NodeUnreachable, match="no answer within"),
            ):
                one.ask("echo", [])
        finally:
            stop.set()
            thread.join()


@pytest.mark.parametrize(
    "suffix", [f"/v3/{KEY}", f"/?apikey={KEY}", f"/rpc/{KEY}/", f"/{KEY}?x=1&token={KEY}"]
)
def test_keys_in_the_url_are_never_shown(proxy: RpcProxy, suffix: str) -> None:
    host = proxy.url.removeprefix("http://")
    with endpoint(f"http://user:{KEY}@{host}{suffix}", timeout_s=0.2) as one:
        assert one.host == proxy.url
        shown = [repr(one), one.host]
        for fault in (None, dropped(), garbage(), limited(), delayed(5.0)):
            proxy.clear()
            if fault is not None:
                proxy.fault(fault)
            with pytest.raises(KeeperError) as caught:
                one.ask("unknown", [])
            shown += [str(caught.value), "".join(traceback.format_exception(caught.value))]
        assert not [text for text in shown if KEY in text]


def test_credentials_are_sent_all_the_same() -> None:
    one = Endpoint(f"https://user:p%40ss{KEY}@node.example/x", timeout_s=1.0)
    assert one._headers["authorization"].startswith("Basic ")
    assert one.host == "https://node.example"


@pytest.mark.parametrize("url", ["ftp://node", "node:8545", "", "http://", "ws://node.example"])
def test_a_url_that_cannot_be_used_is_a_configuration_error(url: str) -> None:
    with pytest.raises(EndpointUnfit, match="expected http"):
        Endpoint(url, timeout_s=1.0)
