"""A proposal as tables with the hash to compare, as `keeper.propose/1`, and as a Transaction Builder file."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from keeper.cli.documents import plan_document
from keeper.cli.names import BadArgumentError
from keeper.cli.plan_view import what
from keeper.cli.profile_view import gaps_view
from keeper.cli.tables import boxed, heading, plain_table
from keeper.cli.text import brief, count, duration, utc
from keeper.config.values import EvmAddress
from keeper.execution.safe.builder_file import batch_file
from keeper.execution.safe.draft import LeftOut, Step
from keeper.execution.safe.proposal import Proposal, parts_of
from keeper.execution.safe.transaction import Operation, typed_data
from keeper.model.canonical import plain
from keeper.model.intent import Outcome, TxState
from keeper.model.plan import ActionKind, action_id
from keeper.model.promise import Checked, Proof, bounds
from keeper.model.reads import Address
from keeper.service.propose import Proposed

KINDS: Final = tuple(kind.value for kind in ActionKind if kind is not ActionKind.MARGIN_CALL)
"""Of actions that take a transaction."""


def safe_of(text: str) -> Address:
    """Return the address that `--safe` means, in EIP-55. Raises `BadArgumentError`."""
    try:
        return TypeAdapter[Address](EvmAddress).validate_python(text)
    except ValidationError as problem:
        raise BadArgumentError("--safe", text, problem.errors()[0]["msg"].removeprefix("expected ")) from None


def kinds_of(texts: Sequence[str]) -> frozenset[str]:
    """Return the kinds that `--only` names. Raises `BadArgumentError`."""
    for text in texts:
        if text not in KINDS:
            raise BadArgumentError("--only", text, f"one of {', '.join(KINDS)}")
    return frozenset(texts)


def batch_of(proposed: Proposed, *, now_s: float | None = None) -> str:
    """Return the text of the Transaction Builder's file for a proposal."""
    assert proposed.proposal is not None
    steps, safe = proposed.proposal.steps, proposed.safe
    document = batch_file(
        parts_of([step.tx for step in steps]),
        safe=safe.address,
        chain_id=safe.chain_id,
        created_at_ms=int((time.time() if now_s is None else now_s) * 1000),
        name=f"keeper, plan {proposed.plan.id[:16]}",
        description=f"{'; '.join(_described(steps))}. Expected at nonce {proposed.proposal.tx.nonce}: "
        f"safeTxHash {proposed.proposal.hashes.safe_tx}",
    )
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def propose_document(proposed: Proposed, out: Path | None) -> dict[str, Any]:
    """Return the `keeper.propose/1` object.

    | key | what |
    | --- | --- |
    | plan_id, taken_at_s, snapshot_digest, params_digest, gaps | as in plan and profile |
    | halted | why the keeper itself sends nothing just now; null where it may |
    | safe | address, chain_id, version, nonce, threshold, owners, singleton, guard (null: none) |
    | proposal | null where nothing is proposed, else the keys below |
    | .hash, .domain_hash, .message_hash | safeTxHash and its two parts, 0x-prefixed |
    | .nonce, .threshold, .block | of the Safe; the latest block when it was built |
    | .multi_send | who carries out several steps as one; null for a single step |
    | .gas | of all steps; null where one is unknown |
    | .expires_at_s | chain time after which a trade in it reverts; null where there is none |
    | .typed_data | the SafeTx as EIP-712 typed data: what `hash` is the hash of |
    | .signatures | [{signer, signature}], r, s and v (27 or 28) together; empty without `--sign` |
    | steps | in order: action_id, kind, subject, what, call, selector; tx, simulated, promise as in a plan |
    | left_out | action_id, kind, subject, reason, failed (the Safe's to do, and cannot be done) |
    | out | the file that was written; null for none |
    """
    plan, safe = proposed.plan, proposed.safe
    return {
        "schema": "keeper.propose/1",
        "plan_id": plan.id,
        "taken_at_s": proposed.snapshot.taken_at_s,
        "snapshot_digest": plan.snapshot_digest,
        "params_digest": plan.params_digest,
        "gaps": plain(proposed.snapshot.gaps),
        "halted": proposed.halted or None,
        "safe": plain(safe),
        "proposal": None if proposed.proposal is None else _proposal_document(proposed, proposed.proposal),
        "steps": list(_steps_document(proposed)),
        "left_out": [
            {
                "action_id": action_id(left.action),
                "kind": left.action.kind.value,
                "subject": left.action.subject,
                "reason": left.reason,
                "failed": left.failed,
            }
            for left in proposed.draft.left_out
        ],
        "out": str(out) if out is not None and proposed.proposal is not None else None,
    }


