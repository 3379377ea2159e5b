"""New heads of a chain as they come: by subscription over a WebSocket, by polling while there is none.

| the subscription | what happens |
| --- | --- |
| not configured | the chain is polled |
| not open yet, closed, refused, garbage, another chain | polled; opened again, waiting longer each time |
| brings nothing for `silent_s` | polled as well; where that shows a head it never brings, it is opened anew |

Measured on a local node, from block to notice: 2 ms by subscription, 25 ms polling every 50 ms, half a second
polling every second.

A head is told once, whoever brings it first. What was missed before a subscription began is asked for when it
has begun. Polling has a thread of its own, so that neither way waits for the other.

web3 takes a second and 50 MB to load, so it is loaded only by a chain that has a WebSocket.
"""

import asyncio
import contextlib
import importlib
import sys
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

import structlog

from keeper.chain.endpoint import shown_host
from keeper.chain.errors import EndpointUnfit, WrongChain
from keeper.model.errors import DataError, TransientError
from keeper.model.snapshot import BlockRef

if TYPE_CHECKING:
    from web3 import AsyncWeb3

_FIRST_REST_S: Final = 0.5
_LONGEST_REST_S: Final = 30.0
_REQUEST_S: Final = 5.0
"""For opening a connection and for each answer on it: web3 spends a whole core while it waits for one."""

_CLOSE_S: Final = 0.3
_GRACE_S: Final = 2.0
"""How much later than a poll a subscription may bring the same head."""

_JOIN_S: Final = 0.8
_REMEMBERED: Final = 256
"""Heads that are known, so that a reorg back and forth or a late messenger is no news."""

log = structlog.get_logger()


class Polled(Protocol):
    """What is asked for the head where nobody tells it. `keeper.chain.client.ChainClient` is one."""

    name: str
    chain_id: int

    def head(self) -> BlockRef:
        """Return the latest block."""
        ...

    def set_laggards_aside(self) -> None:
        """Leave endpoints that stand still while others go on."""
        ...


