"""The margin profile as tables: gaps first, then the three figures, exposures, accounts by health."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from keeper.cli.netting_view import netting_view
from keeper.cli.tables import boxed, heading, health_style, plain_table
from keeper.cli.text import (
    NOTHING,
    brief,
    compact,
    count,
    day,
    duration,
    percent,
    ratio,
    signed,
    size,
    usd,
    utc,
)
from keeper.model.instrument import Instrument, Option
from keeper.model.margin import AccountRisk, HouseRequirement, MarginProfile, Transfer, VenueSum
from keeper.model.params import LadderParams
from keeper.model.snapshot import Gap, Snapshot
from keeper.model.units import to_float

SHOWN_ACCOUNTS = 20
"""Accounts that a table lists, the weakest first, unless all are asked for."""


def profiles_view(
    snapshot: Snapshot,
    profiles: Sequence[MarginProfile],
    *,
    chains: Mapping[int, str],
    ladder: LadderParams,
    rows: int | None = SHOWN_ACCOUNTS,
) -> RenderableType:
    """Return all profiles of a snapshot.

    `chains` names the chain ids; `rows` is how many accounts of each profile are listed, None for all.
    """
    described = {instrument.id: instrument for instrument in snapshot.instruments}
    parts: list[RenderableType] = [taken_line(snapshot, chains)]
    if snapshot.gaps:
        parts.append(gaps_view(snapshot.gaps, chains))
    for profile in profiles:
        parts += ["", profile_view(profile, described, ladder=ladder, rows=rows)]
    return Group(*parts)


def profile_view(
    profile: MarginProfile,
    described: Mapping[str, Instrument],
    *,
    ladder: LadderParams,
    rows: int | None = SHOWN_ACCOUNTS,
) -> RenderableType:
    """Return one profile. `described` holds the instruments by id."""
    parts: list[RenderableType] = [
        heading(f"Profile {profile.name}", f"{profile.role.value}, {count(len(profile.members), 'account')}"),
        three_figures(profile),
    ]
    if profile.unpriced:
        listed = ", ".join(brief(account) for account in profile.unpriced)
        parts.append(Text(f"left out of the house risk for want of a price: {listed}", style="bold red"))
    if profile.exposures:
        parts.append(_exposures(profile))
    if profile.accounts:
        parts.append(_accounts(profile, described, ladder, rows))
    parts += netting_view(profile)
    return Group(*parts)


def gaps_view(gaps: Sequence[Gap], chains: Mapping[int, str]) -> RenderableType:
    """Return what could not be read, prominently: a gap is not a zero."""
    table = boxed(f"{count(len(gaps), 'gap')}: not read, not assumed", style="bold red")
    for name in ("missing", "which", "chain", "why"):
        table.add_column(name, overflow="fold")
    for gap in gaps:
        chain = NOTHING if gap.chain_id is None else chains.get(gap.chain_id, str(gap.chain_id))
        table.add_row(gap.what, brief(gap.key), chain, brief(gap.reason))
    return table


def three_figures(profile: MarginProfile) -> RenderableType:
    """Return the three figures side by side; none of them replaces another."""
    table = boxed(None)
    for title, share in (
        ("1  venue requirement, USD", 4),
        ("2  house risk, USD", 5),
        ("3  transfer feasibility", 5),
    ):
        table.add_column(title, ratio=share)
    table.add_row(_venue(profile.venue_sum), _house(profile), _transfer(profile.transfer))
    return table


def taken_line(snapshot: Snapshot, chains: Mapping[int, str]) -> RenderableType:
    """Return when and at which blocks a snapshot was taken."""
    blocks = "  ".join(f"{chains.get(b.chain_id, str(b.chain_id))} #{b.number:,}" for b in snapshot.blocks)
    when = utc(snapshot.taken_at_s) if snapshot.blocks else "no chain answered"
    return Text.assemble(("chain time ", "dim"), when, ("   blocks ", "dim"), blocks or NOTHING,
                         ("   skew ", "dim"), duration(snapshot.skew_s))  # fmt: skip


def _pairs(rows: Iterable[tuple[str, str]], style: str = "") -> Table:
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(justify="right", overflow="fold", style=style)
    for row in rows:
        table.add_row(*row)
    return table


def _venue(venue: VenueSum) -> RenderableType:
    health = venue.equity_usd / venue.maintenance_usd if venue.maintenance_usd > 0 else None
    return _pairs(
        (
            ("equity", usd(venue.equity_usd)),
            ("initial", usd(venue.initial_usd)),
            ("maintenance", usd(venue.maintenance_usd)),
            ("excess", usd(venue.equity_usd - venue.maintenance_usd)),
            ("health", ratio(health)),
        )
    )


def _house(profile: MarginProfile) -> RenderableType:
    house: HouseRequirement = profile.house
    share = profile.netting_benefit_usd / house.gross_scan_usd if house.gross_scan_usd > 0 else None
    return _pairs(
        (
            ("net value", usd(profile.equity_usd)),
            ("gross scan", usd(house.gross_scan_usd)),
            ("netted scan", usd(house.scan_usd)),
            ("netting", f"{usd(profile.netting_benefit_usd)} ({percent(share, 0)})"),
            *_tail(house),
            ("basis", usd(house.basis_usd)),
            ("liquidity", usd(house.liquidity_usd)),
            *((("concentration", usd(house.concentration_usd)),) if house.concentration_usd else ()),
            ("initial", usd(house.initial_usd)),
            ("maintenance", usd(house.maintenance_usd)),
            ("worst", house.worst_scenario or NOTHING),
        )
    )


def _tail(house: HouseRequirement) -> Iterator[tuple[str, str]]:
    """Yield what rests on the price history, where there is one."""
    if house.es_usd is not None:
        yield "VaR, 1 day", usd(house.var_usd)
        yield "ES", usd(house.es_usd)
        yield "floor", usd(house.floor_usd)
    if house.history_ends_s is not None:
        yield "closes to", day(house.history_ends_s - 1)
    if house.uncovered:
        yield "no closes of", ", ".join(house.uncovered)


def _transfer(transfers: Sequence[Transfer]) -> RenderableType:
    barred = [t for t in transfers if t.feasible is not None]
    late = [t for t in barred if not t.feasible]
    rows = [("reached in time", f"{len(barred) - len(late)} of {len(barred)}")]
    nearest = min(barred, key=lambda t: (t.time_to_barrier_s or 0.0, t.account), default=None)
    if nearest is not None:
        rows += [
            ("nearest line", brief(nearest.account)),
            ("  at, USD", f"{usd(nearest.liquidation_price_usd)} ({percent(nearest.distance)})"),
            ("  touched within", duration(nearest.time_to_barrier_s)),
            ("  transfer takes", duration(nearest.latency_s)),
            ("  touched first", percent(nearest.hit_probability)),
        ]
    return _pairs(rows, style="yellow" if late else "")


def _exposures(profile: MarginProfile) -> RenderableType:
    table = plain_table("Exposure, net and gross over accounts")
    for name in ("", "spot\nUSD", "net delta\nunits", "gross delta\nunits", "gamma\nunits/USD",
                 "vega\nUSD/vol pt", "theta\nUSD/day"):  # fmt: skip
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    for exposure in profile.exposures:
        table.add_row(
            Text(exposure.underlying, style="bold"),
            usd(exposure.spot_usd, 2),
            Text(signed(exposure.delta_base), style="bold"),
            usd(exposure.gross_delta_base, 3),
            signed(exposure.gamma_base_per_usd, 5),
            signed(exposure.vega_usd_per_vol / 100.0, 1),
            signed(exposure.theta_usd_per_day, 1),
        )
    return table


def _accounts(
    profile: MarginProfile, described: Mapping[str, Instrument], ladder: LadderParams, rows: int | None
) -> RenderableType:
    lines = {t.account: t for t in profile.transfer}
    ordered = sorted(
        profile.accounts,
        key=lambda a: (not a.liquidatable, float("inf") if a.health is None else a.health, a.id),
    )
    shown = ordered[:rows]
    table = plain_table("Accounts, weakest first")
    table.add_column("account", no_wrap=True)
    for name in ("equity\nUSD", "initial\nUSD", "maint.\nUSD", "health", "line at\nUSD", "away"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("holds", no_wrap=True)
    for account in shown:
        style = health_style(account.health, liquidatable=account.liquidatable, ladder=ladder)
        line = lines.get(account.id)
        table.add_row(
            brief(account.id),
            compact(account.equity_usd),
            compact(account.initial_usd),
            compact(account.maintenance_usd),
            Text(ratio(account.health), style=style),
            usd(line.liquidation_price_usd if line else None),
            percent(line.distance if line else None),
            Text("\n").join(_holdings(account, described)),
        )
    if len(shown) < len(ordered):
        table.caption = f"and {len(ordered) - len(shown)} more (--all lists them)"
    return table


def _holdings(account: AccountRisk, described: Mapping[str, Instrument]) -> Iterator[Text]:
    if account.liquidatable:
        yield Text("liquidatable", style="bold red")
    for position in account.positions:
        named = _named(described.get(position.instrument), position.kind)
        yield Text(f"{size(position.size_base)} {position.underlying} {named}")


def _named(instrument: Instrument | None, kind: str) -> str:
    """Return `1700P 26Dec24` for an option, the kind for anything else."""
    if not isinstance(instrument, Option):
        return kind
    letter = instrument.right.value[0].upper()
    return f"{to_float(instrument.strike):g}{letter} {day(instrument.expiry_s)}"
