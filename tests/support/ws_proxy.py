"""A WebSocket proxy that misbehaves on demand, in front of a node.

with WsProxy(anvil.url) as proxy:
    proxy.mute()
    HeadWatch(client, ws_endpoints=[proxy.url], ...)
"""

import json
import threading
from contextlib import suppress
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.client import ClientConnection, connect
from websockets.sync.server import Server, ServerConnection, serve

from tests.support import tally


class WsProxy:
    """Listens on a free port of the loopback for the length of a `with` block."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream.replace("http://", "ws://")
        self._open: set[tuple[ServerConnection, ClientConnection]] = set()
        self._lock = threading.Lock()
        self._muted = False
        self._refusing = False
        self._hanging = threading.Event()
        self._stopped = threading.Event()
        self._answers: dict[str, Any] = {}
        self._garbage: str | None = None
        self.sessions = 0
        """Connections that were made."""

        self.seen: list[str] = []
        """Methods that were asked."""

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self._server.socket.getsockname()[1]}"

    def close_all(self) -> None:
        """Break every open connection."""
        tally.fault("closed WebSockets", self._break())

    def mute(self) -> None:
        """Answer requests, bring no heads."""
        tally.fault("mute WebSockets")
        self._muted = True

    def refuse(self) -> None:
        """Refuse new connections with HTTP 401, and break the open ones."""
        tally.fault("refused WebSockets")
        self._refusing = True
        self.close_all()

    def hang(self) -> None:
        """Take connections and say nothing, not even in the handshake."""
        tally.fault("hanging WebSockets")
        self._hanging.set()
        self.close_all()

    def answer(self, method: str, result: Any) -> None:
        """Answer a method with this result."""
        self._answers[method] = result

    def garble(self, text: str) -> None:
        """Bring this instead of heads."""
        tally.fault("garbage")
        self._garbage = text

    def clear(self) -> None:
        """Behave again."""
        self._muted = self._refusing = False
        self._hanging.clear()
        self._answers.clear()
        self._garbage = None

    def __enter__(self) -> Self:
        self._server: Server = serve(self._serve, "127.0.0.1", 0, process_request=self._greet)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._server.shutdown()
        self._break()
        self._thread.join()

    def _break(self) -> int:
        """Break what is open; return how many that were."""
        with self._lock:
            for client, _ in self._open:
                with suppress(OSError):  # the other side was faster
                    client.socket.shutdown(2)
            return len(self._open)

    def _greet(self, connection: ServerConnection, _request: Request) -> Response | None:
        self.sessions += 1
        while self._hanging.is_set() and not self._stopped.wait(0.02):
            pass
        return connection.respond(HTTPStatus.UNAUTHORIZED, "no") if self._refusing else None

    def _serve(self, client: ServerConnection) -> None:
        with connect(self._upstream, proxy=None) as node:
            pair = (client, node)
            with self._lock:
                self._open.add(pair)
            back = threading.Thread(target=self._bring, args=pair, daemon=True)
            back.start()
            try:
                with suppress(ConnectionClosed):
                    for raw in client:
                        self._ask(client, node, raw)
            finally:
                with self._lock:
                    self._open.discard(pair)
                node.close()
                back.join()

    def _ask(self, client: ServerConnection, node: ClientConnection, raw: str | bytes) -> None:
        question = json.loads(raw)
        self.seen.append(question["method"])
        if question["method"] in self._answers:
            result = self._answers[question["method"]]
            client.send(json.dumps({"jsonrpc": "2.0", "id": question["id"], "result": result}))
        else:
            node.send(raw)

    def _bring(self, client: ServerConnection, node: ClientConnection) -> None:
        with suppress(ConnectionClosed):
            for raw in node:
                if json.loads(raw).get("method") != "eth_subscription":
                    client.send(raw)
                elif self._garbage is not None:
                    client.send(self._garbage)
                elif not self._muted:
                    client.send(raw)
