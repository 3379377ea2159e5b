"""Profiles, plans and health as the JSON that scripts read: `keeper.profile/1`, `keeper.plan/1`, ..."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from keeper.model.canonical import plain
from keeper.model.intent import Outcome
from keeper.model.margin import MarginProfile
from keeper.model.plan import Action, Plan, action_id
from keeper.model.promise import Proof, decimal
from keeper.model.snapshot import Snapshot

if TYPE_CHECKING:
    from keeper.service.health import Health


def profile_document(snapshot: Snapshot, profiles: Sequence[MarginProfile]) -> dict[str, Any]:
    """Return the `keeper.profile/1` object."""
    return {
        "schema": "keeper.profile/1",
        "taken_at_s": snapshot.taken_at_s,
        "skew_s": snapshot.skew_s,
        "snapshot_digest": snapshot.digest,
        "blocks": plain(snapshot.blocks),
        "gaps": plain(snapshot.gaps),
        "profiles": [_profile(profile) for profile in profiles],
    }


def plan_document(plan: Plan, outcomes: Sequence[Outcome], *, live: bool) -> dict[str, Any]:
    """Return the `keeper.plan/1` object. `tx` is an action's last transaction, `txs` are all of them."""
    by_action: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_action.setdefault(outcome.action_id, []).append(outcome)
    return {
        "schema": "keeper.plan/1",
        "id": plan.id,
        "mode": "live" if live else "dry-run",
        "snapshot_digest": plan.snapshot_digest,
        "params_digest": plan.params_digest,
        "decisions": plain(plan.decisions),
        "actions": [_action(action, by_action.get(action_id(action), [])) for action in plan.actions],
        "expected": {"deltas": plain(plan.expected)},
    }


def health_document(health: "Health") -> dict[str, Any]:
    """Return the `keeper.health/1` object."""
    document: dict[str, Any] = {"schema": "keeper.health/1", **plain(health)}
    return document


def _profile(profile: MarginProfile) -> dict[str, Any]:
    document: dict[str, Any] = plain(profile)
    for account in document["accounts"]:
        for position in account["positions"]:
            position["size"] = position.pop("size_base")
    return document


def _action(action: Action, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    txs = [_transaction(outcome) for outcome in outcomes]
    nothing = {"tx": None, "simulated": None, "promise": None, "outcome": None}
    last: Mapping[str, Any] = txs[-1] if txs else nothing
    fields: dict[str, Any] = plain(action)
    common = {"id": action_id(action), "kind": fields.pop("kind"), "subject": fields.pop("subject")}
    return {**common, "reason": fields.pop("reason"), "amounts": fields, **last, "txs": txs}


def _transaction(outcome: Outcome) -> dict[str, Any]:
    simulated = outcome.simulation
    return {
        "tx": {
            "chain_id": outcome.chain_id,
            "to": outcome.to,
            "data": outcome.data,
            "value_wei": int(outcome.value),
        },
        "simulated": None
        if simulated is None
        else {"ok": simulated.ok, "gas": simulated.gas, "error": simulated.error},
        "promise": None if simulated is None or simulated.promise is None else _promise(simulated.promise),
        "outcome": {
            "intent_id": outcome.intent_id,
            "state": outcome.state.value,
            "success": outcome.success,
            "reason": outcome.reason,
            "tx_hash": outcome.tx_hash,
            "block_number": outcome.block_number,
            "gas_used": outcome.gas_used,
            "fee_wei": None if outcome.fee is None else int(outcome.fee),
        },
    }


def _promise(proof: Proof) -> dict[str, Any]:
    """Return promise and finding as exact decimals: JSON's numbers would round them."""

    def shown(raw: int | None, decimals: int) -> str | None:
        return None if raw is None else decimal(raw, decimals)

    return {
        "checked": proof.checked.value,
        "broken": proof.broken,
        "figures": [
            {
                "figure": line.name,
                "unit": line.unit,
                "least": shown(line.least, line.decimals),
                "most": shown(line.most, line.decimals),
                "found": shown(line.found, line.decimals),
                "tolerance": shown(line.tolerance, line.decimals),
                "kept": line.kept,
            }
            for line in proof.lines
        ],
        "outflows": [
            {"token": o.token, "holder": o.holder, "most": str(o.most), "item": o.item}
            for o in proof.outflows
        ],
    }
