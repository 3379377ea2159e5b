"""The endpoint that takes transactions in private, and how long it alone has them.

The time is counted per nonce, so that a version at a higher fee does not begin it anew. It is not kept over a
restart: then it begins again.
"""

from typing import Final

from keeper.chain.errors import NodeUnreachable
from keeper.chain.pool import NodePool

_MOST_REMEMBERED: Final = 64


class Private:
    """Where there is one, decides which way a transaction goes."""

    def __init__(self, pool: NodePool | None, *, blocks: int, only: bool) -> None:
        """Prepare; nobody is asked. `pool` holds the private endpoint alone."""
        self._pool = pool
        self._blocks = blocks
        self._only = only
        self._since: dict[int, int] = {}
        """Head at which each nonce was first handed over."""

    @property
    def configured(self) -> bool:
        """Whether there is one."""
        return self._pool is not None

    def verify(self) -> None:
        """Ask it for its chain id. One that tells none, as it may take nothing but transactions, is believed.

        Raises `WrongChain`.
        """
        if self._pool is not None:
            try:
                self._pool.connect()
            except NodeUnreachable:
                return

    def way(self, signed: bytes, head: int) -> NodePool | None:
        """Return the private endpoint, or None once a transaction has been there for long enough."""
        since = self._since.setdefault(nonce_of(signed), head)
        while len(self._since) > _MOST_REMEMBERED:
            del self._since[min(self._since)]
        return None if head - since >= self._blocks and not self._only else self._pool

    def close(self) -> None:
        """Close the connection."""
        if self._pool is not None:
            self._pool.close()


def nonce_of(signed: bytes) -> int:
    """Return the nonce of a signed transaction: first of a legacy one's fields, second of a typed one's.

    Read here, because the library that reads transactions is the one that holds keys.
    Source: EIP-2718, EIP-1559; Ethereum yellow paper, appendix B (RLP).
    """
    typed = signed[0] < 0xC0
    at = 1 if typed else 0
    at += 1 + max(0, signed[at] - 0xF7)
    if typed:
        _, at = _field(signed, at)
    return _field(signed, at)[0]


def _field(data: bytes, at: int) -> tuple[int, int]:
    """Return the number at a position, and the position after it."""
    if data[at] < 0x80:
        return data[at], at + 1
    size = data[at] - 0x80
    return int.from_bytes(data[at + 1 : at + 1 + size], "big"), at + 1 + size
