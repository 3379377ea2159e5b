"""What an action promises to move, and how that compares with what its simulation moves.

A promise is stated by the venue's adapter, in the exact integers of its contracts, before anything is run. A
simulation answers the same reads before and after the action; the differences are held against the promise.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from keeper.model.reads import Address, Call


class Checked(StrEnum):
    """How far a promise could be held against a simulation."""

    WHOLE = "whole"
    """Figures before and after, and every token that moved."""

    FIGURES = "figures"
    """Figures before and after; the node does not show which tokens moved."""

    NOT = "not"
    """The node can neither simulate several calls in a row nor put code in place of an address's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One integer that a contract answers, and how often it counts."""

    read: Call
    path: tuple[int | str, ...] = ()
    """Where it is in the decoded answer: positions in tuples and lists, names in structs."""

    weight: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A sum of terms, and the change of it that is promised: `least <= after - before <= most`."""

    name: str
    """What it is, for people."""

    terms: tuple[Term, ...]
    unit: str
    """Of 10**decimals, for people: `sUSD`. Empty for a bare number."""

    decimals: int
    least: int | None
    """None: no lower bound."""

    most: int | None
    """None: no upper bound."""

    priced: bool = False
    """Follows a price that may move between the pinned block and the head: the change may fall short of its
    bound by the tolerance, though it never may have another sign."""

    wallet: tuple[Address, Address] | None = None
    """(token, holder) of a figure that is what a wallet holds: its change is in the transfers too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outflow:
    """What an action may take out of a wallet that is watched."""

    token: Address
    holder: Address
    most: int
    """Raw units in all; of an ERC-721 the id."""

    item: bool = False
    """Whether the token is an ERC-721."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """All that an action is to change, as far as it can be known beforehand."""

    figures: tuple[Figure, ...]
    holders: tuple[Address, ...]
    """Wallets out of which nothing but `outflows` may go."""

    outflows: tuple[Outflow, ...] = ()

    @property
    def reads(self) -> tuple[Call, ...]:
        """Every read of its figures, each once."""
        return tuple(dict.fromkeys(term.read for figure in self.figures for term in figure.terms))


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """An ERC-20 or ERC-721 token that changed hands in one transaction."""

    token: Address
    giver: Address
    taker: Address
    amount: int
    """Raw units; of an ERC-721 the id."""

    item: bool = False
    """Whether the token is an ERC-721."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One figure of a promise beside what was found."""

    name: str
    unit: str
    decimals: int
    least: int | None
    most: int | None
    found: int | None
    """The change in the simulation; None where it could not be read."""

    tolerance: int
    """By how much a bound may be missed. Raw units, >= 0."""

    kept: bool
    priced: bool = False
    """Follows a price: see `Figure`."""

    wallet: tuple[Address, Address] | None = None
    """(token, holder) where the transfers of the simulation add up to `found`; None where they do not, or the
    figure is not what a wallet holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """How long the subject of a broken promise is left alone."""

    times: int
    """Broken promises in a row, this one included. >= 1."""

    until_s: int
    """Chain time from which on it is tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A promise held against a simulation."""

    checked: Checked
    lines: tuple[Line, ...]
    broken: str = ""
    """The first thing that is otherwise than promised, in numbers; empty while the promise holds."""

    holders: tuple[Address, ...] = ()
    outflows: tuple[Outflow, ...] = ()
    """Both as promised: what lands is held against them too."""

    steps: int = 1
    """Transactions that the lines are about, the one with this proof being the first of them."""

    rest: Rest | None = None
    """What follows for the subject; None while the promise holds, or could not be checked."""


def decimal(raw: int, decimals: int) -> str:
    """Return raw units as an exact decimal, without trailing zeros: 1500000 of 6 places is `1.5`."""
    whole, part = divmod(abs(raw), 10**decimals)
    digits = f".{part:0{decimals}d}".rstrip("0").rstrip(".") if decimals else ""
    return f"{'-' if raw < 0 else ''}{whole}{digits}"


def bounds(line: Line) -> str:
    """Return what was promised of a figure, in words."""
    if line.least is not None and line.least == line.most:
        return in_units(line.least, line)
    if line.least is None:
        return "anything" if line.most is None else f"at most {in_units(line.most, line)}"
    if line.most is None:
        return f"at least {in_units(line.least, line)}"
    return f"{in_units(line.least, line)} to {in_units(line.most, line)}"


def in_units(raw: int, line: Line) -> str:
    """Return raw units of a figure as an exact decimal with its unit."""
    return f"{decimal(raw, line.decimals)} {line.unit}".rstrip()


def net_transfer(transfers: Sequence[Transfer], wallet: tuple[Address, Address]) -> int:
    """Return what transfers bring to a (token, holder), less what they take. Raw units."""
    token, holder = (address.lower() for address in wallet)
    own = [t for t in transfers if t.token.lower() == token and not t.item]
    received = sum(t.amount for t in own if t.taker.lower() == holder)
    return received - sum(t.amount for t in own if t.giver.lower() == holder)


def unpromised(transfers: Sequence[Transfer], holders: Sequence[Address], outflows: Sequence[Outflow]) -> str:
    """Return the first token that leaves one of `holders` without being promised, in words; else empty.

    What one holder gives to another leaves the first one all the same. Transfers of nothing are left out.
    """
    watched = {holder.lower() for holder in holders}
    allowed = {(o.token.lower(), o.holder.lower(), o.most if o.item else None): o.most for o in outflows}
    gone: dict[tuple[str, str, int | None], int] = {}
    for t in transfers:
        if t.giver.lower() not in watched or t.giver.lower() == t.taker.lower():
            continue
        if t.amount == 0 and not t.item:
            continue
        key = (t.token.lower(), t.giver.lower(), t.amount if t.item else None)
        if t.item:
            if key not in allowed:
                return f"item {t.amount} of token {t.token} leaves {t.giver} for {t.taker}, unpromised"
            continue
        gone[key] = gone.get(key, 0) + t.amount
        if gone[key] > allowed.get(key, 0):
            return (
                f"{gone[key]} of token {t.token} leave {t.giver}, the last for {t.taker}, "
                f"{allowed.get(key, 0)} were promised"
            )
    return ""
