"""What goes first, what is urgent, and who sends it."""

from typing import Final

import pytest

from keeper.execution.urgency import Rank, Senders, is_urgent, rank
from keeper.model.book import Balance, Wallet
from keeper.model.plan import ActionKind, TxAction
from keeper.model.reads import Address
from keeper.model.snapshot import Snapshot
from keeper.model.units import ONE, ZERO, Wad
from tests.execution.test_moved_value import NOTHING_OF_OURS, OWNER, hedge, liquidation, top_up

OTHER: Final = Address("0x52000000000000000000000000000000000000BB")
KINDS: Final = frozenset({"move_collateral", "liquidate"})
EVERY_KIND: Final = frozenset(kind.value for kind in ActionKind)


def holding(owner: Address, amount: int, asset: str = "sUSD") -> Wallet:
    return Wallet(owner=owner, chain_id=10, native=ZERO, balances=(Balance(asset=asset, amount=Wad(amount)),))


def seen(*wallets: Wallet) -> Snapshot:
    return Snapshot(blocks=(), accounts=(), instruments=(), quotes=(), wallets=wallets)


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (top_up(1), Rank.RESCUE),
        (liquidation(1, takes_over=True), Rank.RESCUE),
        (liquidation(1, takes_over=False), Rank.RESCUE),
        (hedge(1, ONE), Rank.HEDGE),
        (top_up(1, direction="withdraw"), Rank.HOUSEKEEPING),
        *((action, Rank.HOUSEKEEPING) for action in NOTHING_OF_OURS[:2]),
    ],
)
def test_ranks(action: TxAction, expected: Rank) -> None:
    assert rank(action) is expected


def test_urgent_is_what_is_configured_and_never_a_withdrawal() -> None:
    assert [is_urgent(a, KINDS) for a in (top_up(1), liquidation(1, takes_over=True))] == [True, True]
    assert not is_urgent(hedge(1, ONE), KINDS)
    assert is_urgent(hedge(1, ONE), EVERY_KIND)
    assert not is_urgent(top_up(1, direction="withdraw"), EVERY_KIND)
    assert not is_urgent(top_up(1), frozenset())


ONE_SIGNER: Final = Senders(ordinary=OWNER, kinds=EVERY_KIND)
TWO_SIGNERS: Final = Senders(ordinary=OWNER, urgent=OTHER, kinds=EVERY_KIND, taker=OTHER)


@pytest.mark.parametrize("action", [top_up(1), liquidation(1, takes_over=True), hedge(1, ONE)])
def test_one_signer_sends_all(action: TxAction) -> None:
    assert ONE_SIGNER.of(action, seen(holding(OTHER, 10))) == OWNER


@pytest.mark.parametrize(
    ("action", "sender"),
    [
        (liquidation(1, takes_over=False), OTHER),
        (liquidation(1, takes_over=True), OTHER),
        (top_up(1, direction="withdraw"), OWNER),
        (hedge(1, ONE), OWNER),  # the trader is the ordinary signer
        (NOTHING_OF_OURS[0], OTHER),
    ],
)
def test_urgent_work_goes_to_its_signer_where_its_means_are_there(action: TxAction, sender: Address) -> None:
    assert TWO_SIGNERS.of(action, seen()) == sender


def test_a_position_is_taken_over_by_whose_margin_was_counted() -> None:
    ours = Senders(ordinary=OWNER, urgent=OTHER, kinds=KINDS, taker=OWNER)
    assert ours.of(liquidation(1, takes_over=True), seen()) == OWNER
    assert ours.of(liquidation(1, takes_over=False), seen()) == OTHER


@pytest.mark.parametrize(
    ("wallets", "sender"),
    [
        ((), OWNER),
        ((holding(OWNER, 10),), OWNER),
        ((holding(OTHER, 10),), OTHER),
        ((holding(OTHER, 9), holding(OWNER, 99)), OWNER),
        ((holding(OTHER, 99, "DAI"),), OWNER),
    ],
)
def test_a_top_up_is_paid_by_who_can(wallets: tuple[Wallet, ...], sender: Address) -> None:
    assert TWO_SIGNERS.of(top_up(10), seen(*wallets)) == sender


def test_what_is_not_configured_as_urgent_stays_with_the_ordinary_signer() -> None:
    senders = Senders(ordinary=OWNER, urgent=OTHER, kinds=frozenset(), taker=OTHER)
    for action in (top_up(1), liquidation(1, takes_over=True), *NOTHING_OF_OURS):
        assert senders.of(action, seen(holding(OTHER, 10))) == OWNER
