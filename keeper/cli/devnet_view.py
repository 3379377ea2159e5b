"""The local chains as tables and documents, and the progress of setting them up."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from keeper.cli.output import errors
from keeper.cli.tables import heading, plain_table, verdict
from keeper.cli.text import usd, utc
from keeper.devnet.deployment import Deployment
from keeper.devnet.lifecycle import STEPS, Status
from keeper.devnet.packages import Progress as OnFetch
from keeper.devnet.world import OnStep


@contextmanager
def building(text: str) -> Generator[tuple[OnStep, OnFetch]]:
    """Show a bar on standard error while packages are fetched and chains are built."""
    console = errors()
    with Progress(
        TextColumn("{task.description}"), BarColumn(24), TimeElapsedColumn(),
        console=console, transient=True, disable=not console.is_terminal,
    ) as progress:  # fmt: skip
        task = progress.add_task(text, total=STEPS)

        def on_step(done_text: str, done: int, of: int) -> None:
            progress.update(task, description=done_text, completed=done, total=of)

        def on_fetch(package: str, done: int, of: int) -> None:
            progress.update(task, description=f"fetched {package}", completed=done, total=of)

        yield on_step, on_fetch


def deployment_document(deployment: Deployment) -> dict[str, Any]:
    """Return the `keeper.devnet-up/1` object."""
    return {
        "schema": "keeper.devnet-up/1",
        "config": str(deployment.config),
        "signer": deployment.signer,
        "chains": [
            {
                "name": chain.name,
                "chain_id": chain.chain_id,
                "url": chain.url,
                "protocol": chain.protocol,
                "contracts": dict(chain.contracts),
            }
            for chain in deployment.chains
        ],
        "actors": dict(deployment.actors),
    }


def deployment_view(deployment: Deployment) -> RenderableType:
    """Return where everything is."""
    parts: list[RenderableType] = []
    for chain in deployment.chains:
        title = f"{chain.name}  chain {chain.chain_id}  {chain.protocol}"
        table = plain_table(None)
        table.add_column("contract")
        table.add_column("address", no_wrap=True)
        for name, address in chain.contracts:
            table.add_row(name, address)
        parts += [heading(title, chain.url), table]
    actors = plain_table("Accounts, the same on both chains")
    actors.add_column("name")
    actors.add_column("address", no_wrap=True)
    for name, address in deployment.actors:
        actors.add_row(name, address)
    config = _shown(deployment.config)
    return Group(
        *parts,
        actors,
        Text.assemble(("configuration  ", "bold"), config),
        Text(f"try: keeper profile -c {config}\nend: keeper devnet down -d {_shown(deployment.folder)}"),
    )


def status_document(status: Status) -> dict[str, Any]:
    """Return the `keeper.devnet-status/1` object."""
    return {
        "schema": "keeper.devnet-status/1",
        "healthy": status.healthy,
        "config": str(status.deployment.config),
        "nodes": [
            {
                "name": node.name,
                "chain_id": node.chain_id,
                "url": node.url,
                "pid": node.pid,
                "running": node.running,
                "head": node.head,
                "head_time_s": node.head_time_s,
            }
            for node in status.nodes
        ],
    }


def status_view(status: Status) -> RenderableType:
    """Return how each chain is."""
    table = plain_table(None)
    for name in ("chain", "id", "node", "process", "head", "chain time", ""):
        table.add_column(name, justify="right" if name in ("id", "process", "head") else "left", no_wrap=True)
    for node in status.nodes:
        table.add_row(
            node.name,
            str(node.chain_id),
            node.url,
            str(node.pid),
            usd(node.head),
            "-" if node.head_time_s is None else utc(node.head_time_s),
            verdict(node.running and node.head is not None, "up", "down"),
        )
    return Group(table, Text.assemble(("configuration  ", "bold"), _shown(status.deployment.config)))


def _shown(path: Path) -> str:
    """Return a path relative to the working folder where that is shorter."""
    import os

    relative = os.path.relpath(path)
    return min(str(path), relative, key=len)
