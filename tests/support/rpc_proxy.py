"""A JSON-RPC proxy that misbehaves on demand, in front of a node or of a function that plays one.

    with RpcProxy(node_url) as proxy:
        proxy.fault(refused(-32000, "header not found"), "eth_call", times=1)
        client = ChainClient.connect(..., endpoints=[proxy.url])

A fault applies to the requests its rule names; everything else passes through. Of several rules that fit,
the one added last wins.
"""

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final, Self, TypeAlias

import urllib3

from tests.support import tally


class RpcError(Exception):
    """Raised by a function that plays a node, to answer with an error."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


BATCH = "batch"
"""Stands for the method of a request that holds several: its parameters are those."""

Play: TypeAlias = Callable[[str, list[Any]], Any]
"""Plays a node: method and parameters to a result."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer."""

    body: bytes
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class Exchange:
    """One request on its way through the proxy."""

    method: str
    params: list[Any]
    id: Any
    pass_on: Callable[[str, list[Any], Any], Reply]
    stopped: threading.Event

    def forward(self) -> Reply:
        """Let it through."""
        return self.pass_on(self.method, self.params, self.id)

    def reply(self, **fields: Any) -> Reply:
        """Answer it with these fields of a JSON-RPC response."""
        return Reply(json.dumps({"jsonrpc": "2.0", "id": self.id, **fields}).encode())


Fault: TypeAlias = Callable[[Exchange], Reply | None]
"""What happens to a request; None closes the connection without an answer."""


def delayed(seconds: float) -> Fault:
    """Let it through, late."""

    def fault(exchange: Exchange) -> Reply | None:
        return None if exchange.stopped.wait(seconds) else exchange.forward()

    return fault


def dropped() -> Fault:
    """Close the connection instead of answering."""
    return lambda _: None


def swallowed() -> Fault:
    """Let it through, and close the connection instead of telling what came of it."""

    def fault(exchange: Exchange) -> Reply | None:
        exchange.forward()
        return None

    return fault


def garbage(body: bytes = b"<html>502 Bad Gateway</html>", status: int = 200) -> Fault:
    """Answer with bytes that are no JSON-RPC."""
    return lambda _: Reply(body, status)


def refused(code: int, message: str, data: Any = None) -> Fault:
    """Answer with a JSON-RPC error."""
    error = {"code": code, "message": message} | ({} if data is None else {"data": data})
    return lambda exchange: exchange.reply(error=error)


def limited(retry_after_s: int | None = None) -> Fault:
    """Answer HTTP 429."""
    headers = () if retry_after_s is None else (("Retry-After", str(retry_after_s)),)
    return lambda _: Reply(b"", 429, headers)


def answered(result: Any) -> Fault:
    """Answer with this result instead of the node's."""
    return lambda exchange: exchange.reply(result=result)


def changed(change: Callable[[Any], Any]) -> Fault:
    """Let it through and change the result."""

    def fault(exchange: Exchange) -> Reply:
        answer = json.loads(exchange.forward().body)
        return exchange.reply(result=change(answer["result"])) if "result" in answer else exchange.forward()

    return fault


_KINDS: Final = {
    "delayed": "slow answers",
    "dropped": "closed connections",
    "swallowed": "taken, answer lost",
    "garbage": "garbage",
    "refused": "error answers",
    "limited": "rate limits",
    "answered": "false answers",
    "changed": "altered answers",
    "lagging": "lagging heads",
    "frozen": "frozen heads",
    "lying": "lies",
    "landed_and_refused": "taken, answer lost",
}
"""By the function that makes the fault, what the run's tally calls it."""


@dataclass(slots=True)
class Rule:
    """Where and how often a fault strikes."""

    fault: Fault
    methods: frozenset[str]
    when: Callable[[list[Any]], bool]
    skip: int
    times: int | None
    kind: str = "altered answers"
    """What the run's tally counts it as."""

    struck: int = 0
    """How often it has struck."""

    def strikes(self, method: str, params: list[Any]) -> bool:
        """Whether it strikes this request; counts it when it does."""
        if (self.methods and method not in self.methods) or not self.when(params):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.times is not None and self.struck >= self.times:
            return False
        self.struck += 1
        tally.fault(self.kind)
        return True