def _proposal_document(proposed: Proposed, proposal: Proposal) -> dict[str, Any]:
    safe = proposed.safe
    return {
        "hash": proposal.hashes.safe_tx,
        "domain_hash": proposal.hashes.domain,
        "message_hash": proposal.hashes.message,
        "nonce": proposal.tx.nonce,
        "threshold": safe.threshold,
        "multi_send": proposal.multi_send,
        "gas": proposal.gas,
        "expires_at_s": proposal.expires_at_s,
        "block": plain(proposal.head),
        "typed_data": typed_data(proposal.tx, safe=safe.address, chain_id=safe.chain_id),
        "signatures": [plain(signature) for signature in proposed.signatures],
    }


def _steps_document(proposed: Proposed) -> Iterator[dict[str, Any]]:
    steps = proposed.draft.steps
    outcomes = [_outcome(step) for step in steps]
    actions = plan_document(proposed.plan, outcomes, live=False)["actions"]
    shown = {action["id"]: iter(action["txs"]) for action in actions}
    for step in steps:
        tx = next(shown[step.action_id])
        yield {
            "action_id": step.action_id,
            "kind": step.action.kind.value,
            "subject": step.action.subject,
            "what": what(step.action),
            "call": step.call,
            "selector": step.tx.data[:10],
            **{name: tx[name] for name in ("tx", "simulated", "promise")},
        }


def _outcome(step: Step) -> Outcome:
    return Outcome(
        intent_id="",
        action_id=step.action_id,
        chain_id=step.action.chain_id,
        state=TxState.SIMULATED,
        success=None,
        reason="",
        simulation=step.simulation,
        to=step.tx.to,
        data=step.tx.data,
        value=step.tx.value,
    )


def propose_view(proposed: Proposed, *, chains: Mapping[int, str], out: Path | None) -> RenderableType:
    """Return the steps, what was left out, and what owners are to compare before they sign."""
    safe, draft = proposed.safe, proposed.draft
    chain = chains.get(safe.chain_id, str(safe.chain_id))
    title = f"version {safe.version} on {chain}, {safe.threshold} of {count(len(safe.owners), 'owner')}"
    parts: list[RenderableType] = [heading(f"Safe {safe.address}", title)]
    if proposed.snapshot.gaps:
        parts.append(gaps_view(proposed.snapshot.gaps, chains))
    if proposed.halted:
        parts.append(Text(f"The keeper is {proposed.halted}. This is built all the same", style="bold red"))
    if safe.guard is not None:
        parts.append(Text(f"A guard, {safe.guard}, may refuse any transaction of it", style="yellow"))
    if proposed.proposal is None:
        parts.append(Text("nothing to propose\n", style="green"))
    else:
        parts.append(_steps(draft.steps))
    if draft.left_out:
        parts.append(_left_out(draft.left_out, chains))
    if proposed.proposal is not None:
        parts += [heading("What owners sign"), _to_sign(proposed, proposed.proposal, out)]
    return Group(*parts)


