"""Stress: what recorded days, the grid, the basis, a dark chain or the user's own move do to every profile.

Decided:

* Profit and house requirement come from full revaluation of the netted book; who would be liquidatable
  comes from each venue's own rule, account by account. The first must not console for the second.
* An underlying that a recorded day does not hold moves as `stress_table.PROXY` did, and the result says so:
  no move at all would be the one answer that is certainly wrong.
* A reverse stress is asked of two buffers: the house's, which is netted, and that of the first member to
  fail at its venue, which is not.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from keeper.model.book import Account
from keeper.model.margin import Role
from keeper.model.params import Params, ProfileParams
from keeper.model.snapshot import Snapshot
from keeper.model.stress import ProfileStress, StressKind, StressResult
from keeper.model.units import to_float
from keeper.policy.house import DAY_S
from keeper.policy.membership import members
from keeper.policy.profile import house_of
from keeper.policy.reverse import covariance_of, reverse_stresses
from keeper.policy.stress_table import Named, UserShock, named_scenarios
from keeper.policy.stressed import Held, Label, held_by, results
from keeper.policy.valuation import Valuation, value
from keeper.policy.venue_rule import market_of
from keeper.risk.scenarios import restrict
from keeper.risk.stress import DarkChain, chain_dark, dark_stretch

DARK_S = 3_600.0
"""How long a dark chain stays dark."""


def stress(
    snapshot: Snapshot, params: Params, *, shocks: Sequence[UserShock] = ()
) -> tuple[ProfileStress, ...]:
    """Return every configured profile under every scenario, in the order of the parameters.

    Parameters
    ----------
    shocks
        All of one scenario of the user's own, each underlying once; what is not named stands still.

    Raises
    ------
    UnfitValueError
        A number of the snapshot is outside its domain, or a shock takes a price to nothing or names an
        underlying that the snapshot does not hold.
    """
    valuation = value(snapshot)
    market = market_of(snapshot)
    model = house_of(valuation, params.house)
    named = named_scenarios(valuation.columns.underlyings, params.house, shocks)
    accounts = members(snapshot.accounts, params.profiles)
    return tuple(
        _stressed(
            profile,
            held_by(
                accounts[profile.name], valuation=valuation, model=model, market=market, house=params.house
            ),
            named,
            valuation,
        )
        for profile in params.profiles
    )


def _stressed(profile: ProfileParams, held: Held, named: Named, valuation: Valuation) -> ProfileStress:
    ours = profile.role is not Role.WATCH
    covariance = covariance_of(held.underlyings, valuation, held.house)
    return ProfileStress(
        name=profile.name,
        role=profile.role,
        members=tuple(a.id for a in held.accounts),
        unpriced=tuple(a.id for a in held.accounts if a.id in valuation.unpriced),
        equity_usd=held.equity_usd,
        house_initial_usd=held.requirement.initial_usd,
        house_maintenance_usd=held.requirement.maintenance_usd,
        venue_equity_usd=math.fsum(to_float(a.venue.equity) for a in held.accounts),
        venue_maintenance_usd=math.fsum(to_float(a.venue.maintenance) for a in held.accounts),
        liquidatable=tuple(a.id for a in held.accounts if a.liquidatable),
        results=(*_named(held, named), *_grid(held), *_dark(held)) if held.underlyings else (),
        reverse=reverse_stresses(held, covariance) if held.underlyings and ours else (),
        covariance=covariance.source,
    )


def _named(held: Held, named: Named) -> tuple[StressResult, ...]:
    rows = zip(named.kinds, named.texts, named.proxied, strict=True)
    return results(held, named.table, [Label(kind=k, text=text, proxied=names) for k, text, names in rows])


def _grid(held: Held) -> tuple[StressResult, ...]:
    """Return the worst scenario of the grid, and where that lies in its dampened tail, the worst within.

    Nothing where no scenario loses.
    """
    grid = held.model.scenarios
    pnl_usd = held.sizes @ held.model.profits.grid
    within = np.flatnonzero(grid.weight == 1.0)
    rows = dict.fromkeys((int(within[pnl_usd[within].argmin()]), int(pnl_usd.argmin())))
    worst = [row for row in rows if pnl_usd[row] < 0.0]
    texts = [
        f"worst of the {len(within)} within the grid's range"
        if grid.weight[row] == 1.0
        else f"worst of the grid: in its tail, of which {100 * grid.weight[row]:.0f} % counts"
        for row in worst
    ]
    return results(
        held,
        restrict(grid, names=[grid.names[row] for row in worst]),
        [Label(kind=StressKind.GRID, text=text) for text in texts],
    )


def _dark(held: Held) -> tuple[StressResult, ...]:
    """Return the worst of the grid with each chain in the dark: its losses count, its gains do not.

    Nothing for a chain without which no scenario loses.
    """
    grid = held.model.scenarios
    by_chain = _by_chain(held.priced)
    pnl_usd = [
        np.asarray(held.rows[rows].sum(axis=0), dtype=np.float64) @ held.model.profits.grid
        for rows in by_chain.values()
    ]
    found = chain_dark(
        pnl_usd, [str(chain) for chain in by_chain], stretch=dark_stretch(horizon_s=DAY_S, dark_s=DARK_S)
    )
    return tuple(
        _darkened(held, chain, grid.names[chain.worst]) for chain in found if chain.requirement_usd > 0
    )


def _darkened(held: Held, chain: DarkChain, worst: str) -> StressResult:
    label = Label(
        kind=StressKind.DARK, text=f"nothing there can be closed or moved; worst of the grid: {worst}"
    )
    (result,) = results(held, restrict(held.model.scenarios, names=[worst]), [label])
    house = held.requirement
    core_usd = max(house.scan_usd, house.es_usd or 0.0, house.floor_usd or 0.0)
    initial_usd = house.initial_usd + max(0.0, chain.requirement_usd - core_usd)
    return replace(
        result,
        name=f"dark/{chain.chain}",
        pnl_usd=-chain.requirement_usd,
        equity_usd=held.equity_usd - chain.requirement_usd,
        house_initial_usd=initial_usd,
        house_maintenance_usd=held.house.maintenance_factor * initial_usd,
        addon_usd=chain.addon_usd,
    )


def _by_chain(accounts: Sequence[Account]) -> dict[int, list[int]]:
    rows: dict[int, list[int]] = {}
    for row, account in enumerate(accounts):
        rows.setdefault(account.chain_id, []).append(row)
    return rows
