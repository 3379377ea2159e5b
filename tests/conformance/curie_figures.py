"""Curie's own figures, asked of its contracts, and actions on its accounts."""

from collections.abc import Iterator
from typing import Literal

from keeper.model.book import Account
from keeper.model.plan import Hedge, Liquidate, MoveCollateral, Reason
from keeper.model.reads import Address
from keeper.model.snapshot import VenueState
from keeper.model.units import ONE, ZERO, Wad
from tests.conformance.subject import Subject

REASON = Reason(text="test")
VAULT_UNIT = 10**12
"""The vault counts in millionths of a dollar, our figures in 10**-18."""

NEVER_S = 2**31


def cut(value: int) -> int:
    """Round down to what the vault can express, as the contract does, below zero too."""
    return value // VAULT_UNIT * VAULT_UNIT


def accounts(state: VenueState) -> dict[Address, Account]:
    return {a.owner: a for a in state.accounts}


def marks(state: VenueState) -> dict[str, Wad]:
    return {q.subject: q.price for q in state.quotes if q.kind == "mark"}


def cash(account: Account) -> int:
    return account.balances[0].amount


def unrealised(curie: Subject, owner: Address) -> int:
    answer = curie.chains.curie["AccountBalance"].call("getPnlAndPendingFee", owner)
    return int(answer[1])


def instrument(curie: Subject, symbol: str) -> str:
    return f"{curie.venue.id}:{curie.chains.address('arbitrum', f'v{symbol}')}"


def size_of(curie: Subject, owner: Address, symbol: str) -> int:
    answer = curie.chains.curie["AccountBalance"].call(
        "getTotalPositionSize", owner, curie.chains.curie.base(symbol)
    )
    return int(answer)


def value_of(curie: Subject, owner: Address) -> int:
    return int(curie.chains.curie["ClearingHouse"].call("getAccountValue", owner))


def liquidation(account: Account, *, size: int | None = None, market: str | None = None) -> Liquidate:
    bounty = account.bounty
    position = account.positions[0]
    return Liquidate(
        subject=account.id,
        reason=REASON,
        protocol=account.protocol,
        chain_id=account.chain_id,
        account=account.id,
        owner=account.owner,
        instrument=market or (bounty.instrument if bounty else position.instrument),
        max_size=Wad(size if size is not None else bounty.size if bounty else position.size),
        takes_over=True,
        reward_usd=ZERO,
        cost_usd=ZERO,
    )


def hedge(curie: Subject, owner: Address, symbol: str, size: int, limit: int) -> Hedge:
    return Hedge(
        subject="desk/ETH",
        reason=REASON,
        protocol="curie",
        chain_id=curie.venue.chain_id,
        account=f"{curie.venue.id}:{owner}",
        owner=owner,
        instrument=instrument(curie, symbol),
        size=Wad(size),
        limit_price=Wad(limit),
        deadline_s=NEVER_S,
    )


def move(
    curie: Subject, owner: Address, amount: int, direction: Literal["add", "withdraw"] = "add"
) -> MoveCollateral:
    return MoveCollateral(
        subject=owner,
        reason=REASON,
        protocol="curie",
        chain_id=curie.venue.chain_id,
        account=f"{curie.venue.id}:{owner}",
        owner=owner,
        asset="USDC",
        amount=Wad(amount),
        direction=direction,
    )


def markets_in_motion(curie: Subject, wallets: tuple[Address, ...] | None = None) -> Iterator[VenueState]:
    """The venue as it is set up, an hour later, after the drop, and deep enough for accounts below zero."""
    yield curie.read(wallets=wallets)
    curie.chains.warp(3_600)
    yield curie.read(wallets=wallets)
    curie.chains.move()
    yield curie.read(wallets=wallets)
    curie.chains.move({"ETH": Wad(1_500 * ONE), "BTC": Wad(33_000 * ONE)})
    yield curie.read(wallets=wallets)
