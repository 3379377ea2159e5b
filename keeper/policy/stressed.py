"""One profile after one scenario: its net book revalued, its requirements asked again, venue by venue."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from keeper.model.book import Account
from keeper.model.margin import HouseRequirement
from keeper.model.params import HouseParams
from keeper.model.stress import Shock, StressKind, StressResult, Weakest
from keeper.policy.house import HouseModel, house_model, house_requirement
from keeper.policy.profile import account_rows, cash_of
from keeper.policy.rule import Factors, Rule
from keeper.policy.valuation import Valuation
from keeper.policy.venue_rule import Market, rule_of
from keeper.risk.inputs import Floats
from keeper.risk.revaluation import revalue
from keeper.risk.scenarios import Scenarios
from keeper.risk.shocked import shocked


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Held:
    """What the accounts of one profile hold, in the forms that a scenario is applied to."""

    accounts: tuple[Account, ...]
    """All members, A of them."""

    rules: Mapping[str, Rule]
    """Of the priced members whose venue's rule is known, by account."""

    unknown: tuple[str, ...]
    """Members with a requirement and no rule."""

    model: HouseModel
    house: HouseParams
    rows: csr_array
    """Sizes of the priced members over the model's N contracts, in the order of `priced`."""

    priced: tuple[Account, ...]
    sizes: Floats
    """Net sizes, shape (N,)."""

    equity_usd: float
    """Net value of the priced members."""

    underlyings: tuple[str, ...]
    """Those that the profile holds."""

    requirement: HouseRequirement
    """Today's; its gross scan is not computed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What a row of a table of scenarios is."""

    kind: StressKind
    text: str
    proxied: tuple[str, ...] = ()


def held_by(
    accounts: Sequence[Account],
    *,
    valuation: Valuation,
    model: HouseModel,
    market: Market,
    house: HouseParams,
) -> Held:
    """Return what `accounts` hold. `model` must cover every contract that they do."""
    priced = tuple(a for a in accounts if a.id not in valuation.unpriced)
    rules = {a.id: rule for a in priced if (rule := rule_of(a, market)) is not None}
    rows = account_rows(valuation, priced)
    over: csr_array = rows[:, model.rows]
    sizes = np.asarray(over.sum(axis=0), dtype=np.float64)
    used = sorted(set(model.columns.underlying[np.unique(over.indices)].tolist()))
    value_usd = rows @ valuation.unit.price_usd + cash_of(valuation, priced)
    return Held(
        accounts=tuple(accounts),
        rules=rules,
        unknown=tuple(a.id for a in accounts if a.venue.maintenance > 0 and a.id not in rules),
        model=model,
        house=house,
        rows=over,
        priced=priced,
        sizes=sizes,
        equity_usd=math.fsum(value_usd.tolist()),
        underlyings=tuple(model.columns.underlyings[u] for u in used),
        requirement=house_requirement(model, sizes, gross_scan_usd=0.0),
    )


def factors_of(table: Scenarios) -> Factors:
    """Return the S scenarios as factors on prices."""
    spot = {u: 1.0 + table.spot_move[:, i] for i, u in enumerate(table.underlyings)}
    perp = {u: spot[u] * (1.0 + table.perp_basis_move[:, i]) for i, u in enumerate(table.underlyings)}
    return Factors(n=len(table), spot=spot, perp=perp)


def results(held: Held, table: Scenarios, labels: Sequence[Label]) -> tuple[StressResult, ...]:
    """Return the profile after every scenario of a table, one label each.

    Profit is that of `revaluation.revalue`, weights applied. The state after the move, which requirements and
    rules are asked in, is the whole move.
    """
    pnl_usd = held.sizes @ revalue(held.model.columns, table)
    standings = _standings(held, factors_of(table))
    return tuple(
        _result(held, table, row, label, float(pnl_usd[row]), standings) for row, label in enumerate(labels)
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Standings:
    """The R members with a rule in S scenarios, shapes (R, S)."""

    accounts: tuple[str, ...]
    equity_usd: Floats
    maintenance_usd: Floats


def _standings(held: Held, factors: Factors) -> _Standings:
    shape = (len(held.rules), factors.n)
    equity_usd, maintenance_usd = np.empty(shape), np.empty(shape)
    for i, rule in enumerate(held.rules.values()):
        standing = rule(factors)
        equity_usd[i], maintenance_usd[i] = standing.equity_usd, standing.maintenance_usd
    return _Standings(accounts=tuple(held.rules), equity_usd=equity_usd, maintenance_usd=maintenance_usd)


def _result(
    held: Held, table: Scenarios, row: int, label: Label, pnl_usd: float, standings: _Standings
) -> StressResult:
    equity_usd, maintenance_usd = standings.equity_usd[:, row], standings.maintenance_usd[:, row]
    fails = (maintenance_usd > 0.0) & (equity_usd < maintenance_usd)
    failing = tuple(standings.accounts[i] for i in np.flatnonzero(fails))
    today = {a.id for a in held.accounts if a.liquidatable}
    weight = float(table.weight[row])
    full_usd = pnl_usd / weight if weight > 0.0 else 0.0
    after = requirement_after(held, table, row)
    return StressResult(
        name=table.names[row],
        kind=label.kind,
        what=label.text,
        shocks=tuple(_shock(table, row, u) for u in held.underlyings),
        proxied=tuple(u for u in held.underlyings if u in label.proxied),
        weight=weight,
        pnl_usd=pnl_usd,
        equity_usd=held.equity_usd + full_usd,
        house_initial_usd=after.initial_usd,
        house_maintenance_usd=after.maintenance_usd,
        venue_equity_usd=math.fsum(equity_usd.tolist()),
        venue_maintenance_usd=math.fsum(maintenance_usd.tolist()),
        liquidatable=failing,
        newly=tuple(a for a in failing if a not in today),
        unknown=held.unknown,
        weakest=_weakest(standings.accounts, equity_usd, maintenance_usd),
    )


def requirement_after(held: Held, table: Scenarios, row: int) -> HouseRequirement:
    """Return the house requirement of the same sizes, asked after scenario `row`."""
    moved = shocked(held.model.columns, table, row)
    return house_requirement(
        house_model(moved, np.arange(len(moved)), held.house), held.sizes, gross_scan_usd=0.0
    )


def _shock(table: Scenarios, row: int, underlying: str) -> Shock:
    u = table.underlyings.index(underlying)
    return Shock(
        underlying=underlying,
        spot=float(table.spot_move[row, u]),
        vol=float(table.vol_move[row, u]),
        perp_basis=float(table.perp_basis_move[row, u]),
        future_basis=float(table.future_basis_move[row, u]),
    )


def _weakest(accounts: Sequence[str], equity_usd: Floats, maintenance_usd: Floats) -> Weakest | None:
    asked = np.flatnonzero(maintenance_usd > 0.0)
    if not asked.size:
        return None
    health = equity_usd[asked] / maintenance_usd[asked]
    at = int(health.argmin())
    return Weakest(account=accounts[int(asked[at])], health=float(health[at]))
