"""Expired boards whose positions wait for somebody to settle them."""

from keeper.model.plan import Decision, Reason, Settle, Step
from keeper.model.snapshot import Board, Snapshot


def settlement(board: Board, snapshot: Snapshot, *, enabled: bool) -> tuple[Decision, Settle | None]:
    """Return the decision on one board, and the action if it is due.

    Due when its chain's block time has passed the expiry and it, or a position on it, is unsettled.
    """
    subject = f"{board.venue}:board:{board.key}"
    now_s = next((b.timestamp_s for b in snapshot.blocks if b.chain_id == board.chain_id), None)

    def decided(step: Step, rule: str, text: str) -> Decision:
        numbers = (("open_positions", float(len(board.open_positions))),)
        return Decision(
            subject=subject, step=step, rule=rule, health=None, threshold=None,
            reason=Reason(text=text, numbers=numbers),
        )  # fmt: skip

    if now_s is None or now_s < board.expiry_s:
        return decided(Step.NONE, "not-expired", "the board has not expired"), None
    if board.settled and not board.open_positions:
        return decided(Step.NONE, "settled", "nothing waits for settlement"), None
    text = f"expired {now_s - board.expiry_s} s ago, {len(board.open_positions)} positions wait"
    if not enabled:
        return decided(Step.NONE, "switched-off", f"{text}; settlement is switched off"), None
    decision = decided(Step.REBALANCE, "expired", text)
    protocol = board.venue.split(":")[0]
    action = Settle(
        subject=subject,
        protocol=protocol,
        chain_id=board.chain_id,
        board=board.key,
        board_settled=board.settled,
        accounts=board.open_positions,
        reason=decision.reason,
    )
    return decision, action
