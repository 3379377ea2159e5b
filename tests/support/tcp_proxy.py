"""A TCP proxy in front of a PostgreSQL socket, or of a port, that loses what a test wants lost.

A network that is parted is one in which packets get lost, and nothing says so: no answer, no end of the
connection, not even an acknowledgement. The kernel does that for a socket whose filter lets nothing through,
which most kernels let a process set on its own sockets. What was sent meanwhile is sent again by the kernel
of the other side, and arrives once the network is whole, if that side has not given up. Where no filter may
be set nobody reads or answers either, but the kernel acknowledges all the same.

Source: Linux `Documentation/networking/filter.rst`; `tcp_filter` in `net/ipv4/tcp_ipv4.c`.
"""

import contextlib
import ctypes
import select
import socket
import struct
import sys
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.support import tally

_SO_ATTACH_FILTER, _SO_DETACH_FILTER = 26, 27
_RETURN: Final = 0x06
"""The one instruction of the filter: keep so many bytes of a packet, none."""


class TcpProxy:
    """Passes bytes on until it sees a word, and then once does what it was told.

    `lose_answer(word)`: the server gets the word, its answer is lost and the connection with it.
    `lose_request(word)`: the server does not get it. Its own connection ends too, or with `half_open` stays,
    as when a firewall forgets a connection. With `down`, nobody gets through any more until `up`.

    `part()`: from now on packets get lost, until `heal`. `part_at(word)`: once the server has the word, or as
    soon as it has `answered`.
    """

    def __init__(self, upstream: Path | tuple[str, int]) -> None:
        """`upstream` is a socket of this machine, or host and port."""
        self._upstream = upstream
        self._word: bytes | None = None
        self._deliver = self._half_open = self._down_after = False
        self._refusing = self._parting = self._awaited = False
        self._lock = threading.Lock()
        self._whole = threading.Event()
        self._whole.set()
        self._clients: set[socket.socket] = set()
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

    def part_at(self, word: bytes, *, answered: bool) -> None:
        with self._lock:
            self._word, self._parting, self._awaited = word, True, answered

    def part(self) -> None:
        """From now on no packet gets through in either direction."""
        with self._lock:
            self._part()

    def heal(self) -> None:
        """Let everything through again, what was sent meanwhile as well."""
        with self._lock:
            if not self._whole.is_set():
                for deaf in (self._listener, *self._clients) if can_lose_packets() else ():
                    deaf.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)
                self._whole.set()

    @contextlib.contextmanager
    def parted(self) -> Iterator[None]:
        """Be parted for the length of a `with` block."""
        self.part()
        try:
            yield
        finally:
            self.heal()

    def _part(self) -> None:
        tally.fault("network parted")
        self._whole.clear()
        for deaf in (self._listener, *self._clients) if can_lose_packets() else ():
            _let_nothing_in(deaf)

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
            server = socket.socket(socket.AF_UNIX if isinstance(self._upstream, Path) else socket.AF_INET)
            try:
                server.connect(str(self._upstream) if isinstance(self._upstream, Path) else self._upstream)
            except OSError:
                client.close()
                server.close()
                continue
            with self._lock:
                self._clients.add(client)
                if not self._whole.is_set() and can_lose_packets():
                    _let_nothing_in(client)
            self._spawn(self._pass_on, client, server)

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        keep = False
        with contextlib.suppress(OSError):
            keep = self._pump(client, server)
        with self._lock:
            self._clients.discard(client)
            client.close()
        if keep:
            self._left.append(server)
        else:
            server.close()

    def _pump(self, client: socket.socket, server: socket.socket) -> bool:
        """Pass bytes on until either end closes, or the word came. True to leave the server's end open."""
        while not self._ended.is_set():
            if not self._whole.wait(0.05):
                continue
            readable, _, _ = select.select([client, server], [], [], 0.05)
            with self._lock:
                if not self._whole.is_set():
                    continue
                if server in readable:
                    answer = server.recv(1 << 16)
                    if not answer:
                        return False
                    client.sendall(answer)
                if client not in readable:
                    continue
                request = client.recv(1 << 16)
                if not request:
                    return False
                if self._word is None or self._word not in request:
                    server.sendall(request)
                    continue
                self._word = None
                if not self._parting:
                    self._refusing = self._down_after
                    return self._lose(request, server)
                self._parting = False
                server.sendall(request)
                if self._awaited:
                    client.sendall(server.recv(1 << 16))
                self._part()
        return False

    def _lose(self, request: bytes, server: socket.socket) -> bool:
        tally.fault("database connection cut")
        if self._deliver:
            server.sendall(request)
            server.settimeout(30.0)
            assert server.recv(1 << 16)
        return self._half_open


def _let_nothing_in(one: socket.socket) -> None:
    instruction = ctypes.create_string_buffer(struct.pack("=HBBI", _RETURN, 0, 0, 0))
    program = struct.pack("@HP", 1, ctypes.addressof(instruction))
    one.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)


@cache
def can_lose_packets() -> bool:
    """Whether a socket of ours can be made deaf."""
    if sys.platform != "linux":
        return False
    with socket.socket() as one:
        try:
            _let_nothing_in(one)
        except OSError:
            return False
    return True
