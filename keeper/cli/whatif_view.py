"""Before and after, side by side: as tables, and as `keeper.whatif/1`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from keeper.cli.names import label
from keeper.cli.profile_view import gaps_view, taken_line
from keeper.cli.source import Taken, stamp
from keeper.cli.tables import boxed, heading, health_style, plain_table
from keeper.cli.text import NOTHING, brief, count, duration, percent, ratio, signed, size, usd
from keeper.model.canonical import plain
from keeper.model.margin import AccountRisk, Exposure, MarginProfile, Transfer
from keeper.model.params import LadderParams
from keeper.policy.whatif import WhatIf


def whatif_document(source: Taken, found: WhatIf) -> dict[str, Any]:
    """Return the `keeper.whatif/1` object: every profile twice, and the accounts that changed."""
    return {
        "schema": "keeper.whatif/1",
        **stamp(source),
        "trades": plain(found.trades),
        "moves": plain(found.moves),
        "wallet_usd": found.wallet_usd,
        "notes": list(found.notes),
        "accounts": [
            {
                "id": i,
                "before": _account_document(found.before, i),
                "after": _account_document(found.after, i),
            }
            for i in found.touched
        ],
        "profiles": [
            {"name": before.name, "before": _profile_document(before), "after": _profile_document(after)}
            for before, after in zip(found.before, found.after, strict=True)
        ],
    }


def whatif_view(source: Taken, found: WhatIf) -> RenderableType:
    """Return what was asked, what stands in its way, and each profile that changed."""
    snapshot = source.snapshot
    parts: list[RenderableType] = [taken_line(snapshot, source.chains)]
    if source.cycle_id is not None:
        parts.append(Text(f"journaled cycle {source.cycle_id}", style="dim"))
    if snapshot.gaps:
        parts.append(gaps_view(snapshot.gaps, source.chains))
    named = {i.id: label(i) for i in snapshot.instruments}
    parts += ["", *_asked(found, named)]
    changed = [
        (before, after) for before, after in zip(found.before, found.after, strict=True) if before != after
    ]
    for before, after in changed:
        parts += ["", *_profile(before, after, found.touched, source.params.ladder)]
    if not changed:
        parts.append(Text("no profile changes", style="dim"))
    return Group(*parts)


def _asked(found: WhatIf, named: Mapping[str, str]) -> Iterator[RenderableType]:
    for trade in found.trades:
        side = "buy" if trade.size_base > 0 else "sell"
        text = Text.assemble(
            (f"{side} {size(abs(trade.size_base)).lstrip('+')} {named[trade.instrument]}", "bold"),
            f" at {usd(trade.price_usd, 2)} USD in {brief(trade.account)}",
        )
        yield text
        if trade.premium_usd:
            verb = "pays" if trade.premium_usd > 0 else "receives"
            yield Text(f"   the wallet {verb} {usd(abs(trade.premium_usd), 2)} USD of premium", style="dim")
        if trade.crossing_usd is not None:
            yield Text(
                f"   not counted: crossing the book would cost {usd(trade.crossing_usd, 2)} USD", style="dim"
            )
    for move in found.moves:
        to = "into" if move.amount >= 0 else "out of"
        yield Text.assemble(
            (f"move {usd(abs(move.amount), 2)} {move.asset} {to} {brief(move.account)}", "bold"),
            (f"; {usd(abs(move.value_usd), 2)} USD", "dim"),
        )
    if found.wallet_usd:
        verb = "pay" if found.wallet_usd > 0 else "receive"
        yield Text(
            f"   wallets, which no profile counts, {verb} {usd(abs(found.wallet_usd), 2)} USD in all",
            style="dim",
        )
    for note in found.notes:
        yield Text(brief(note), style="bold yellow")


def _profile(
    before: MarginProfile, after: MarginProfile, touched: Sequence[str], ladder: LadderParams
) -> Iterator[RenderableType]:
    yield heading(f"Profile {before.name}", f"{before.role.value}, {count(len(after.members), 'account')}")
    table = boxed(None)
    table.add_column("", no_wrap=True, ratio=4)
    for name in ("before", "after", "change"):
        table.add_column(name, justify="right", ratio=3)
    for section, rows in (
        ("1  venue requirement, USD", _venue(before, after)),
        ("2  house risk, USD", _house(before, after)),
        ("3  transfer feasibility", _transfer(before, after)),
        ("net exposure", tuple(_exposures(before.exposures, after.exposures))),
    ):
        if not rows:
            continue
        table.add_row(Text(section, style="bold"))
        for name, *cells in rows:
            table.add_row(f"   {name}", *cells)
    yield table
    mine = {a.id for p in (before, after) for a in p.accounts}
    if any(i in mine for i in touched):
        yield _accounts(before, after, [i for i in touched if i in mine], ladder)


def _venue(before: MarginProfile, after: MarginProfile) -> Iterator[tuple[str, ...]]:
    was, now = before.venue_sum, after.venue_sum
    yield _row("equity", was.equity_usd, now.equity_usd)
    yield _row("initial", was.initial_usd, now.initial_usd)
    yield _row("maintenance", was.maintenance_usd, now.maintenance_usd)
    yield _row("excess", was.equity_usd - was.maintenance_usd, now.equity_usd - now.maintenance_usd)


def _house(before: MarginProfile, after: MarginProfile) -> Iterator[tuple[str, ...]]:
    was, now = before.house, after.house
    yield _row("net value", before.equity_usd, after.equity_usd)
    yield _row("gross scan", was.gross_scan_usd, now.gross_scan_usd)
    yield _row("netted scan", was.scan_usd, now.scan_usd)
    yield _row("netting benefit", before.netting_benefit_usd, after.netting_benefit_usd)
    if was.es_usd is not None or now.es_usd is not None:
        yield _row("ES 99 %, 1 day", was.es_usd, now.es_usd)
    add_on = [h.basis_usd + h.liquidity_usd + h.concentration_usd for h in (was, now)]
    yield _row("add-ons", *add_on)
    yield _row("initial", was.initial_usd, now.initial_usd)
    yield _row("maintenance", was.maintenance_usd, now.maintenance_usd)
    yield "worst", was.worst_scenario or NOTHING, now.worst_scenario or NOTHING, ""


def _transfer(before: MarginProfile, after: MarginProfile) -> Iterator[tuple[str, ...]]:
    was, now = _nearest(before.transfer), _nearest(after.transfer)
    yield "reached in time", _reached(before.transfer), _reached(after.transfer), ""
    yield "nearest line", *(NOTHING if t is None else brief(t.account) for t in (was, now)), ""
    yield "   away", *(NOTHING if t is None else percent(t.distance) for t in (was, now)), ""
    yield (
        "   touched within",
        *(NOTHING if t is None else duration(t.time_to_barrier_s) for t in (was, now)),
        "",
    )


def _exposures(before: Sequence[Exposure], after: Sequence[Exposure]) -> Iterator[tuple[str, ...]]:
    was, now = ({e.underlying: e for e in exposures} for exposures in (before, after))
    for name in sorted(name for name in was.keys() | now.keys() if was.get(name) != now.get(name)):
        for greek, scale, places in (
            ("delta_base", 1.0, 3), ("gamma_base_per_usd", 1.0, 5), ("vega_usd_per_vol", 0.01, 1),
            ("theta_usd_per_day", 1.0, 1),
        ):  # fmt: skip
            old, new = (scale * getattr(side[name], greek) if name in side else 0.0 for side in (was, now))
            unit = {"delta": "units", "gamma": "units/USD", "vega": "USD/vol pt", "theta": "USD/day"}
            word = greek.partition("_")[0]
            yield (
                f"{name} {word}, {unit[word]}", signed(old, places), signed(new, places),
                signed(new - old, places) if new != old else "",
            )  # fmt: skip


def _accounts(
    before: MarginProfile, after: MarginProfile, touched: Sequence[str], ladder: LadderParams
) -> RenderableType:
    was, now = ({a.id: a for a in p.accounts} for p in (before, after))
    lines = [{t.account: t for t in p.transfer} for p in (before, after)]
    table = plain_table("Accounts that change")
    table.add_column("account", no_wrap=True)
    for name in ("equity\nUSD", "maintenance\nUSD", "health", "line away"):
        table.add_column(name, justify="right", no_wrap=True)
    for i in touched:
        table.add_row(
            brief(i),
            _arrow([usd(a.equity_usd) if a else NOTHING for a in (was.get(i), now.get(i))]),
            _arrow([usd(a.maintenance_usd) if a else NOTHING for a in (was.get(i), now.get(i))]),
            Text(" -> ").join([_health(was.get(i), ladder), _health(now.get(i), ladder)]),
            _arrow([percent(side[i].distance) if i in side else NOTHING for side in lines]),
        )
    return table


def _health(account: AccountRisk | None, ladder: LadderParams) -> Text:
    if account is None:
        return Text("new", style="dim")
    style = health_style(account.health, liquidatable=account.liquidatable, ladder=ladder)
    return Text(ratio(account.health) + (" liquidatable" if account.liquidatable else ""), style=style)


def _arrow(cells: Sequence[str]) -> str:
    return cells[0] if cells[0] == cells[1] else " -> ".join(cells)


def _row(name: str, was: float | None, now: float | None) -> tuple[str, ...]:
    changed = was is not None and now is not None and abs(now - was) >= 0.5
    return (
        name,
        usd(was),
        usd(now),
        signed(now - was, 0) if changed and now is not None and was is not None else "",
    )


def _nearest(transfers: Sequence[Transfer]) -> Transfer | None:
    barred = [t for t in transfers if t.feasible is not None]
    return min(barred, key=lambda t: (t.time_to_barrier_s or 0.0, t.account), default=None)


def _reached(transfers: Sequence[Transfer]) -> str:
    barred = [t for t in transfers if t.feasible is not None]
    return f"{sum(bool(t.feasible) for t in barred)} of {len(barred)}"


def _account_document(profiles: Sequence[MarginProfile], account: str) -> dict[str, Any] | None:
    found = next((a for p in profiles for a in p.accounts if a.id == account), None)
    if found is None:
        return None
    fields = ("equity_usd", "initial_usd", "maintenance_usd", "health", "liquidatable", "value_usd")
    return {name: getattr(found, name) for name in fields}


def _profile_document(profile: MarginProfile) -> dict[str, Any]:
    fields = (
        "equity_usd",
        "venue_sum",
        "house",
        "netting_benefit_usd",
        "exposures",
        "transfer",
        "opportunities",
    )
    return {name: plain(getattr(profile, name)) for name in fields}
