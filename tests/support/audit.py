"""What became of everything that a keeper decided, told by the chain itself.

    audit(store, journal, landed).require()

Called at the end of a test, once nothing is under way. The chain says what landed (its blocks and receipts),
the store says what was decided and signed, the journal says what was told to people. Where they differ
something was lost, doubled, sent unrecorded, or left as a gap in the nonces.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keeper.devnet.node import Node
from keeper.journal.decode import outcomes_of, plan_of
from keeper.journal.journal import read
from keeper.journal.verify import verify
from keeper.model.intent import TxState
from keeper.model.plan import MarginCall, action_id
from keeper.model.reads import Address
from keeper.model.record import RecordKind
from keeper.store.rows import ENDED, Attempt, StoredIntent
from keeper.store.store import Store
from tests.support import tally


@dataclass(frozen=True, slots=True, kw_only=True)
class Landed:
    """A transaction of the signer that is on the chain."""

    chain_id: int
    sender: Address
    nonce: int
    tx_hash: str
    success: bool
    fee: int = 0
    """Wei that its gas cost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """The counts, and a line for everything that is not as it must be."""

    intents: int
    landed: int
    duplicates: tuple[str, ...]
    lost: tuple[str, ...]
    gaps: tuple[str, ...]
    dry_sends: tuple[str, ...]
    untold: tuple[str, ...]
    """Where store, journal and chain tell different stories of the same transaction."""

    def require(self) -> "Audit":
        """Return itself, or fail with every finding."""
        found = {
            "duplicates": self.duplicates,
            "lost": self.lost,
            "gaps in nonce lanes": self.gaps,
            "sends in dry-run": self.dry_sends,
            "untold": self.untold,
        }
        assert not any(found.values()), "\n".join(
            f"{name}: {line}" for name, lines in found.items() for line in lines
        )
        return self


def audit(
    store: Store,
    journal: Path,
    landed: Sequence[Landed],
    *,
    foreign: int = 0,
    effects: Mapping[int, int] | None = None,
    halted: bool = False,
) -> Audit:
    """Compare store, journal and chain, and report the counts to the run's tally.

    `landed` is every transaction of the signer since the keeper began; `foreign` of them were sent by
    somebody else with its key. `effects` says how often each decision that a test asked for took effect,
    where the chain can tell: once is right. `halted` says that the test halted the keeper for a while.
    """
    intents = store.intents.within(list(TxState))
    attempts = {stored.intent.id: store.intents.attempts(stored.intent.id) for stored in intents}
    on_chain = {tx.tx_hash.lower(): tx for tx in landed}
    live = store.mode == "live"
    found = Audit(
        intents=sum(stored.kind != "lane" for stored in intents),
        landed=len(landed),
        duplicates=(
            *_doubled(intents, attempts, on_chain),
            *(f"{what}: {n} effects" for what, n in (effects or {}).items() if n > 1),
        ),
        lost=(
            *(_unended(intents) if live else ()),
            *_vanished(intents, on_chain),
            *(_unanswered(journal, intents, halted) if live else ()),
            *(f"{what}: no effect" for what, n in (effects or {}).items() if n < 1),
        ),
        gaps=tuple(_gaps(attempts, intents, landed)),
        dry_sends=() if live else tuple(_dry_sends(attempts, landed)),
        untold=(
            *_unrecorded(attempts, landed, foreign),
            *_untold(store, journal),
        ),
    )
    for name, number in (
        (tally.INTENTS, found.intents),
        (tally.LANDED, found.landed),
        (tally.DUPLICATES, len(found.duplicates)),
        (tally.LOST, len(found.lost)),
        (tally.GAPS, len(found.gaps)),
        (tally.DRY_SENDS, len(found.dry_sends)),
    ):
        tally.count(name, number)
    return found


def landed_on(node: Node, chain_id: int, sender: Address, *, after: int = 0) -> tuple[Landed, ...]:
    """Return the transactions of `sender` in the blocks above `after`, in order."""
    numbers = range(after + 1, node.head() + 1)
    blocks = node.batch([("eth_getBlockByNumber", [hex(n), True]) for n in numbers])
    sent = [tx for block in blocks for tx in block["transactions"] if tx["from"].lower() == sender.lower()]
    receipts = node.batch([("eth_getTransactionReceipt", [tx["hash"]]) for tx in sent])
    return tuple(
        Landed(
            chain_id=chain_id,
            sender=sender,
            nonce=int(tx["nonce"], 16),
            tx_hash=tx["hash"],
            success=receipt["status"] == "0x1",
            fee=int(receipt["gasUsed"], 16) * int(receipt["effectiveGasPrice"], 16),
        )
        for tx, receipt in zip(sent, receipts, strict=True)
    )


_Attempts = Mapping[str, Sequence[Attempt]]


