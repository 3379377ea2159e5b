"""What adapters share when they state what an action promises: wallets, and numbers of a contract."""

from collections.abc import Sequence

from keeper.model.promise import Figure, Term
from keeper.model.reads import Address, Call
from keeper.protocols.tokens import Token, token_call


def exactly(name: str, terms: Sequence[Term], change: int, *, unit: str, decimals: int) -> Figure:
    """Return a figure that changes by exactly so much, in raw units."""
    return Figure(name=name, terms=tuple(terms), unit=unit, decimals=decimals, least=change, most=change)


def in_wallet(
    token: Token, holder: Address, *, least: int | None, most: int | None, priced: bool = False
) -> Figure:
    """Return what a wallet holds of a token, and by how much that changes, in raw units."""
    return Figure(
        name=f"{token.symbol} in the wallet of {holder}",
        terms=(Term(read=token_call(token.address, "balanceOf", holder)),),
        unit=token.symbol,
        decimals=token.decimals,
        least=least,
        most=most,
        priced=priced,
        wallet=(token.address, holder),
    )


def untouched(tokens: Sequence[Token], holders: Sequence[Address]) -> tuple[Figure, ...]:
    """Return the wallets of `holders`, each named once, in which nothing changes."""
    return tuple(
        in_wallet(token, holder, least=0, most=0) for holder in dict.fromkeys(holders) for token in tokens
    )


def term(read: Call, *path: int | str, weight: int = 1) -> Term:
    """Return the integer at `path` of an answer."""
    return Term(read=read, path=path, weight=weight)
