"""Which step of the ladder an account stands on: none, warn, call, rebalance, liquidate."""

import math

from keeper.model.params import LadderParams
from keeper.model.plan import Decision, Reason, Step


def step_for(subject: str, *, health: float, liquidatable: bool, ladder: LadderParams) -> Decision:
    """Return the step for one account. Pure: same inputs, same decision, for ever.

    Parameters
    ----------
    subject
        Account id.
    health
        Equity / maintenance as the venue counts it; infinite without a requirement.
    liquidatable
        The venue's own answer. It decides the last step, whatever our ratio says.
    ladder
        Thresholds, warn > call > rebalance >= 1.
    """
    known = math.isfinite(health)
    shown = health if known else None
    if liquidatable:
        text = "its venue says that anybody may liquidate it"
        return _decision(subject, Step.LIQUIDATE, "venue-says-liquidatable", shown, 1.0, text)
    if not known:
        return _decision(subject, Step.NONE, "no-requirement", None, None, "its venue asks for no margin")
    for step, threshold in (
        (Step.REBALANCE, ladder.rebalance_below),
        (Step.MARGIN_CALL, ladder.call_below),
        (Step.WARN, ladder.warn_below),
    ):
        if health < threshold:
            text = f"health {health:.4f} is below {threshold:g}"
            return _decision(subject, step, f"health<{threshold:g}", shown, threshold, text)
    text = f"health {health:.4f} is not below {ladder.warn_below:g}"
    return _decision(subject, Step.NONE, "healthy", shown, ladder.warn_below, text)


def _decision(
    subject: str, step: Step, rule: str, health: float | None, threshold: float | None, text: str
) -> Decision:
    numbers = (("health", health), ("threshold", threshold))
    return Decision(
        subject=subject,
        step=step,
        rule=rule,
        health=health,
        threshold=threshold,
        reason=Reason(text=text, numbers=tuple((k, v) for k, v in numbers if v is not None)),
    )
