"""Health as a table."""

from rich.console import Group, RenderableType
from rich.text import Text

from keeper.cli.tables import STEP_STYLES, plain_table
from keeper.cli.text import NOTHING, brief, duration, ratio, usd, utc
from keeper.model.plan import Step
from keeper.service.health import Health, LeaderHealth, Status

STYLES = {Status.OK: "bold green", Status.DEGRADED: "bold yellow", Status.HALTED: "bold red"}


def health_view(health: Health) -> RenderableType:
    """Return the verdict, its reasons, and what it rests on."""
    parts: list[RenderableType] = [
        Text.assemble(
            (health.status.value, STYLES[health.status]),
            f"   {health.mode}   last good cycle {_ago(health.last_cycle_age_s)}",
        )
    ]
    parts += [Text(f"  - {brief(reason)}", style=STYLES[health.status]) for reason in health.reasons]
    if health.halted_since_s is not None:
        parts.append(Text(f"  halted since {utc(health.halted_since_s)}"))
    if health.leader is not None:
        parts.append(_leader(health.leader))
    parts.append(_chains(health))
    if health.profiles:
        parts.append(_profiles(health))
    if health.outbox:
        counts = "  ".join(f"{state} {count:,}" for state, count in health.outbox.items())
        parts.append(Text.assemble(("outbox  ", "bold"), counts))
    return Group(*parts)


def _leader(leader: LeaderHealth) -> RenderableType:
    verb = "leads" if leader.leading else "led"
    waiting = f"   standing by: {', '.join(leader.standbys)}" if leader.standbys else ""
    return Text(f"  {leader.name} {verb} since {_ago(leader.age_s)}{waiting}")


def _ago(age_s: float | None) -> str:
    return "never" if age_s is None else f"{duration(age_s)} ago"


def _chains(health: Health) -> RenderableType:
    table = plain_table("Chains")
    for name in ("chain", "id", "head", "first seen", "lag, blocks", "endpoints"):
        table.add_column(name, justify="left" if name in ("chain", "endpoints") else "right", no_wrap=True)
    for chain in health.chains:
        endpoints = ", ".join(" ".join(str(v) for v in e.values()) for e in chain.endpoints)
        table.add_row(
            chain.name,
            str(chain.chain_id),
            usd(chain.head),
            _ago(chain.head_age_s),
            usd(chain.lag_blocks),
            endpoints or NOTHING,
        )
    return table


def _profiles(health: Health) -> RenderableType:
    table = plain_table("Profiles")
    table.add_column("profile")
    table.add_column("weakest account", justify="right")
    table.add_column("severest step")
    for profile in health.profiles:
        style = STEP_STYLES.get(Step(profile.step), "")
        table.add_row(profile.name, ratio(profile.health), Text(profile.step.replace("_", " "), style=style))
    return table
