"""Every kind of action that an adapter claims encodes, and goes through on the real chain."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from keeper.model.plan import (
    ActionKind,
    Hedge,
    Liquidate,
    MoveCollateral,
    Reason,
    Refresh,
    Settle,
    TxAction,
)
from keeper.model.reads import Address
from keeper.model.units import ONE, ZERO, Wad
from keeper.protocols.errors import UnencodableActionError
from tests.conformance.subject import Subject

pytestmark = pytest.mark.devnet

REASON = Reason(text="test")


def examples(subject: Subject) -> Iterator[tuple[TxAction, Address]]:
    """Actions that fit the venue as it is, with who sends them; together they use every call it may make."""
    state, desk, other = subject.read(), subject.actor("desk"), subject.actor("paul")
    target = max((a for a in state.accounts if a.liquidatable), key=lambda a: a.has_orders)
    assert target.bounty is not None
    yield (
        Liquidate(
            subject=target.id,
            reason=REASON,
            protocol=target.protocol,
            chain_id=target.chain_id,
            account=target.id,
            owner=target.owner,
            instrument=target.bounty.instrument,
            max_size=target.bounty.size,
            takes_over=target.bounty.takes_over,
            reward_usd=target.bounty.reward_usd,
            cost_usd=ZERO,
        ),
        other,
    )
    own = next(a for a in state.accounts if a.owner == desk and a.margin_asset == a.balances[0].asset)
    add = MoveCollateral(
        subject=own.id,
        reason=REASON,
        protocol=own.protocol,
        chain_id=own.chain_id,
        account=own.id,
        owner=desk,
        asset=own.balances[0].asset,
        amount=Wad(10 * ONE),
        direction="add",
    )
    yield add, desk
    yield add, other
    yield replace(add, direction="withdraw", amount=Wad(ONE)), desk
    if subject.adapter.name == "curie":
        hedge = Hedge(
            subject="desk/ETH",
            reason=REASON,
            protocol=own.protocol,
            chain_id=own.chain_id,
            account=own.id,
            owner=desk,
            instrument=state.instruments[0].id,
            size=Wad(-ONE // 100),
            limit_price=Wad(ONE),
            deadline_s=2**31,
        )
        yield hedge, desk
        yield hedge, other
        return
    yield Refresh(subject="lyra:10", reason=REASON, protocol="lyra", chain_id=10), other
    subject.node.warp(14 * 86_400)
    (board,) = subject.read().boards
    yield (
        Settle(
            subject=board.venue,
            reason=REASON,
            protocol="lyra",
            chain_id=10,
            board=board.key,
            board_settled=board.settled,
            accounts=board.open_positions,
        ),
        other,
    )


def prepare(subject: Subject) -> None:
    """Give the second sender what the examples need: money, an approval, and nothing allowed yet."""
    desk, other, chains = subject.actor("desk"), subject.actor("paul"), subject.chains
    if subject.adapter.name == "lyra":
        chains.lyra["QuoteAsset"].send("mint", other, 10**21)
        return
    chains.curie["DelegateApproval"].send("approve", other, 1, sender=desk)
    chains.curie.mint(other, 1_000)
    chains.curie["SettlementToken"].send("approve", chains.curie["Vault"].address, 0, sender=other)
    # Somebody with orders whose account is short, so that cancelling is among the calls.
    chains.curie.deposit(subject.actor("anna"), 5_000)
    chains.curie.add_liquidity(
        subject.actor("anna"), "ETH", low=1_600, high=2_400, base=Wad(12 * ONE), quote=Wad(24_000 * ONE)
    )


def test_every_claimed_kind_goes_through_with_allowed_calls_only(moved: Subject) -> None:
    prepare(moved)
    price = 1_800
    while moved.adapter.name == "curie" and not any(
        a.has_orders and a.liquidatable for a in moved.read().accounts
    ):
        price -= 100
        moved.chains.move({"ETH": Wad(price * ONE)})
    kinds: set[ActionKind] = set()
    used: set[tuple[str, str]] = set()
    for action, sender in examples(moved):
        sends = moved.encode(action, sender)
        assert sends, action.kind
        moved.send(sends, sender)
        kinds.add(action.kind)
        used |= {(s.contract, s.fn) for s in sends}
    assert kinds == moved.adapter.actions
    assert used == moved.adapter.sends


def test_what_is_not_claimed_is_refused(subject: Subject) -> None:
    protocol, chain_id = subject.adapter.name, subject.venue.chain_id
    strangers: tuple[TxAction, ...] = (
        Hedge(
            subject="desk/ETH",
            reason=REASON,
            protocol=protocol,
            chain_id=chain_id,
            account=f"{subject.venue.id}:1",
            owner=subject.actor("desk"),
            instrument=f"{subject.venue.id}:1",
            size=Wad(ONE),
            limit_price=Wad(ONE),
            deadline_s=1,
        ),
        Settle(
            subject="x",
            reason=REASON,
            protocol=protocol,
            chain_id=chain_id,
            board="x",
            board_settled=False,
            accounts=(),
        ),
        Refresh(subject="x", reason=REASON, protocol=protocol, chain_id=chain_id),
    )
    for action in strangers:
        if action.kind not in subject.adapter.actions or action.kind is not ActionKind.REFRESH:
            with pytest.raises(UnencodableActionError, match=subject.venue.id):
                subject.encode(action, subject.actor("desk"))
