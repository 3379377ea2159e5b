"""Whether heads come over a WebSocket: connect, ask for the chain id, subscribe, and wait for a block."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect

from keeper.chain.endpoint import shown_host

_OPEN_S: Final = 5.0
_CLOSE_S: Final = 0.5
_LONGEST: Final = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Listened:
    """What came over a WebSocket."""

    host: str
    trouble: str = ""
    """Why no head can come; empty where one may."""

    chain_id: int | None = None
    subscribed: bool = False
    head_after_s: float | None = None
    """None: no block came while somebody listened."""

    waited_s: float = 0.0


def listen(
    url: str, *, chain_id: int, patience_s: float, clock: Callable[[], float] = time.monotonic
) -> Listened:
    """Wait for a head for at most `patience_s`. Raises nothing: trouble is part of the answer."""
    host = shown_host(url)
    found: int | None = None
    try:
        with connect(
            url, open_timeout=_OPEN_S, close_timeout=_CLOSE_S, proxy=None, max_size=_LONGEST
        ) as connection:
            found = int(_ask(connection, 1, "eth_chainId", []), 16)
            if found != chain_id:
                return Listened(host=host, chain_id=found)
            subscription = _ask(connection, 2, "eth_subscribe", ["newHeads"])
            began_s = clock()
            after_s = _first_head(connection, str(subscription), began_s + patience_s, clock)
            return Listened(
                host=host,
                chain_id=found,
                subscribed=True,
                head_after_s=None if after_s is None else after_s - began_s,
                waited_s=clock() - began_s,
            )
    except InvalidStatus as refused:
        return Listened(host=host, trouble=f"HTTP {refused.response.status_code}")
    except TimeoutError:
        return Listened(host=host, chain_id=found, trouble=f"no answer within {_OPEN_S:g} s")
    except (WebSocketException, OSError) as problem:
        return Listened(host=host, chain_id=found, trouble=f"{type(problem).__name__}")
    except _Refused as refused:
        return Listened(host=host, chain_id=found, trouble=str(refused))
    except (AttributeError, KeyError, TypeError, ValueError):
        return Listened(host=host, chain_id=found, trouble="answers what no node would")


class _Refused(Exception):  # noqa: N818 - caught here, and nobody's error
    """The node answers with an error."""


def _ask(connection: ClientConnection, number: int, method: str, params: list[Any]) -> Any:
    """Return a result. Raises `_Refused`, `TimeoutError`, and what a malformed answer raises."""
    connection.send(json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}))
    answer = json.loads(connection.recv(timeout=_OPEN_S))
    if answer.get("error") is not None:
        # Not its words: some repeat the URL.
        raise _Refused(f"refuses {method}")
    return answer["result"]


def _first_head(
    connection: ClientConnection, subscription: str, until_s: float, clock: Callable[[], float]
) -> float | None:
    """Return when the first head came, None when none did. Raises what a malformed message raises."""
    while (left_s := until_s - clock()) > 0:
        try:
            message = json.loads(connection.recv(timeout=left_s))
        except TimeoutError:
            return None
        if message.get("params", {}).get("subscription") == subscription:
            int(message["params"]["result"]["number"], 16)
            return clock()
    return None
