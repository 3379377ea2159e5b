"""`eth_call` at a pinned block, through whichever endpoint answers.

A block is named by its hash where the endpoint takes one (EIP-1898), else by its number. What an endpoint can
do is tried once, with one request, when it is first read from.
"""

from collections.abc import Mapping
from typing import Any, Final

from keeper.chain.errors import NodeRefused, NodeUnreachable, PinnedBlockGone
from keeper.chain.multicall import GAUGE, GAUGE_CODE
from keeper.chain.pool import NodePool, Seat
from keeper.chain.refusals import block_gone
from keeper.chain.scalars import blob
from keeper.model.snapshot import BlockRef

Overrides = Mapping[str, Mapping[str, str]]
"""State put in place of an address's own during one call, by address: `{"code": "0x..."}`."""

_NO_OVERRIDES: Final[Overrides] = {}
_PROBE_GAS: Final = hex(1_000_000)


class PinnedCalls:
    """Makes view calls at pinned blocks of one chain."""

    def __init__(self, pool: NodePool, chain_id: int) -> None:
        self._pool = pool
        self._chain_id = chain_id

    def call(
        self, transaction: Mapping[str, str], at: BlockRef, overrides: Overrides = _NO_OVERRIDES
    ) -> tuple[bytes, bool]:
        """Return what a call answers, and whether the overrides were in place.

        An endpoint without state overrides is asked without them. Raises `PinnedBlockGone`,
        `NodeUnreachable`, `NodeRefused` for what the call itself came to, and `AbiMismatch` for what is no
        answer to a call: that endpoint rests.
        """
        overridden = False

        def params(seat: Seat) -> list[Any]:
            nonlocal overridden
            self._learn(seat, at)
            overridden = bool(overrides) and seat.overrides is True
            named = [dict(transaction), _tag(seat.pins_by_hash is True, at)]
            return [*named, overrides] if overridden else named

        try:
            answer = self._pool.request("eth_call", params, elsewhere=block_gone)
        except NodeRefused as refusal:
            if block_gone(refusal):
                raise PinnedBlockGone(self._chain_id, at.number, at.hash, refusal.text) from None
            raise
        try:
            return blob(answer), overridden
        except ValueError:
            raise self._pool.malformed("eth_call") from None

    def require_canonical(self, at: BlockRef) -> None:
        """Raise `PinnedBlockGone` unless `at` is still on the chain."""
        self._require(self._pool.request("eth_getBlockByNumber", [hex(at.number), False]), at)

    def _require(self, raw: Any, at: BlockRef) -> None:
        found = raw.get("hash") if isinstance(raw, dict) else None
        if raw is not None and not isinstance(found, str):
            raise self._pool.malformed("eth_getBlockByNumber")
        if found != at.hash:
            detail = f"{found[:18]}... took its place" if found else "the chain does not reach so far"
            raise PinnedBlockGone(self._chain_id, at.number, at.hash, detail)

    def _learn(self, seat: Seat, at: BlockRef) -> None:
        """Find out whether an endpoint takes block hashes and state overrides."""
        if seat.pins_by_hash is not None:
            return
        question = {"to": GAUGE, "gas": _PROBE_GAS}
        for by_hash in (True, False):
            tag = _tag(by_hash, at)
            for params in ([question, tag, {GAUGE: {"code": GAUGE_CODE}}], [question, tag]):
                try:
                    answer = seat.endpoint.ask("eth_call", params)
                except NodeRefused:
                    continue
                if not by_hash:
                    # The hash may have been refused because the block is gone, not because it is a hash.
                    self._require(seat.endpoint.ask("eth_getBlockByNumber", [hex(at.number), False]), at)
                seat.pins_by_hash = by_hash
                seat.overrides = isinstance(answer, str) and len(answer) > len("0x")
                return
        raise NodeUnreachable(seat.endpoint.host, (f"cannot read at block {at.number}",))


def _tag(by_hash: bool, at: BlockRef) -> object:
    return {"blockHash": at.hash, "requireCanonical": True} if by_hash else hex(at.number)