@dataclass(slots=True)
class RpcProxy:
    """Listens on a free port of the loopback for the length of a `with` block."""

    upstream: str | Play
    seen: list[tuple[str, list[Any]]] = field(default_factory=list)
    """Every request in order: method and parameters."""

    _rules: list[Rule] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stopped: threading.Event = field(default_factory=threading.Event)
    _http: urllib3.PoolManager = field(default_factory=lambda: urllib3.PoolManager(maxsize=8, retries=False))
    _server: "_Server | None" = None
    _thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def fault(
        self,
        fault: Fault,
        *methods: str,
        when: Callable[[list[Any]], bool] = lambda _: True,
        skip: int = 0,
        times: int | None = None,
        kind: str = "",
    ) -> Rule:
        """Add a rule: for these methods (none: all), after `skip` fitting requests, at most `times` times.

        `kind` is what the run's tally counts it as; as a rule the fault's own name says it.
        """
        kind = kind or _KINDS.get(fault.__qualname__.partition(".")[0], "altered answers")
        rule = Rule(fault, frozenset(methods), when, skip, times, kind)
        with self._lock:
            self._rules.append(rule)
        return rule

    def freeze_head(self) -> None:
        """From now on, tell the present head as the latest block."""
        (number,) = (json.loads(self._pass_on("eth_blockNumber", [], 0).body)["result"],)

        def frozen(exchange: Exchange) -> Reply:
            return self._pass_on(exchange.method, [number, *exchange.params[1:]], exchange.id)

        kind = _KINDS["frozen"]
        self.fault(answered(number), "eth_blockNumber", kind=kind)
        self.fault(frozen, "eth_getBlockByNumber", when=lambda params: params[0] == "latest", kind=kind)

    def stand_before(self, upstream: str) -> None:
        """From now on, stand in front of another node."""
        if upstream != self.upstream:
            tally.fault("another chain's node")
        self.upstream = upstream

    def clear(self) -> None:
        """Behave again."""
        with self._lock:
            self._rules.clear()

    def count(self, method: str) -> int:
        """Return how many requests of a method came in."""
        return sum(1 for seen, _ in self.seen if seen == method)

    def __enter__(self) -> Self:
        self._server = _Server(self._answer)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        assert self._thread is not None
        self._stopped.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._http.clear()

    def _answer(self, body: bytes) -> Reply | None:
        question = json.loads(body)
        exchange = (
            Exchange(BATCH, question, None, self._pass_batch, self._stopped)
            if isinstance(question, list)
            else Exchange(
                question["method"], question["params"], question["id"], self._pass_on, self._stopped
            )
        )
        with self._lock:
            self.seen.append((exchange.method, exchange.params))
            rule = next(
                (r for r in reversed(self._rules) if r.strikes(exchange.method, exchange.params)), None
            )
        return exchange.forward() if rule is None else rule.fault(exchange)

    def _pass_batch(self, _method: str, questions: Sequence[Any], _number: Any) -> Reply:
        replies = [self._pass_on(q["method"], q["params"], q["id"]) for q in questions]
        return Reply(b"[" + b",".join(reply.body for reply in replies) + b"]")

    def _pass_on(self, method: str, params: Sequence[Any], number: Any) -> Reply:
        question = {"jsonrpc": "2.0", "id": number, "method": method, "params": list(params)}
        if isinstance(self.upstream, str):
            headers = {"Content-Type": "application/json"}
            raw = self._http.request(
                "POST", self.upstream, body=json.dumps(question).encode(), headers=headers
            )
            return Reply(raw.data, raw.status)
        try:
            answer: dict[str, Any] = {"result": self.upstream(method, list(params))}
        except RpcError as error:
            answer = {"error": {"code": error.code, "message": error.message}}
            if error.data is not None:
                answer["error"]["data"] = error.data
        return Reply(json.dumps({"jsonrpc": "2.0", "id": number, **answer}).encode())


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, answer: Callable[[bytes], Reply | None]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        assert isinstance(self.server, _Server)
        reply = self.server.answer(self.rfile.read(int(self.headers["Content-Length"])))
        if reply is None:
            self.close_connection = True
            return
        if any(name == "Date" for name, _ in reply.headers):
            self.send_response_only(reply.status)
        else:
            self.send_response(reply.status)
        for name, value in reply.headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:
            return  # the client gave up waiting

    def log_message(self, *_: object) -> None:
        """Say nothing."""