def _steps(steps: Sequence[Step]) -> RenderableType:
    table = boxed(None)
    table.add_column("#", justify="right")
    table.add_column("what, why, and what it changes", ratio=1)
    table.add_column("call", no_wrap=True)
    table.add_column("gas", justify="right", no_wrap=True)
    told: set[str] = set()
    for number, step in enumerate(steps, start=1):
        action, gas = step.action, step.simulation.gas
        first = step.action_id not in told
        told.add(step.action_id)
        about = Text.assemble(
            (f"{action.kind.value.replace('_', ' ')} ", "bold"), (brief(action.subject), "bold")
        )
        if first:
            about.append(f"\n{what(action)}\n").append(brief(action.reason.text), style="dim")
            about.append("".join(f"\n{line}" for line in _effects(step.simulation.promise)), style="green")
        else:
            about.append(" (another step of it)", style="dim")
        call = f"{step.call}\n{step.tx.to}\n{step.tx.data[:10]}, value {int(step.tx.value)} wei"
        table.add_row(str(number), about, call, "unknown" if gas is None else f"{gas:,}")
    return table


def _effects(proof: Proof | None) -> Iterator[str]:
    """Yield what a simulation changes, as was promised; what stays as it is is left out."""
    if proof is None:
        return
    if proof.checked is Checked.NOT:
        yield "what it changes could not be checked: the node does not show it"
    for line in proof.lines:
        if line.found is None:
            yield f"{brief(line.name)}: not read, {bounds(line)} promised"
        elif line.found:
            amount = f"{line.found / 10**line.decimals:+,.6f}".rstrip("0").rstrip(".")
            yield f"{brief(line.name)}: {amount} {line.unit}".rstrip()


def _left_out(left_out: Sequence[LeftOut], chains: Mapping[int, str]) -> RenderableType:
    table = plain_table("Left out")
    for name in ("action", "subject", "on"):
        table.add_column(name, no_wrap=True)
    table.add_column("why", ratio=1)
    for left in left_out:
        action = left.action
        table.add_row(
            action.kind.value.replace("_", " "),
            brief(action.subject),
            chains.get(action.chain_id, str(action.chain_id)),
            Text(brief(left.reason), style="bold red" if left.failed else "dim"),
        )
    return table


def _to_sign(proposed: Proposed, proposal: Proposal, out: Path | None) -> RenderableType:
    tx, safe = proposal.tx, proposed.safe
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column(overflow="fold")
    grid.add_row("safeTxHash", Text(proposal.hashes.safe_tx, style="bold"))
    grid.add_row("domain hash", proposal.hashes.domain)
    grid.add_row("message hash", proposal.hashes.message)
    grid.add_row("nonce", str(tx.nonce) + _queued(tx.nonce - safe.nonce))
    grid.add_row("to", f"{tx.to}, {_operation(tx.operation)}, value {int(tx.value)} wei")
    grid.add_row("threshold", f"{safe.threshold} of {', '.join(safe.owners)}")
    grid.add_row("gas", "unknown" if proposal.gas is None else f"{proposal.gas:,}, and the Safe's own work")
    grid.add_row("block", f"#{proposal.head.number:,}, {utc(proposal.head.timestamp_s)}")
    if proposal.expires_at_s is not None:
        left_s = max(0, proposal.expires_at_s - proposal.head.timestamp_s)
        until = f"{utc(proposal.expires_at_s)}, {duration(left_s)} after that block"
        grid.add_row("executable", f"until {until}; then a trade in it reverts (--open-for)")
    for signature in proposed.signatures:
        grid.add_row("signed by", f"{signature.signer}\n{signature.signature}")
    if len(proposed.signatures) >= safe.threshold:
        grid.add_row("", Text("That is all it needs: whoever has this can execute it", style="bold yellow"))
    if out is not None:
        grid.add_row("file", f"{out}: load it in Safe{{Wallet}}, Transaction Builder")
    grid.add_row(
        "", "Nothing was sent. Owners sign only where wallet and device show this hash and this nonce."
    )
    return Padding(grid, (0, 0, 1, 2))


def _operation(operation: Operation) -> str:
    return "call" if operation is Operation.CALL else "delegatecall to MultiSendCallOnly"


def _queued(before: int) -> str:
    return f", after {count(before, 'other transaction')} that the Safe must execute first" if before else ""


def _described(steps: Sequence[Step]) -> Iterator[str]:
    """Yield what each action does, once."""
    seen: set[str] = set()
    for step in steps:
        if step.action_id not in seen:
            seen.add(step.action_id)
            yield f"{step.action.kind.value} {step.action.subject}: {what(step.action)}"
