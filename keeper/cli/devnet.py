"""`keeper devnet up`, `down`, `status`."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from keeper.cli.options import AsJson

app = typer.Typer(
    no_args_is_help=True,
    help="Two local chains with real protocol bytecode and a scripted market, and a configuration for them.",
)

Folder: TypeAlias = Annotated[
    Path, typer.Option("-d", "--dir", help="Where its files lie: configuration, keystore, logs.")
]
DEFAULT_FOLDER = Path(".keeper/devnet")


@app.command()
def up(
    folder: Folder = DEFAULT_FOLDER,
    as_json: AsJson = False,
    optimism_port: Annotated[int | None, typer.Option(help="Default: a free one.")] = None,
    arbitrum_port: Annotated[int | None, typer.Option(help="Default: a free one.")] = None,
) -> None:
    """Start both chains and set the market up; they outlive this terminal.

    Writes a configuration file that every other command accepts. Exit codes: 0 ok, 2 it cannot be had.

    Example: keeper devnet up; keeper profile -c .keeper/devnet/keeper.toml
    """
    from keeper.cli.devnet_view import building, deployment_document, deployment_view
    from keeper.cli.output import console, emit
    from keeper.devnet import lifecycle

    asked = {"optimism": optimism_port, "arbitrum": arbitrum_port}
    ports = {name: port for name, port in asked.items() if port is not None}
    with building("setting up two local chains") as (on_step, on_fetch):
        deployment = lifecycle.up(folder, ports=ports, on_step=on_step, on_fetch=on_fetch)
    emit(deployment_document(deployment)) if as_json else console().print(deployment_view(deployment))


@app.command()
def down(folder: Folder = DEFAULT_FOLDER, as_json: AsJson = False) -> None:
    """End both chains. Configuration, store and journal stay.

    Exit codes: 0 ok, 2 none is up in that folder.
    """
    from keeper.cli.output import console, emit
    from keeper.devnet import lifecycle

    ended = lifecycle.down(folder)
    if as_json:
        emit({"schema": "keeper.devnet-down/1", "ended": list(ended)})
    else:
        console().print(f"ended: {', '.join(ended) or 'nothing ran any more'}")


@app.command()
def status(folder: Folder = DEFAULT_FOLDER, as_json: AsJson = False) -> None:
    """Tell whether both chains run and answer.

    Exit codes: 0 ok, 1 a chain does not answer, 2 none is up in that folder.
    """
    from keeper.cli.devnet_view import status_document, status_view
    from keeper.cli.output import console, emit
    from keeper.devnet import lifecycle

    found = lifecycle.status(folder)
    emit(status_document(found)) if as_json else console().print(status_view(found))
    raise typer.Exit(0 if found.healthy else 1)


@app.command()
def move(
    folder: Folder = DEFAULT_FOLDER,
    as_json: AsJson = False,
    eth: Annotated[float | None, typer.Option(min=1.0, help="New price of ETH, USD.")] = None,
    btc: Annotated[float | None, typer.Option(min=1.0, help="New price of BTC, USD.")] = None,
) -> None:
    """Move the market on both chains, oracles and AMM; without prices, the drop of the demo.

    Exit codes: 0 ok, 2 none is up in that folder.

    Examples: keeper devnet move; keeper devnet move --eth 1950
    """
    from keeper.cli.output import console, emit, working
    from keeper.cli.text import utc
    from keeper.devnet import lifecycle
    from keeper.devnet.scenario import DROP
    from keeper.model.units import floor_to_wad, to_float

    asked = {name: floor_to_wad(price) for name, price in (("ETH", eth), ("BTC", btc)) if price is not None}
    prices = asked or DROP
    with working("walking both markets"):
        time_s = lifecycle.move(folder, prices)
    told = {name: to_float(price) for name, price in prices.items()}
    if as_json:
        emit({"schema": "keeper.devnet-move/1", "prices_usd": told, "chain_time_s": time_s})
    else:
        moved = ", ".join(f"{name} {price:,.2f} USD" for name, price in told.items())
        console().print(f"{moved} at {utc(time_s)}")
