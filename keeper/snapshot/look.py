"""What one chain shows at one block.

A block shows the same however often it is looked at, so a chain that has no new block need not be read again:
its head is asked for, and the last look stands, for a while and unless something could not be read.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from keeper.chain.abi import MULTICALL3_ABI
from keeper.chain.client import ChainClient
from keeper.chain.errors import NodeDisbelieved, PinnedBlockGone
from keeper.model.errors import DataError, TransientError
from keeper.model.quote import GasPrice
from keeper.model.reads import Address, Call, Failed, Reads
from keeper.model.snapshot import BlockRef, Gap, VenueState
from keeper.model.units import Wad
from keeper.model.venue import Venue
from keeper.protocols.adapter import Adapter
from keeper.snapshot.venue import Seen, VenueReader

_ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Everything read from one chain at one block."""

    block: BlockRef
    seen: Mapping[str, Seen]
    """By venue id; a venue that could not be read is missing."""

    natives: Mapping[Address, Wad | Failed]
    """What each of our wallets holds of the native coin."""

    gas: GasPrice | None
    gaps: tuple[Gap, ...]

    @property
    def states(self) -> tuple[VenueState, ...]:
        """What every venue showed."""
        return tuple(seen.state for seen in self.seen.values())

    @property
    def complete(self) -> bool:
        """Whether nothing that was asked for is missing."""
        lost = self.gas is None or any(isinstance(native, Failed) for native in self.natives.values())
        return not lost and not self.gaps and not any(state.gaps for state in self.states)


def _never(_look: Look) -> bool:
    return False


class ChainObserver:
    """Looks at one chain."""

    def __init__(
        self,
        client: ChainClient,
        venues: Sequence[tuple[Venue, Adapter]],
        wallets: Sequence[Address],
        native_underlying: str,
        *,
        stands_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare to look. A look at a block stands for `stands_s`, by the monotonic `clock`."""
        self._client = client
        self._venues = venues
        self._wallets = wallets
        self._native_underlying = native_underlying
        self._stands_s = stands_s
        self._clock = clock
        self._last: Look | None = None
        """The last look at a pinned block, if nothing was missing in it."""

        self._last_s = 0.0
        """When it was read."""

    def look(
        self,
        read: VenueReader,
        number: int | None = None,
        *,
        stands: Callable[[Look], bool] = _never,
    ) -> Look | Gap:
        """Read the chain at its pinned block, or at block `number`; a `Gap` when that cannot be done.

        `read` is how a venue is read. Reads that rest on a block which a reorg took are begun again on a
        new one. Where the pinned block is that of the last look, `stands` says whether that look shows all
        that `read` would.
        """
        for _ in range(_ATTEMPTS):
            try:
                return self._pinned(read, stands) if number is None else self._numbered(read, number)
            except (PinnedBlockGone, NodeDisbelieved) as problem:
                reason = str(problem)
            except (TransientError, DataError) as problem:
                return self._gap(str(problem))
        return self._gap(reason)

    def _gap(self, reason: str) -> Gap:
        chain_id = self._client.chain_id
        return Gap(what="chain", key=str(chain_id), reason=reason, chain_id=chain_id)

    def holds(self, block: BlockRef, below: BlockRef) -> bool:
        """Tell whether `block` is on the chain still that has `below`, which is not older, at its end.

        Raises `NodeUnreachable`.
        """
        if block.hash in (below.hash, below.parent_hash):
            return True
        try:
            self._client.require_canonical(block)
        except PinnedBlockGone:
            return False
        return True

    def _pinned(self, read: VenueReader, stands: Callable[[Look], bool]) -> Look:
        at, last = self._client.pin(), self._last
        fresh = self._clock() - self._last_s < self._stands_s
        if last is not None and fresh and last.block == at and stands(last):
            return last
        self._last = None
        look = self._look(read, at)
        if look.complete:
            self._last, self._last_s = look, self._clock()
        return look

    def _numbered(self, read: VenueReader, number: int) -> Look | Gap:
        at = self._client.block(number)
        return self._gap(f"has no block {number}") if at is None else self._look(read, at)

    def _look(self, read: VenueReader, at: BlockRef) -> Look:
        readers: list[Reads[Any]] = [
            read(venue, adapter, self._wallets, at) for venue, adapter in self._venues
        ]
        readers.append(_natives(self._client.multicall, self._wallets))
        *results, natives = self._client.run_all(readers, at)
        if isinstance(natives, DataError):
            raise natives
        seen: dict[str, Seen] = {}
        gaps: list[Gap] = []
        for (venue, _), result in zip(self._venues, results, strict=True):
            if isinstance(result, DataError):
                reason = str(result)
                gaps.append(Gap(what="venue", key=venue.id, reason=reason, chain_id=venue.chain_id))
            else:
                seen[venue.id] = result
        gas = self._gas(at)
        if isinstance(gas, Gap):
            gaps.append(gas)
        return Look(
            block=at,
            seen=seen,
            natives=natives,
            gas=None if isinstance(gas, Gap) else gas,
            gaps=tuple(gaps),
        )

    def _gas(self, at: BlockRef) -> GasPrice | Gap:
        try:
            price = self._client.gas_price(at)
        except DataError as problem:
            return Gap(what="gas", key=str(at.chain_id), reason=str(problem), chain_id=at.chain_id)
        return GasPrice(
            chain_id=at.chain_id,
            wei_per_gas=price,
            native_underlying=self._native_underlying,
            observed_at_s=at.timestamp_s,
        )


def _natives(multicall: Address, wallets: Sequence[Address]) -> Reads[Mapping[Address, Wad | Failed]]:
    if not wallets:
        return {}
    answers = yield [Call(MULTICALL3_ABI, multicall, "getEthBalance", (w,)) for w in wallets]
    return dict(zip(wallets, answers, strict=True))
