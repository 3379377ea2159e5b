"""Transactions to sign, the key that should, and a server on loopback that stands in for a signer."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from eth_account import Account
from hypothesis import strategies as st

from keeper.model.reads import Address

KEY: Final = "0x" + "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318"
OTHER_KEY: Final = "0x" + "5d" * 32
ADDRESS: Final = Address(Account.from_key(KEY).address)
MODERN: Final[Mapping[str, Any]] = {
    "type": 2,
    "chainId": 10,
    "nonce": 7,
    "to": "0x00000000000000000000000000000000000000AA",
    "value": 1,
    "data": "0x0102",
    "gas": 21_000,
    "maxFeePerGas": 10**10,
    "maxPriorityFeePerGas": 10**9,
}
LEGACY: Final[Mapping[str, Any]] = {
    "chainId": 42_161,
    "nonce": 0,
    "to": "0x00000000000000000000000000000000000000AB",
    "value": 0,
    "data": "0x",
    "gas": 90_000,
    "gasPrice": 10**9,
}

number = st.integers(0, 2**96)
common = {
    "chainId": st.integers(1, 2**40),
    "nonce": st.integers(0, 2**40),
    "to": st.binary(min_size=20, max_size=20).map(lambda b: "0x" + b.hex()),
    "value": number,
    "data": st.binary(max_size=80).map(lambda b: "0x" + b.hex()),
    "gas": st.integers(21_000, 2**32),
}
transactions = st.fixed_dictionaries(
    {**common, "type": st.just(2), "maxFeePerGas": number, "maxPriorityFeePerGas": number}
) | st.fixed_dictionaries({**common, "gasPrice": number})

Reply = tuple[int, bytes]


@contextmanager
def serving(answer: Callable[[Mapping[str, str], dict[str, Any]], Reply]) -> Iterator[str]:
    """Answer POSTs of JSON on a free port of loopback. Gives the URL."""

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, content = answer(dict(self.headers), json.loads(body))
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
