"""Funding as it accrues between reads, told by a few accounts for all.

Funding is charged without an event, and what a long pays per unit since any moment is the same for every
account in a market. Accounts that hold nothing but one market, and that nothing has touched, therefore tell
it exactly for everybody there.

Rejected: a bound by the venue's greatest rate. It is charged for all the time since anybody traded there,
at the premium of now: in a quiet market the bound is wider than most accounts are far from their line.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from keeper.policy.screen import EXACT_USD, Holding, PerpHolding

PROBES: Final = 3
"""Accounts that tell the funding of a market: one, and two that must confirm it."""


def probes(holdings: Mapping[str, Holding]) -> tuple[str, ...]:
    """Return up to `PROBES` keys per perp, largest first: accounts that hold nothing but this one."""
    alone: dict[str, list[tuple[float, str]]] = {}
    for key, holding in holdings.items():
        if isinstance(holding, PerpHolding) and len(holding.legs) == 1:
            ((name, size_base),) = holding.legs
            alone.setdefault(name, []).append((-abs(size_base), key))
    return tuple(key for name in sorted(alone) for _, key in sorted(alone[name])[:PROBES])


def accrued_usd(
    holdings: Mapping[str, Holding], dues_usd: Mapping[str, float], touched: Collection[str]
) -> dict[str, float]:
    """Return what one unit of each perp has paid since the origin, told by probes that nothing has touched.

    With D the funding due now and D0 that when the probe of size q was read, at an accrual of A0:
    A = A0 + (D - D0) / q. `dues_usd` holds D by key. A perp of which no probe tells, or of which probes tell
    different things, is left out.
    """
    told: dict[str, list[tuple[float, float]]] = {}
    for key, due_usd in dues_usd.items():
        holding = holdings.get(key)
        if not isinstance(holding, PerpHolding) or len(holding.legs) != 1 or key in touched:
            continue
        ((name, size_base),) = holding.legs
        paid_usd = holding.accrued_usd[0] + (due_usd - holding.due_usd) / size_base
        told.setdefault(name, []).append((abs(size_base), paid_usd))
    return {name: max(tellings)[1] for name, tellings in told.items() if _agree(tellings)}


def _agree(tellings: Sequence[tuple[float, float]]) -> bool:
    """Whether the difference would not show in the value of the largest of the accounts."""
    paid = [p for _, p in tellings]
    return (max(paid) - min(paid)) * max(size for size, _ in tellings) <= EXACT_USD
