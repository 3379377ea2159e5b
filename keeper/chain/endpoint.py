"""One JSON-RPC endpoint over HTTP: a request out, its result or a typed error back."""

import json
import math
import time
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

import urllib3

from keeper.chain.errors import EndpointUnfit, NodeRefused, NodeUnreachable, RateLimited
from keeper.chain.refusals import of_any_limit, rate_limited, revert_data, reverted, says_rate, unavailable

_LONGEST_ANSWER: Final = 256 * 2**20
_PIECE: Final = 2**16
_SHORTEST_SECRET: Final = 6
"""Path segments below this length are words such as `rpc` or `v3`, not keys."""

_KEPT_OPEN: Final = 4
"""Connections that wait for the next request. With fewer, threads that ask side by side open one each time,
and the library warns of it."""


class Endpoint:
    """A kept-alive connection to one node. Credentials in its URL never leave this object."""

    host: str
    """Scheme, host and port: all of the URL that may be shown."""

    requests: int
    """POSTs made so far."""

    date: str
    """The HTTP header of this name in the last answer; empty where it had none."""

    def __init__(self, url: str, *, timeout_s: float) -> None:
        parts = urlsplit(url)
        self.host = shown_host(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise EndpointUnfit(self.host, "http://host[:port][/path] or https://...")
        self.requests = 0
        self.date = ""
        self._timeout_s = timeout_s
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._secrets = _secrets(url)
        self._headers = {"Content-Type": "application/json", "Accept-Encoding": "gzip"}
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers |= urllib3.util.make_headers(basic_auth=pair)
        kind = urllib3.HTTPSConnectionPool if parts.scheme == "https" else urllib3.HTTPConnectionPool
        self._connection = kind(parts.hostname, parts.port, maxsize=_KEPT_OPEN)

    def ask(self, method: str, params: list[Any], *, timeout_s: float | None = None) -> Any:
        """Return the result of one request, within the endpoint's timeout or a shorter one.

        Raises `NodeRefused` when the node answers with an error, `RateLimited` when it asks for patience,
        `NodeUnreachable` for everything that is not an answer to this request.
        """
        self.requests += 1
        number = self.requests
        question = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        limit_s = min(self._timeout_s, timeout_s or self._timeout_s)
        status, retry_after_s, body = self._post(
            json.dumps(question, separators=(",", ":")).encode(), limit_s
        )
        if status == 429:
            raise RateLimited(self.host, "rate limit (HTTP 429)", retry_after_s)
        if status == 413:
            raise NodeRefused(self.host, method, 413, "request too large")
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            raise self._failed(f"answered HTTP {status} with something that is not JSON") from None
        error = answer.get("error") if isinstance(answer, dict) else None
        if not isinstance(answer, dict) or ("result" not in answer and error is None):
            raise self._failed(f"answered HTTP {status} with JSON that is not JSON-RPC")
        if error is not None:
            raise self._refusal(method, error, retry_after_s)
        if answer.get("id") != number:
            raise self._failed(f"answered request {answer.get('id')!r}, expected {number}")
        return answer["result"]

    def ask_together(self, method: str, params: Sequence[list[Any]], *, timeout_s: float) -> list[Any]:
        """Return the results of several questions in one request, in their order.

        Raises `RateLimited`, `NodeRefused` where the node takes no such request, or gives not every result.
        """
        self.requests += 1
        questions = [{"jsonrpc": "2.0", "id": i, "method": method, "params": p} for i, p in enumerate(params)]
        status, retry_after_s, body = self._post(json.dumps(questions).encode(), timeout_s)
        if status == 429:
            raise RateLimited(self.host, "rate limit (HTTP 429)", retry_after_s)
        try:
            answers = json.loads(body)
        except (ValueError, RecursionError):
            raise NodeRefused(self.host, "a batch", status, "no JSON") from None
        if isinstance(answers, dict) and answers.get("error") is not None:
            raise self._refusal("a batch", answers["error"], retry_after_s)
        listed = [a for a in answers if isinstance(a, dict)] if isinstance(answers, list) else []
        results = {a.get("id"): a["result"] for a in listed if "result" in a}
        if results.keys() != set(range(len(params))):
            raise NodeRefused(self.host, "a batch", status, f"{len(results)} of {len(params)} answered")
        return [results[i] for i in range(len(params))]

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _post(self, body: bytes, limit_s: float) -> tuple[int, float | None, bytes]:
        deadline_s = time.monotonic() + limit_s
        try:
            try:
                return self._exchange(body, deadline_s)
            except urllib3.exceptions.ProtocolError:
                # A kept-alive connection that the node closed in between; every request may be repeated.
                return self._exchange(body, deadline_s)
        except urllib3.exceptions.NewConnectionError:  # a kind of timeout to urllib3
            raise self._failed("cannot be connected to") from None
        except urllib3.exceptions.TimeoutError:
            raise self._failed(f"no answer within {limit_s:g} s") from None
        except urllib3.exceptions.SSLError:
            raise self._failed("TLS failed") from None
        except (urllib3.exceptions.HTTPError, OSError) as problem:
            raise self._failed(f"connection broke ({type(problem).__name__})") from None

    def _exchange(self, body: bytes, deadline_s: float) -> tuple[int, float | None, bytes]:
        left_s = max(0.001, deadline_s - time.monotonic())
        response = self._connection.request(
            "POST",
            self._target,
            body=body,
            headers=self._headers,
            timeout=urllib3.Timeout(connect=min(5.0, left_s), read=left_s),
            retries=False,
            redirect=False,
            preload_content=False,
        )
        pieces: list[bytes] = []
        size = 0
        while piece := response.read1(_PIECE):
            pieces.append(piece)
            size += len(piece)
            if size > _LONGEST_ANSWER or time.monotonic() > deadline_s:
                # A node that drips keeps every single read inside its timeout.
                response.close()
                raise urllib3.exceptions.TimeoutError
        response.release_conn()
        self.date = response.headers.get("Date", "")
        return response.status, _seconds(response.headers.get("Retry-After")), b"".join(pieces)

    def _refusal(self, method: str, error: object, retry_after_s: float | None) -> Exception:
        if not isinstance(error, dict):
            return NodeRefused(self.host, method, 0, self._redacted(str(error)))
        code = error.get("code")
        text = self._redacted(str(error.get("message", "")))
        number = code if isinstance(code, int) else 0
        refused = NodeRefused(self.host, method, number, text, revert_data(error.get("data")))
        if reverted(refused):
            # A contract chooses its own words: they must not speak for the node.
            return refused
        timed = retry_after_s is not None and of_any_limit(refused)
        if timed or rate_limited(number, text):
            certain = timed or says_rate(text) or number == 429
            words = f"rate limit ({text or f'code {number}'})"
            return RateLimited(self.host, words, retry_after_s, certain=certain)
        if unavailable(text):
            return self._failed(f"has nobody to ask ({text})")
        return refused

    def _failed(self, reason: str) -> NodeUnreachable:
        return NodeUnreachable(self.host, (reason,))

    def _redacted(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


def shown_host(url: str) -> str:
    """Return scheme, host and port of a URL: all of it that may be shown."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme or 'no scheme'}://{parts.hostname or '?'}{port}"


def _secrets(url: str) -> tuple[str, ...]:
    parts = urlsplit(url)
    found = [s for s in parts.path.split("/") if len(s) >= _SHORTEST_SECRET]
    found += [v for _, v in parse_qsl(parts.query) if len(v) >= _SHORTEST_SECRET]
    found += [unquote(s) for s in (parts.username, parts.password) if s]
    return tuple(found)


def _seconds(retry_after: str | None) -> float | None:
    try:
        seconds = float(retry_after) if retry_after else None
    except ValueError:
        return None  # an HTTP date: our own back-off is close enough
    return seconds if seconds is not None and 0.0 <= seconds < math.inf else None
