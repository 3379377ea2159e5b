"""Which accounts of a profile stand against each other, and what one margin account for both would save."""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array

from keeper.model.margin import Opportunity
from keeper.policy.house import HouseModel
from keeper.risk.inputs import Floats
from keeper.risk.netting import netting_opportunities

MOST_LEGS = 100
"""Accounts per underlying that are paired, those with the greatest own scan: pairs grow with the square."""

MOST_PAIRS = 10
LEAST_USD = 1.0


def opportunities(
    model: HouseModel, rows: csr_array, accounts: Sequence[str], unit_delta_base: Floats
) -> tuple[Opportunity, ...]:
    """Return the pairs of accounts whose positions in one underlying would save most, best first.

    A leg is all that one account holds in one underlying. A pair saves the sum of both legs' worst losses on
    the grid, less the worst loss of their sum.

    Parameters
    ----------
    rows
        Sizes of A accounts over the model's N contracts, shape (A, N).
    accounts
        Their ids, length A.
    unit_delta_base
        Delta of one unit of each contract, shape (N,): it tells the long leg from the short one.
    """
    found: list[Opportunity] = []
    for u, underlying in enumerate(model.columns.underlyings):
        contracts = np.flatnonzero(model.columns.underlying == u)
        ours = rows[:, contracts]
        held = np.flatnonzero(np.diff(ours.indptr))
        if held.size < 2:
            continue
        pnl_usd = np.asarray(ours[held] @ model.profits.grid[contracts])
        delta_base = np.asarray(ours[held] @ unit_delta_base[contracts])
        largest = np.argsort(pnl_usd.min(axis=1), kind="stable")[:MOST_LEGS]
        delta_of = {accounts[held[i]]: float(delta_base[i]) for i in largest.tolist()}
        for pair in netting_opportunities(
            pnl_usd[largest], tuple(delta_of), least_usd=LEAST_USD, most=MOST_PAIRS
        ):
            short, long = sorted((pair.first, pair.second), key=lambda leg: (delta_of[leg], leg))
            found.append(Opportunity(long=long, short=short, underlying=underlying, saves_usd=pair.saves_usd))
    best = sorted(found, key=lambda o: (-o.saves_usd, o.underlying, o.long, o.short))
    return tuple(best[:MOST_PAIRS])
