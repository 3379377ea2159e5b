"""Room for a whole action before its first step is signed, or the action is not begun.

| what | held against | counted |
| --- | --- | --- |
| gas, native coin | caps of the lane, balance at the head | by `sending`, all steps together |
| moved value | caps over all lanes, in USD | here: what is reserved, signed or landed, each intent once |
| tokens | the sender's wallet as the snapshot read it | here: less what left it since, or still may |

Decisions:

* A reservation lives in memory, for as long as its action is being carried out: a step that is not signed
  when the process ends is never signed. From its signature on the store counts it, under the same id.
* Urgent work and other work have caps of the same size each, counted apart: a rescue is not refused because
  housekeeping used the hour up.
* Until it is final that nothing moved, a transaction counts whole. Of a transaction and those that replace it
  or take its nonce over, each counts in its own class, and never twice in one.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from keeper.execution.errors import MovedValueError, TokensShortError, WalletUnreadError
from keeper.execution.limits import DAY_S, HOUR_S, Limits
from keeper.execution.urgency import holding
from keeper.model.snapshot import Snapshot
from keeper.model.units import Wad
from keeper.store.rows import Moved, StoredIntent
from keeper.store.spending import Spending

_NOW: Final = float("inf")


class Reservations:
    """Value and tokens that actions have been given. Several lanes may ask at once."""

    def __init__(self, spending: Spending, limits: Limits, clock: Callable[[], float]) -> None:
        """Start with nothing reserved. `clock` is the wall clock."""
        self._spending = spending
        self._limits = limits
        self._clock = clock
        self._turn = threading.Lock()
        self._held: dict[str, Moved] = {}

    @contextmanager
    def holding(self, planned: Sequence[StoredIntent], snapshot: Snapshot) -> Iterator[None]:
        """Reserve what the steps of one action move, all or nothing, for the length of a `with` block.

        Raises `MovedValueError`, `TokensShortError`, `WalletUnreadError`; then nothing is reserved.
        """
        self._require_tokens(planned, snapshot)
        asked = [
            Moved(intent_id=p.intent.id, urgent=p.urgent, at_s=_NOW, usd=p.moved_usd)
            for p in planned
            if p.moved_usd
        ]
        with self._turn:
            self._require_value(asked)
            self._held |= {moved.intent_id: moved for moved in asked}
        try:
            yield
        finally:
            with self._turn:
                for moved in asked:
                    del self._held[moved.intent_id]

    def _require_value(self, asked: Sequence[Moved]) -> None:
        for urgent in sorted({moved.urgent for moved in asked}):
            wanted = Wad(sum(moved.usd for moved in asked if moved.urgent == urgent))
            self._require_class(wanted, urgent)

    def _require_class(self, wanted: Wad, urgent: bool) -> None:
        now_s = self._clock()
        # What is signed is in both: it counts as the store has it.
        known = self._held | {moved.intent_id: moved for moved in self._spending.moved(now_s - DAY_S)}
        counted = [(moved.at_s, moved.usd) for moved in known.values() if moved.urgent == urgent]
        for limit, span_s, allowed in (
            ("max_moved_usd_per_tx", 0, self._limits.max_moved_usd_per_tx),
            ("max_moved_usd_per_hour", HOUR_S, self._limits.max_moved_usd_per_hour),
            ("max_moved_usd_per_day", DAY_S, self._limits.max_moved_usd_per_day),
        ):
            since_s = now_s - span_s
            used = Wad(sum([usd for at_s, usd in counted if at_s >= since_s]) if span_s else 0)
            if used + wanted > allowed:
                raise MovedValueError(limit, wanted=wanted, used=used, allowed=allowed, urgent=urgent)

    def _require_tokens(self, planned: Sequence[StoredIntent], snapshot: Snapshot) -> None:
        """Check that the sender's wallet held what is to leave it, less what left it since it was read."""
        blocks = {block.chain_id: block.number for block in snapshot.blocks}
        needed: dict[str, int] = {}
        for step in planned:
            if step.outgoing:
                needed[step.asset] = needed.get(step.asset, 0) + step.outgoing
        for asset, amount in needed.items():
            chain_id, sender = planned[0].intent.chain_id, planned[0].intent.sender
            held = holding(snapshot, chain_id, sender, asset)
            if held is None:
                raise WalletUnreadError(chain_id, sender, asset)
            gone = self._spending.outgoing((chain_id, sender), asset, after_block=blocks[chain_id])
            if amount > held - gone:
                raise TokensShortError(chain_id, sender, asset, wanted=Wad(amount), held=held, gone=gone)
