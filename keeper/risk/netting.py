"""Netting: what stands against what, what it saves, and how much of it may be counted.

Each account is charged alone by its venue; the house charges the sum once. The difference is the
netting benefit. It is economic, not enforceable: a venue liquidates on its own equity whatever another
owes, so every figure here belongs beside the venue's own and beside the time a transfer takes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from keeper.model.errors import UnfitValueError
from keeper.risk.inputs import Floats, finite, require, unique


@dataclass(frozen=True, slots=True, kw_only=True)
class NetExposure:
    """Exposure to one underlying, USD or units of it, as the legs were."""

    underlying: str
    gross: float
    """Sum of absolute legs, at least 0."""

    net: float
    """Signed sum of legs."""

    @property
    def hedged(self) -> float:
        """Amount that stands against itself: (gross - |net|) / 2, at least 0. Carries the basis charge."""
        return max(0.0, (self.gross - abs(self.net)) / 2.0)


def net_exposures(legs: ArrayLike, underlying: Sequence[str]) -> tuple[NetExposure, ...]:
    """Return gross and net exposure for each underlying, in order of first appearance.

    Parameters
    ----------
    legs
        Signed exposures in one numeraire, shape (L,): USD, or units of the underlying. Deltas of inverse
        contracts (coin) are converted by the caller.
    underlying
        Risk factor of each leg, length L.

    Raises
    ------
    UnfitValueError
        Lengths differ or a leg is not finite.

    Examples
    --------
    >>> net_exposures([10.0, -9.0], ["BTC", "BTC"])[0].hedged
    9.0
    """
    sizes = finite("legs", legs, shape=(len(underlying),))
    names = tuple(dict.fromkeys(underlying))
    index = {name: i for i, name in enumerate(names)}
    rows = [index[name] for name in underlying]
    gross = np.bincount(rows, weights=np.abs(sizes), minlength=len(names))
    net = np.bincount(rows, weights=sizes, minlength=len(names))
    return tuple(
        NetExposure(underlying=name, gross=float(g), net=float(n))
        for name, g, n in zip(names, gross, net, strict=True)
    )


def capped_requirement_usd(standalone_sum_usd: float, house_usd: float, *, recognised: float = 0.8) -> float:
    """Return the requirement when only a share of the offset may be counted, USD.

        R = standalone - recognised (standalone - house)

    Parameters
    ----------
    standalone_sum_usd
        Sum of the requirements without netting, at least 0.
    house_usd
        Netted requirement with its add-ons, at least 0. Where it exceeds the sum there is no offset and
        it is returned as it is.
    recognised
        Share of the difference that counts, in 0..1.

    Raises
    ------
    UnfitValueError
        Not finite or out of those ranges.

    Notes
    -----
    Source: EMIR RTS 153/2013, article 27: at most 80 % of the difference.

    Examples
    --------
    >>> capped_requirement_usd(180.0, 60.0)
    84.0
    """
    for field, value in (("standalone_sum_usd", standalone_sum_usd), ("house_usd", house_usd)):
        finite(field, value)
        require(field, value, value >= 0.0, "at least 0")
    require("recognised", recognised, 0.0 <= recognised <= 1.0, "in 0..1")
    return house_usd + (1.0 - recognised) * max(0.0, standalone_sum_usd - house_usd)


def minimum_delta_margin_usd(
    legs_base: ArrayLike, spot_usd: float, *, net_rate: float = 0.02, hedged_rate: float = 0.01
) -> float:
    """Return (net_rate |net| + hedged_rate hedged) spot: the least margin of one underlying, USD.

    A book whose scenarios show no loss still pays for its net delta and for the basis between the legs.

    Parameters
    ----------
    legs_base
        Signed deltas in units of the underlying, shape (L,).
    spot_usd
        At least 0.
    net_rate, hedged_rate
        Fractions of notional, at least 0.

    Raises
    ------
    UnfitValueError
        Not finite or negative.

    Notes
    -----
    Source: Paradex portfolio margin: 2 % of net and 1 % of hedged delta.

    Examples
    --------
    >>> minimum_delta_margin_usd([1.0, -1.5], 70_000.0)
    1400.0
    """
    for field, value in (("spot_usd", spot_usd), ("net_rate", net_rate), ("hedged_rate", hedged_rate)):
        finite(field, value)
        require(field, value, value >= 0.0, "at least 0")
    legs = finite("legs_base", legs_base, shape=(None,))
    net = abs(float(legs.sum()))
    hedged = max(0.0, (float(np.abs(legs).sum()) - net) / 2.0)
    return (net_rate * net + hedged_rate * hedged) * spot_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class NettingOpportunity:
    """Two legs that stand against each other."""

    first: str
    second: str
    saves_usd: float
    """Sum of the two requirements minus the requirement of the pair, above 0."""

    apart_usd: float
    """Sum of the two requirements."""

    worst_together: int
    """Scenario that sets the requirement of the pair."""


def netting_benefits_usd(pnl_usd: ArrayLike) -> Floats:
    """Return what each pair of rows saves when charged together, shape (A, A), USD, symmetric, >= 0.

        B[a, b] = R_a + R_b - max(0, - min_s (P[a, s] + P[b, s])),   0 on the diagonal

    Parameters
    ----------
    pnl_usd
        Profit of leg, account or venue a in scenario s, shape (A, S), S >= 1.

    Raises
    ------
    UnfitValueError
        Wrong shape, no scenario, not finite.

    Notes
    -----
    Cost: A^2 S additions, in rows of A x S numbers.
    """
    table = _table(pnl_usd)
    alone = _standalone_usd(table)
    benefits = np.zeros((len(table), len(table)))
    for a in range(len(table) - 1):
        pairs = -(table[a] + table[a + 1 :]).min(axis=1)
        saved = alone[a] + alone[a + 1 :] - np.maximum(0.0, pairs)
        benefits[a, a + 1 :] = benefits[a + 1 :, a] = np.maximum(0.0, saved)
    return benefits


def netting_opportunities(
    pnl_usd: ArrayLike,
    names: Sequence[str],
    *,
    netted_already: Sequence[str] | None = None,
    least_usd: float = 0.0,
    most: int | None = None,
) -> tuple[NettingOpportunity, ...]:
    """Return the pairs of legs that would save margin if one place charged them, best first.

    Parameters
    ----------
    pnl_usd
        Profit of leg i in scenario s, shape (L, S), USD, S >= 1.
    names
        Unique names of the legs, length L, for the report.
    netted_already
        Name of the margin account of each leg, length L: pairs within one account are netted by its venue
        and are left out. Absent: all pairs.
    least_usd
        Savings at or below this are left out, at least 0.
    most
        Greatest number of pairs; absent: all.

    Returns
    -------
    tuple of NettingOpportunity
        Sorted by saving, then by names, so that ties do not depend on the order of legs. A leg may occur
        in several pairs: savings of different pairs do not add up.

    Raises
    ------
    UnfitValueError
        Lengths differ, names repeat, not finite, or a negative limit.

    Examples
    --------
    >>> found = netting_opportunities([[-96.0, 96.0], [86.4, -86.4]], ["long at A", "short at B"])
    >>> (found[0].first, found[0].second, round(found[0].saves_usd, 6))
    ('long at A', 'short at B', 172.8)
    """
    table = finite("pnl_usd", pnl_usd, shape=(len(names), None))
    unique("names", names)
    require("least_usd", least_usd, least_usd >= 0.0, "at least 0")
    if netted_already is not None and len(netted_already) != len(names):
        raise UnfitValueError("netted_already", f"length is {len(netted_already)}, expected {len(names)}")
    benefits = np.triu(netting_benefits_usd(table))
    alone = _standalone_usd(table)
    rank = np.empty(len(names), dtype=np.intp)
    rank[sorted(range(len(names)), key=names.__getitem__)] = np.arange(len(names))
    a, b = np.nonzero(benefits > least_usd)
    if netted_already is not None:
        account = np.unique(np.asarray(netted_already, dtype=object), return_inverse=True)[1]
        apart = account[a] != account[b]
        a, b = a[apart], b[apart]
    a, b = np.where(rank[a] < rank[b], (a, b), (b, a))
    best = np.lexsort((rank[b], rank[a], -benefits[np.minimum(a, b), np.maximum(a, b)]))[:most]
    return tuple(
        NettingOpportunity(
            first=names[i],
            second=names[j],
            saves_usd=float(benefits[min(i, j), max(i, j)]),
            apart_usd=float(alone[i] + alone[j]),
            worst_together=int((table[i] + table[j]).argmin()),
        )
        for i, j in zip(a[best].tolist(), b[best].tolist(), strict=True)
    )


def bilateral_exposure(members: int, classes: int) -> float:
    """Return one member's expected exposure to all others without clearing: (N - 1) sqrt(K / 2 pi).

    For K classes whose pairwise exposures are independent unit normals, netted over classes with each
    counterparty. Source: Duffie and Zhu, "Does a central clearing counterparty reduce counterparty
    risk?" (2011).

    Raises
    ------
    UnfitValueError
        For fewer than two members or one class.
    """
    _market(members, classes)
    return (members - 1) * math.sqrt(classes / (2.0 * math.pi))


def cleared_exposure(members: int, classes: int) -> float:
    """Return the same with one class cleared: (N - 1) sqrt((K - 1) / 2 pi) + sqrt((N - 1) / 2 pi).

    Clearing one class nets over members and breaks netting over classes; it helps if and only if
    K < N^2 / (4 (N - 1)). Source and errors as `bilateral_exposure`.
    """
    _market(members, classes)
    rest = (members - 1) * math.sqrt((classes - 1) / (2.0 * math.pi))
    return rest + math.sqrt((members - 1) / (2.0 * math.pi))


def _market(members: int, classes: int) -> None:
    require("members", members, members >= 2, "at least 2")
    require("classes", classes, classes >= 1, "at least 1")


def _table(pnl_usd: ArrayLike) -> Floats:
    table = finite("pnl_usd", pnl_usd, shape=(None, None))
    if not table.shape[1]:
        raise UnfitValueError("pnl_usd", "no scenarios, expected at least one")
    return table


def _standalone_usd(table: Floats) -> Floats:
    alone: Floats = np.maximum(0.0, -table.min(axis=1))
    return alone
