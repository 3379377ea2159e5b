"""A TCP proxy in front of a PostgreSQL socket that loses what a test wants lost."""

import contextlib
import select
import socket
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support import tally


class TcpProxy:
    """Passes bytes on until it sees a word, and then once does what it was told.

    `lose_answer(word)`: the server gets the word, its answer is lost and the connection with it.
    `lose_request(word)`: the server does not get it. Its own connection ends too, or with `half_open` stays,
    as when a firewall forgets a connection. With `down`, nobody gets through any more until `up`.
    """

    def __init__(self, upstream: Path) -> None:
        self._upstream = str(upstream)
        self._word: bytes | None = None
        self._deliver = self._half_open = self._down_after = False
        self._refusing = False
        self._lock = threading.Lock()
        self._left: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._ended = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._spawn(self._accept)

    def lose_answer(self, word: bytes, *, down: bool = False) -> None:
        with self._lock:
            self._word, self._deliver, self._half_open, self._down_after = word, True, False, down

    def lose_request(self, word: bytes, *, half_open: bool = False, down: bool = False) -> None:
        with self._lock:
            self._word, self._deliver, self._half_open, self._down_after = word, False, half_open, down

    def up(self) -> None:
        self._refusing = False

    @property
    def fired(self) -> bool:
        return self._word is None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()
        for left in self._left:
            left.close()
        self._listener.close()

    def _spawn(self, work: object, *arguments: socket.socket) -> None:
        thread = threading.Thread(target=work, args=arguments)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._ended.is_set():
            if not select.select([self._listener], [], [], 0.05)[0]:
                continue
            client, _ = self._listener.accept()
            if self._refusing:
                client.close()
                continue
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(self._upstream)
            except OSError:
                client.close()
                server.close()
                continue
            self._spawn(self._pass_on, client, server)

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        keep = False
        with contextlib.suppress(OSError):
            keep = self._pump(client, server)
        client.close()
        if keep:
            self._left.append(server)
        else:
            server.close()

    def _pump(self, client: socket.socket, server: socket.socket) -> bool:
        """Pass bytes on until either end closes, or the word came. True to leave the server's end open."""
        while not self._ended.is_set():
            readable, _, _ = select.select([client, server], [], [], 0.05)
            if server in readable:
                answer = server.recv(1 << 16)
                if not answer:
                    return False
                client.sendall(answer)
            if client in readable:
                request = client.recv(1 << 16)
                if not request:
                    return False
                with self._lock:
                    fires = self._word is not None and self._word in request
                    if fires:
                        self._word = None
                        self._refusing = self._down_after
                if fires:
                    return self._lose(request, server)
                server.sendall(request)
        return False

    def _lose(self, request: bytes, server: socket.socket) -> bool:
        tally.fault("database connection cut")
        if self._deliver:
            server.sendall(request)
            server.settimeout(30.0)
            assert server.recv(1 << 16)
        return self._half_open
