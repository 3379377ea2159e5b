"""Stress as tables: one row a scenario, the requirement after it, and who would be liquidatable."""

from collections.abc import Iterator, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from keeper.cli.profile_view import gaps_view, taken_line
from keeper.cli.source import Taken
from keeper.cli.tables import heading, plain_table
from keeper.cli.text import NOTHING, brief, compact, count, percent, ratio, signed
from keeper.model.stress import ProfileStress, ReverseStress, StressKind, StressResult

NAMED = 3
"""Accounts that a row names; more are counted."""


def stress_view(
    source: Taken, profiles: Sequence[ProfileStress], *, everything: bool = False
) -> RenderableType:
    """Return every profile under every scenario."""
    parts: list[RenderableType] = [taken_line(source.snapshot, source.chains)]
    if source.cycle_id is not None:
        parts.append(Text(f"journaled cycle {source.cycle_id}", style="dim"))
    if source.snapshot.gaps:
        parts.append(gaps_view(source.snapshot.gaps, source.chains))
    for profile in profiles:
        parts += ["", *_profile(profile, source.chains, everything)]
    return Group(*parts)


def _profile(profile: ProfileStress, chains: Mapping[int, str], everything: bool) -> Iterator[RenderableType]:
    yield heading(
        f"Profile {profile.name}", f"{profile.role.value}, {count(len(profile.members), 'account')}"
    )
    if not profile.results and not profile.reverse:
        yield Text("holds nothing that moves", style="dim")
        return
    yield Text.assemble(
        ("net value ", "dim"), compact(profile.equity_usd),
        ("   house initial ", "dim"), compact(profile.house_initial_usd),
        ("   venue equity/maint. ", "dim"),
        f"{compact(profile.venue_equity_usd)}/{compact(profile.venue_maintenance_usd)}",
        ("   liquidatable ", "dim"), str(len(profile.liquidatable)),
    )  # fmt: skip
    shown = _shown(profile, everything)
    table = plain_table(None)
    table.add_column("scenario", no_wrap=True)
    table.add_column("spot / vol\nmove, %", no_wrap=True)
    for name in ("P&L\nUSD", "house\ninitial", "venue\nmaint."):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("liquidatable then", no_wrap=True)
    worst = min((r.pnl_usd for r in profile.results), default=0.0)
    for result in shown:
        table.add_row(
            _name(result, chains, profile, everything),
            Text("\n").join(_moves(result)),
            Text(compact(result.pnl_usd), style="bold red" if result.pnl_usd == worst < 0.0 else ""),
            compact(result.house_initial_usd),
            compact(result.venue_maintenance_usd),
            _liquidatable(result, len(profile.members), everything),
        )
    yield table
    yield from _reverse(profile)
    yield from _notes(profile, shown)


def _shown(profile: ProfileStress, everything: bool) -> list[StressResult]:
    """Return the rows of the table: of the basis scenarios the worst alone, unless all are asked for."""
    basis = [r for r in profile.results if r.kind is StressKind.BASIS]
    worst = min(basis, key=lambda r: r.pnl_usd, default=None)
    return [
        *(r for r in profile.results if everything or r.kind is not StressKind.BASIS or r is worst),
        *(r.result for r in profile.reverse if r.result is not None),
    ]


def _name(result: StressResult, chains: Mapping[int, str], profile: ProfileStress, everything: bool) -> Text:
    _, _, rest = result.name.partition("/")
    match result.kind:
        case StressKind.DAY:
            text = rest
        case StressKind.GRID:
            text = "worst of the grid" if result.weight == 1.0 else f"grid tail, {percent(result.weight, 0)}"
        case StressKind.BASIS:
            of = sum(r.kind is StressKind.BASIS for r in profile.results)
            text = "basis" if everything else f"basis, worst of {of}"
        case StressKind.SHOCK:
            text = "yours"
        case StressKind.DARK:
            text = f"{chains.get(int(rest), f'chain {rest}')} dark"
        case StressKind.REVERSE:
            text = "house buffer gone" if rest == "house" else "first venue fails"
    name = Text(text, style="bold" if result.kind in (StressKind.SHOCK, StressKind.REVERSE) else "")
    if result.proxied:
        name.append(f"\n{', '.join(result.proxied)} by proxy", style="dim")
    return name


def _moves(result: StressResult) -> Iterator[Text]:
    if result.kind is StressKind.BASIS:
        shock = result.shocks[0]
        yield Text(f"perp {_signed(shock.perp_basis)}, fwd {_signed(shock.future_basis)}")
        return
    for shock in result.shocks:
        vol = f" / {_signed(shock.vol, 0)}" if shock.vol else ""
        yield Text.assemble(f"{shock.underlying} {_signed(shock.spot)}", (vol, "dim"))


def _signed(fraction: float, places: int = 1) -> str:
    return signed(100.0 * fraction, places)


def _liquidatable(result: StressResult, of: int, everything: bool) -> Text:
    newly, before = result.newly, len(result.liquidatable) - len(result.newly)
    if not result.liquidatable:
        return Text("none", style="dim")
    if len(result.liquidatable) <= NAMED or everything:
        lines = [
            Text(brief(account), style="red" if account in newly else "dim")
            for account in result.liquidatable
        ]
        return Text("\n").join(lines)
    also = f", {before} now" if before else ""
    return Text(f"{len(result.liquidatable)} of {of}{also}", style="red" if newly else "dim")


def _reverse(profile: ProfileStress) -> Iterator[RenderableType]:
    for found in profile.reverse:
        buffer = "house buffer" if found.buffer == "house" else "least excess at a venue"
        yield Text.assemble((f"{buffer} {compact(found.buffer_usd)} USD: ", "dim"), _distance(found))


def _distance(found: ReverseStress) -> str:
    if found.result is None or found.distance_sd is None:
        return "nothing within 8 daily standard deviations consumes it"
    if found.distance_sd <= 0.0:
        return "gone already"
    moves = ", ".join(f"{s.underlying} {_signed(s.spot)} %" for s in found.result.shocks)
    return (
        f"gone at {moves}: {found.distance_sd:.2f} daily sd, {percent(found.breach_probability, 2)} in a day"
    )


def _notes(profile: ProfileStress, shown: Sequence[StressResult]) -> Iterator[RenderableType]:
    weakest = min((r.weakest for r in shown if r.weakest is not None), key=lambda w: w.health, default=None)
    if weakest is not None:
        yield Text.assemble(
            ("lowest health in any of them ", "dim"),
            ratio(weakest.health),
            ("  ", ""),
            brief(weakest.account),
        )
    if profile.reverse and profile.covariance == "assumed":
        yield Text("no price history: implied vols and a correlation of 0.8 are assumed", style="dim")
    if any(result.proxied for result in shown):
        yield Text("by proxy: the day holds no such coin, it moves as BTC did", style="dim")
    unknown = sorted({account for result in shown for account in result.unknown})
    if unknown:
        listed = ", ".join(brief(account) for account in unknown[:NAMED]) or NOTHING
        more = f" and {len(unknown) - NAMED} more" if len(unknown) > NAMED else ""
        yield Text(
            f"venue rule not known, so neither healthy nor failing: {listed}{more}", style="bold yellow"
        )
    if profile.unpriced:
        listed = ", ".join(brief(account) for account in profile.unpriced)
        yield Text(f"left out for want of a price: {listed}", style="bold red")