class HeadWatch:
    """Watches one chain between `start` and `stop`."""

    def __init__(
        self,
        polled: Polled,
        *,
        ws_endpoints: Sequence[str] = (),
        poll_s: float,
        silent_s: float = 15.0,
        told: Callable[[int, str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare to watch; nothing is asked.

        `polled` is used by no other thread meanwhile. `told` gets chain id and block hash of each new head,
        in one of the watch's threads; the first head of all is only learnt. Raises `EndpointUnfit`.
        """
        for url in ws_endpoints:
            if shown_host(url).partition("://")[0] not in ("ws", "wss"):
                raise EndpointUnfit(shown_host(url), "ws://host[:port][/path] or wss://...")
        self._polled = polled
        self._urls = tuple(ws_endpoints)
        self._poll_s = poll_s
        self._silent_s = silent_s
        self._told = told
        self._clock = clock
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._known: deque[str] = deque(maxlen=_REMEMBERED)
        self._subscription: tuple[asyncio.AbstractEventLoop, asyncio.Task[None]] | None = None
        self._heard_s: float | None = None
        """When the subscription last proved to be alive; None while there is none."""

        self._missed_s: float | None = None
        """Since when a polled head is missing from the subscription."""

        self._compared_s = clock()
        """When a poll last brought a new head, or the endpoints were compared because none did."""

    @property
    def subscribed(self) -> bool:
        """Whether heads come by subscription now, and have not been missing for long."""
        heard_s = self._heard_s
        return heard_s is not None and self._clock() - heard_s <= self._silent_s

    def start(self) -> None:
        """Begin to watch."""
        jobs = [self._poll, *([self._subscribe] if self._urls else [])]
        for job in jobs:
            name = f"heads-{self._polled.name}-{job.__name__.strip('_')}"
            # daemon: a thread that waits for a node must not keep the process from ending
            thread = threading.Thread(target=job, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def ask_to_stop(self) -> None:
        """Ask for the end, and return at once."""
        self._stopping.set()
        self._cut()

    def stop(self) -> None:
        """End within a second. A poll that still waits for its node then ends with its answer, unheard."""
        self.ask_to_stop()
        until_s = time.monotonic() + _JOIN_S
        for thread in self._threads:
            thread.join(max(0.0, until_s - time.monotonic()))
        self._threads.clear()

    # Telling

    def _heard(self, block_hash: str) -> None:
        """Take a head from the subscription."""
        self._heard_s, self._missed_s = self._clock(), None
        self._learn(block_hash)

    def _learn(self, block_hash: str) -> bool:
        """Tell of a head unless it is known. Whether it was new."""
        with self._lock:
            if block_hash in self._known:
                return False
            first = not self._known
            self._known.append(block_hash)
        if not first and not self._stopping.is_set():
            self._told(self._polled.chain_id, block_hash)
        return True

    # Polling

    def _poll(self) -> None:
        self._look()
        while not self._stopping.wait(self._poll_s):
            if not self.subscribed:
                self._look()

    def _look(self) -> None:
        now_s = self._clock()
        try:
            if now_s - self._compared_s > self._silent_s:
                self._compared_s = now_s
                self._polled.set_laggards_aside()
            fresh = self._learn(self._polled.head().hash)
        except (TransientError, DataError):
            return  # a cycle that reads the chain will say so
        if fresh:
            self._compared_s = now_s
        if self._heard_s is not None and fresh and self._missed_s is None:
            self._missed_s = now_s
        if self._missed_s is not None and now_s - self._missed_s > _GRACE_S:
            self._missed_s = None
            self._cut()

    def _cut(self) -> None:
        """End the subscription, so that another one is opened. Once only: its end has an end to come to."""
        with self._lock:
            subscription, self._subscription = self._subscription, None
            if subscription is not None:
                loop, task = subscription
                loop.call_soon_threadsafe(task.cancel)

    # Subscribing

    def _subscribe(self) -> None:
        _load()
        rest_s = _FIRST_REST_S
        turn = 0
        while not self._stopping.is_set():
            url = self._urls[turn % len(self._urls)]
            turn += 1
            why = asyncio.run(self._listen(url))
            worked, self._heard_s, self._missed_s = self._heard_s is not None, None, None
            if self._stopping.is_set():
                return
            rest_s = _FIRST_REST_S if worked else min(_LONGEST_REST_S, 2 * rest_s)
            log.warning(
                "no heads by subscription: polling",
                chain=self._polled.name, endpoint=shown_host(url), why=why, again_in_s=rest_s,
            )  # fmt: skip
            self._stopping.wait(rest_s)

    async def _listen(self, url: str) -> str:
        """Bring heads until the subscription fails. Returns why it did."""
        task = asyncio.ensure_future(self._session(url))
        with self._lock:
            self._subscription = (asyncio.get_running_loop(), task)
        if self._stopping.is_set():
            self._cut()
        try:
            await asyncio.wait([task])
        finally:
            with self._lock:
                self._subscription = None
        if task.cancelled():
            return "it is silent while the chain goes on"
        problem = task.exception()
        if problem is None:
            return "closed"
        if isinstance(problem, WrongChain):
            return str(problem)
        if not isinstance(problem, _trouble()):
            raise problem
        return _words(problem)

    async def _session(self, url: str) -> None:
        async with _connection(url) as web3:
            found = await self._ask(web3, "eth_chainId")
            if int(found, 16) != self._polled.chain_id:
                raise WrongChain(
                    self._polled.name, shown_host(url), expected=self._polled.chain_id, found=int(found, 16)
                )
            await web3.eth.subscribe("newHeads")
            latest = await self._ask(web3, "eth_getBlockByNumber", "latest", False)
            self._heard(str(latest["hash"]))
            log.info("heads by subscription", chain=self._polled.name, endpoint=shown_host(url))
            async for message in web3.socket.process_subscriptions():
                # web3 types the message of every kind of subscription as one
                header: Any = message["result"]
                self._heard(f"0x{bytes(header['hash']).hex()}")

    async def _ask(self, web3: "AsyncWeb3[Any]", method: str, *params: object) -> Any:
        """Ask without web3's own checks, which refuse blocks of some chains."""
        answer = await web3.provider.make_request(method, list(params))
        return answer["result"]


@contextlib.contextmanager
def watching(watches: Sequence[HeadWatch]) -> Iterator[None]:
    """Watch several chains for the length of a `with` block."""
    for watch in watches:
        watch.start()
    try:
        yield
    finally:
        for watch in watches:
            watch.ask_to_stop()
        for watch in watches:
            watch.stop()


def _load() -> None:
    """Load web3 before an event loop waits for it, and without its side effect."""
    limit = sys.getrecursionlimit()
    importlib.import_module("web3")
    # A dependency of it raises the limit a hundredfold; see execution.signer.
    sys.setrecursionlimit(limit)


@contextlib.asynccontextmanager
async def _connection(url: str) -> AsyncIterator["AsyncWeb3[Any]"]:
    """Open a connection, without web3's own retries; its messages about them show the whole URL."""
    from web3 import AsyncWeb3, WebSocketProvider
    from websockets.asyncio.client import ClientConnection

    transports: list[asyncio.BaseTransport] = []

    class Connection(ClientConnection):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            transports.append(transport)
            super().connection_made(transport)

    provider = WebSocketProvider(
        url,
        request_timeout=_REQUEST_S,
        max_connection_retries=1,
        websocket_kwargs={
            "open_timeout": _REQUEST_S,
            "close_timeout": _CLOSE_S,
            "ping_interval": 10,
            "ping_timeout": 20,
            "proxy": None,
            "create_connection": Connection,
        },
    )
    try:
        async with AsyncWeb3(provider) as web3:
            yield web3
    finally:
        # After garbage, and where the other side is closing already, web3 leaves the socket open.
        for transport in transports:
            cast(asyncio.Transport, transport).abort()


def _trouble() -> tuple[type[BaseException], ...]:
    """Return what a connection may come to, garbage on it included."""
    from web3.exceptions import Web3Exception

    # web3 lets errors of the library below it through, and has no name of its own for them.
    from websockets.exceptions import WebSocketException

    unreadable = (AttributeError, IndexError, KeyError, RecursionError, TypeError, ValueError)
    return (Web3Exception, WebSocketException, OSError, TimeoutError, *unreadable)


def _words(problem: BaseException) -> str:
    """Name a problem without the URL, which web3 puts into its messages."""
    cause = problem.__cause__ or problem
    status = getattr(getattr(cause, "response", None), "status_code", None)
    return f"HTTP {status}" if status is not None else type(cause).__name__
