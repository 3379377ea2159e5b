"""What is proposed to a Safe: the plan of now, as far as it is the Safe's, as one transaction.

Nothing is sent, stored or journaled; a key is loaded only to sign the hash, and only where file and command
line both ask for it.
"""

import contextlib
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from keeper.chain.client import ChainClient
from keeper.config.settings import Settings
from keeper.execution.errors import HaltedError
from keeper.execution.safe.contract import SafeState, read_state
from keeper.execution.safe.draft import Draft, Drafting, Rules
from keeper.execution.safe.errors import (
    NoHashSignerError,
    NotAnOwnerError,
    NotASafeError,
    SigningNotLiveError,
    UnknownChainError,
)
from keeper.execution.safe.proposal import Proposal, proposal_of
from keeper.execution.signer import HashSigner
from keeper.model.plan import Hedge, Plan
from keeper.model.reads import Address
from keeper.model.snapshot import Snapshot
from keeper.policy.decide import decide
from keeper.service.chains import client_of, clients, observer_of, venues_of
from keeper.service.keys import load_signer
from keeper.service.wire import limits_of
from keeper.store.errors import StoreMissingError
from keeper.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the command line asks for."""

    safe: Address
    chain: str | None = None
    """Name or id; needed where several chains are configured."""

    only: frozenset[str] = frozenset()
    """Kinds of action; empty for all."""

    nonce: int | None = None
    """Of the Safe; by default its next."""

    open_for_s: int | None = None
    """How long a trade may be executed, from the snapshot on; by default as the plan says."""

    sign: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """An owner's signature of a proposal's hash."""

    signer: Address
    signature: str
    """r, s and v (27 or 28), 0x-prefixed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """What came of it."""

    safe: SafeState
    snapshot: Snapshot
    plan: Plan
    draft: Draft
    proposal: Proposal | None
    """None where nothing of the plan is the Safe's to do, or nothing of it can be done."""

    signatures: tuple[Signature, ...] = ()
    halted: str = ""
    """Why the keeper itself sends nothing just now; empty where it may."""


def propose(settings: Settings, asked: Asked) -> Proposed:
    """Decide once, and build the Safe's transaction. Holds no key unless asked to sign.

    Raises what `execution.safe.errors` lists, `HaltedError` where a signature is asked for while the keeper
    is halted, what `load_signer` and the signer raise, and what reading the chains and the store raises.
    """
    chain_id = chain_of(settings, asked.chain)
    if asked.sign and (settings.mode != "live" or settings.signer is None):
        raise SigningNotLiveError(settings.source)
    params = settings.params()
    with clients(settings, client_of) as connected, _store(settings) as store:
        halt = store.halted()
        if asked.sign and halt is not None:
            raise HaltedError(halt.reason, halt.by)
        node = connected[chain_id]
        node.verify()
        safe = state_of(node, asked.safe)
        signer = _signer(settings, safe) if asked.sign else None
        snapshot = observer_of(settings, connected, senders=[safe.address]).observe()
        plan = kept_open(decide(snapshot, params).plan, asked.open_for_s, snapshot)
        drafting = Drafting(
            node,
            safe.address,
            venues_of(settings),
            store,
            Rules(
                payer=params.top_up.payer,
                taker=params.liquidation.taker,
                limits=limits_of(settings),
                clock=time.time,
                only=asked.only,
            ),
        )
        draft = drafting.draft(plan, snapshot)
        proposal: Proposal | None = None
        if draft.steps:
            # Owners may have executed something meanwhile: a hash for a nonce that was used is worth nothing.
            safe = state_of(node, asked.safe)
            proposal = proposal_of(node, safe, draft.steps, asked.nonce)
        return Proposed(
            safe=safe,
            snapshot=snapshot,
            plan=plan,
            draft=draft,
            proposal=proposal,
            signatures=() if signer is None or proposal is None else (_signed(signer, proposal),),
            halted="" if halt is None else f"halted by {halt.by}: {halt.reason}",
        )


def chain_of(settings: Settings, asked: str | None) -> int:
    """Return the chain id that a name or id means; the only one where none is given.

    Raises `UnknownChainError`.
    """
    names = settings.chain_names()
    if asked is None and len(names) == 1:
        return next(iter(names))
    known = {name: chain_id for chain_id, name in names.items()} | {str(i): i for i in names}
    if asked is None or asked not in known:
        raise UnknownChainError(asked, names)
    return known[asked]


def state_of(node: ChainClient, address: Address) -> SafeState:
    """Return the state of a Safe at the head. Raises `NotASafeError` and as `read_state` does."""
    if not node.code(address):
        raise NotASafeError(address, node.name, node.chain_id, "there is no contract")
    return node.run(read_state(address, chain=node.name, chain_id=node.chain_id), node.head())


def kept_open(plan: Plan, open_for_s: int | None, snapshot: Snapshot) -> Plan:
    """Return a plan whose trades may be executed for so long; owners take longer to sign than a node to mine.

    Price limit and size stay. The plan's id stays too: it does not rest on deadlines.
    """
    if open_for_s is None:
        return plan
    until_s = snapshot.taken_at_s + open_for_s
    return replace(
        plan,
        actions=tuple(
            replace(action, deadline_s=until_s) if isinstance(action, Hedge) else action
            for action in plan.actions
        ),
    )


@contextlib.contextmanager
def _store(settings: Settings) -> Iterator[Store]:
    """Give the keeper's own store beside its owner, to look into; an empty one where there is none yet."""
    with contextlib.ExitStack() as stack:
        try:
            store = stack.enter_context(Store.attach(settings.store.place))
        except StoreMissingError:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="keeper-propose-"))
            store = stack.enter_context(Store.open(Path(folder) / "propose.sqlite", "dry-run"))
        yield store


def _signer(settings: Settings, safe: SafeState) -> HashSigner:
    """Return the configured signer. Raises `NotAnOwnerError`, `NoHashSignerError`, and as `load_signer`."""
    assert settings.signer is not None
    signer = load_signer(settings)
    if signer.address not in safe.owners:
        raise NotAnOwnerError(signer.address, safe.address, safe.owners)
    if not isinstance(signer, HashSigner):
        raise NoHashSignerError(settings.signer.kind)
    return signer


def _signed(signer: HashSigner, proposal: Proposal) -> Signature:
    signature = signer.sign_hash(bytes.fromhex(proposal.hashes.safe_tx[2:]))
    return Signature(signer=signer.address, signature=f"0x{signature.hex()}")
