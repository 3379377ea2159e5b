"""ERC-20 tokens as the adapters meet them: what wallets hold, what a venue may take, exact approvals."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from keeper.model.book import Allowance, Balance, Wallet
from keeper.model.reads import Address, Call, Send
from keeper.model.snapshot import Gap
from keeper.model.units import ZERO, from_raw
from keeper.model.venue import Venue
from keeper.protocols.answers import Answers, Asked, unanswered, why

ERC20: Final = "erc20/ERC20"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token that a venue takes as collateral."""

    address: Address
    symbol: str
    decimals: int
    underlying: str | None
    """Risk factor; None for a dollar."""


def token_call(token: Address, fn: str, *args: Any) -> Call:
    """Return one call to a token."""
    return Call(ERC20, token, fn, args)


def ask_wallets(asked: Asked, owners: Sequence[Address], tokens: Sequence[Address], spender: Address) -> None:
    """Add what `wallets_from` needs: balance and allowance of every owner in every token."""
    for owner in owners:
        for token in tokens:
            asked["balance", owner, token] = token_call(token, "balanceOf", owner)
            asked["allowance", owner, token] = token_call(token, "allowance", owner, spender)


def wallets_from(
    venue: Venue, answers: Answers, owners: Sequence[Address], tokens: Sequence[Token], spender: Address
) -> tuple[tuple[Wallet, ...], tuple[Gap, ...]]:
    """Return the wallets, and a gap for each that could not be read.

    `Wallet.native` is 0 here because an adapter reads no native coin: the snapshot fills it in.
    """
    wallets: list[Wallet] = []
    gaps: list[Gap] = []
    for owner in sorted(set(owners)):
        names = [(kind, owner, t.address) for t in tokens for kind in ("balance", "allowance")]
        if failed := unanswered(answers, *names):
            gaps.append(
                Gap(what="wallet", key=f"{venue.id}:{owner}", reason=why(failed), chain_id=venue.chain_id)
            )
            continue
        wallets.append(
            Wallet(
                owner=owner,
                chain_id=venue.chain_id,
                native=ZERO,
                balances=tuple(
                    Balance(
                        asset=t.symbol,
                        amount=from_raw(answers["balance", owner, t.address], t.decimals),
                        underlying=t.underlying,
                    )
                    for t in tokens
                ),
                allowances=tuple(
                    Allowance(
                        asset=t.symbol,
                        spender=spender,
                        amount=from_raw(answers["allowance", owner, t.address], t.decimals),
                    )
                    for t in tokens
                ),
            )
        )
    return tuple(wallets), tuple(gaps)


def approvals(token: Address, spender: Address, raw: int, allowed_raw: int) -> tuple[Send, ...]:
    """Return the approval of exactly `raw` where less is allowed, else nothing.

    Exact rather than unlimited: a spender that turns bad takes what was meant for it and no more.
    """
    return () if allowed_raw >= raw else (Send(ERC20, token, "approve", (spender, raw)),)