def _doubled(
    intents: Sequence[StoredIntent], attempts: _Attempts, on_chain: Mapping[str, Landed]
) -> Iterator[str]:
    """More than one version of an intent landed, or one decision's call landed as two intents."""
    for stored in intents:
        versions = [a for a in attempts[stored.intent.id] if a.tx_hash.lower() in on_chain]
        if len(versions) > 1:
            yield f"{stored.kind} {stored.subject}: {len(versions)} versions landed"
    calls = Counter(
        (stored.intent.action_id, stored.episode, stored.sequence)
        for stored in intents
        for a in attempts[stored.intent.id]
        if not a.cancels and a.tx_hash.lower() in on_chain
    )
    for (action, episode, sequence), n in calls.items():
        if n > 1:
            yield f"action {action[:12]}, episode {episode}, step {sequence}: landed {n} times"


def _unended(intents: Sequence[StoredIntent]) -> Iterator[str]:
    for stored in intents:
        if stored.state not in ENDED:
            yield f"{stored.kind} {stored.subject}: still {stored.state.value}"
        elif stored.state is TxState.DROPPED and not stored.reason:
            yield f"{stored.kind} {stored.subject}: dropped without a reason"


def _vanished(intents: Sequence[StoredIntent], on_chain: Mapping[str, Landed]) -> Iterator[str]:
    """The store says that it landed, and how; the chain does not."""
    for stored in intents:
        if stored.state in (TxState.CONFIRMED, TxState.FINALIZED):
            tx = on_chain.get((stored.tx_hash or "").lower())
            if tx is None:
                yield f"{stored.kind} {stored.subject}: {stored.state.value}, and not on the chain"
            elif tx.success is not stored.success:
                yield f"{stored.kind} {stored.subject}: success is {stored.success}, on chain {tx.success}"


def _gaps(attempts: _Attempts, intents: Sequence[StoredIntent], landed: Sequence[Landed]) -> Iterator[str]:
    """A nonce that was assigned to one of ours and that nothing on the chain has used."""
    used: dict[tuple[int, str], set[int]] = {}
    for tx in landed:
        used.setdefault((tx.chain_id, tx.sender.lower()), set()).add(tx.nonce)
    for stored in intents:
        lane = (stored.intent.chain_id, stored.intent.sender.lower())
        for nonce in {a.nonce for a in attempts[stored.intent.id]} - used.get(lane, set()):
            yield f"chain {lane[0]}: nonce {nonce} of {stored.kind} {stored.subject} is used by nobody"


def _dry_sends(attempts: _Attempts, landed: Sequence[Landed]) -> Iterator[str]:
    for versions in attempts.values():
        yield from (f"signed {a.tx_hash}" for a in versions)
    yield from (f"landed {tx.tx_hash}" for tx in landed)


def _unrecorded(attempts: _Attempts, landed: Sequence[Landed], foreign: int) -> Iterator[str]:
    """It landed, and the store never had its bytes."""
    known = {a.tx_hash.lower() for versions in attempts.values() for a in versions}
    others = [tx for tx in landed if tx.tx_hash.lower() not in known]
    if len(others) != foreign:
        yield f"{len(others)} transactions are not in the store, {foreign} are another wallet's: {others}"


def _untold(store: Store, journal: Path) -> Iterator[str]:
    """The journal is not whole, or tells other moves than the store."""
    verdict = verify(journal)
    if not verdict.ok:
        yield f"the journal does not verify: {verdict.problems}"
    told = [r.body["transition"] for r in read(journal) if r.kind is RecordKind.TRANSITION]
    made = [t.id for t in store.intents.transitions()]
    if told != made:
        yield f"the journal tells {len(told)} moves, the store {len(made)}: {_first_difference(told, made)}"


def _first_difference(told: Sequence[Any], made: Sequence[Any]) -> str:
    at = next((i for i, (a, b) in enumerate(zip(told, made, strict=False)) if a != b), -1)
    return f"they differ from position {at} on" if at >= 0 else "one ends early"


def _unanswered(journal: Path, intents: Sequence[StoredIntent], halted: bool) -> Iterator[str]:
    """A planned action has no outcome on record in its cycle.

    A cycle that a kill or an error cut short is answered by the start or the failure on record after it: the
    next cycle decides again. A cycle during a halt sends nothing, and the halt is the recorded reason.
    """
    topics = {stored.intent.id: (stored.kind, stored.subject) for stored in intents}
    waiting: dict[str, tuple[str, str]] = {}
    for record in read(journal):
        if record.kind is RecordKind.PLAN:
            yield from (
                f"{kind} {subject} was decided, and then nothing" for kind, subject in waiting.values()
            )
            waiting = {
                action_id(action): (action.kind.value, action.subject)
                for action in plan_of(record).actions
                if not isinstance(action, MarginCall)
            }
        elif record.kind in (RecordKind.OPENED, RecordKind.FAILURE):
            waiting = {}
        elif record.kind is RecordKind.OUTCOME:
            outcomes = outcomes_of(record)
            actions = {outcome.action_id for outcome in outcomes}
            subjects = {topics.get(outcome.intent_id) for outcome in outcomes}
            if halted and not outcomes:
                waiting = {}
            waiting = {a: topic for a, topic in waiting.items() if a not in actions and topic not in subjects}
    yield from map(_nothing_came, waiting.values())


def _nothing_came(topic: tuple[str, str]) -> str:
    kind, subject = topic
    return f"{kind} {subject} was decided, and then nothing"
