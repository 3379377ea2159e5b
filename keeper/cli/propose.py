"""`keeper propose`."""

from pathlib import Path
from typing import Annotated

import typer

from keeper.cli.options import AsJson, Config
from keeper.model.errors import ConfigError


class OutExistsError(ConfigError):
    """The file to write is there already."""

    path: Path

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"--out {path}: there is a file of that name; give another, so that no owner loads an old one"
        )
        self.path = path


def command(
    safe: Annotated[str, typer.Option("--safe", metavar="ADDRESS", help="The Safe that holds the funds.")],
    config: Config = None,
    chain: Annotated[
        str | None,
        typer.Option(metavar="CHAIN", help="Chain of the Safe, by name or id. Default: the only one."),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND",
            help="Propose actions of this kind only: hedge, move_collateral, liquidate, settle, refresh. "
            "May be repeated.",
        ),
    ] = None,
    nonce: Annotated[
        int | None,
        typer.Option(min=0, help="Nonce of the Safe, where others are queued before. Default: its next."),
    ] = None,
    open_for: Annotated[
        float | None,
        typer.Option(
            "--open-for",
            metavar="HOURS",
            min=0.05,
            max=168.0,
            help="Let trades be executed for so long, within their limits. Default: the plan's 10 minutes.",
        ),
    ] = None,
    sign: Annotated[
        bool, typer.Option("--sign", help="Sign the hash with the configured signer, if it is an owner.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write a file for Safe{Wallet}'s Transaction Builder."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Build what of the plan is a Safe's to do as one transaction, for its owners to sign and execute.

    Proves each step by simulation from the Safe, holds it against allow-list
    and caps, and prints the hash that owners must see on their devices. Sends
    nothing, ever, and records nothing. Exit codes: 0 ok, also where nothing is
    to be proposed, 1 a step could not be proven or something could not be read,
    2 usage or configuration, 3 --sign while halted.

    Examples: keeper propose --safe 0xA77D...98b6 --chain optimism --out batch.json;
    keeper propose --safe 0xA77D...98b6 --chain 10 --only hedge --open-for 6 --json
    """
    from keeper.cli.output import console, emit, working
    from keeper.cli.propose_view import batch_of, kinds_of, propose_document, propose_view, safe_of
    from keeper.config.load import load
    from keeper.service.propose import Asked, propose

    asked = Asked(
        safe=safe_of(safe),
        chain=chain,
        only=kinds_of(only or ()),
        nonce=nonce,
        open_for_s=None if open_for is None else round(open_for * 3600),
        sign=sign,
    )
    settings = load(config)
    if out is not None and out.exists():
        raise OutExistsError(out)
    with working("reading the chains, deciding, simulating"):
        proposed = propose(settings, asked)
    if out is not None and proposed.proposal is not None:
        with out.open("x", encoding="utf-8") as file:
            file.write(batch_of(proposed))
    chains = settings.chain_names()
    if as_json:
        emit(propose_document(proposed, out))
    else:
        console().print(propose_view(proposed, chains=chains, out=out))
    left_undone = any(left.failed for left in proposed.draft.left_out)
    raise typer.Exit(1 if left_undone or proposed.snapshot.gaps else 0)
