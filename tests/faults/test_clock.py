"""A wall clock that is wrong, and one that jumps: decisions follow the chain's time, caps never loosen."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper.journal.decode import plan_of
from keeper.journal.journal import read
from keeper.model.intent import TxState
from keeper.model.record import RecordKind
from keeper.model.units import Wei
from tests.execution.rig import FINAL_AFTER, LIMITS, Rig
from tests.execution.simulated_chain import GWEI, Clock, SimulatedChain
from tests.faults.whole import Whole
from tests.support import tally

HOUR_S: Final = 3600
SKEWED: Final = """\
import sys, time
real = time.time
time.time = lambda: real() + float({skew_s!r})
from keeper.cli.main import main
sys.argv = ["keeper", *{arguments!r}]
main()
"""
"""A keeper's process whose clock is off from its first moment on."""

RING_WEI: Final = 75_000 * 2 * GWEI + 75_000 * GWEI
"""More than one ring of the bell can cost: its gas limit at its fee cap."""

TIGHT: Final = replace(LIMITS, max_gas_wei_per_hour=Wei(4 * RING_WEI), max_gas_wei_per_day=Wei(8 * RING_WEI))


def run_with_clock(skew_s: int, whole: Whole) -> int:
    tally.fault("clock off")
    arguments = ["run", "--live", "--once", "-c", str(whole.config)]
    with (whole.folder / "stderr").open("a") as log:
        program = SKEWED.format(skew_s=skew_s, arguments=arguments)
        return subprocess.run(
            [sys.executable, "-c", program],
            stdout=subprocess.DEVNULL,
            stderr=log,
            env=dict(os.environ),
            cwd=Path(__file__).resolve().parents[2],
            check=False,
        ).returncode


@pytest.mark.devnet
@pytest.mark.faults
def test_decisions_do_not_read_the_wall_clock(whole: Whole) -> None:
    """An hour ahead, then an hour behind: the plan is the one that a right clock gives."""
    right = whole.plan()
    assert right.actions
    assert run_with_clock(HOUR_S, whole) == 0, (whole.folder / "stderr").read_text()
    done = whole.landed()
    assert done
    assert run_with_clock(-HOUR_S, whole) == 0, (whole.folder / "stderr").read_text()
    plans = [plan_of(r) for r in read(whole.settings.journal.path) if r.kind is RecordKind.PLAN]
    assert plans[0].id == right.id
    whole.finish()
    whole.require_once_each()


steps_s = st.sampled_from((-90_000, -HOUR_S, -60, 1, 60, 1800, HOUR_S, 90_000))


@settings(max_examples=10)
@given(st.lists(steps_s, min_size=3, max_size=6))
def test_a_clock_that_jumps_never_lets_more_through(jumped_s: list[int]) -> None:
    """By the clock's own stamps no hour and no day holds more than its cap, and afterwards it goes on."""
    with TemporaryDirectory(prefix="clock-") as folder:
        chain, clock = SimulatedChain(), Clock()
        rig = Rig(Path(folder), chain, limits=TIGHT, clock=clock)
        try:
            number = 0
            for jump_s in jumped_s:
                tally.fault("clock jumps")
                clock.now_s += jump_s
                for _ in range(3):
                    number += 1
                    rig.cycle([number])
                settle(rig)
            require_caps(rig)
            clock.now_s = max(clock.now_s, *(at_s for at_s, _ in stamped(rig)), 0.0) + 90_000
            (outcome,) = rig.cycle([number + 1])
            assert outcome.success is True, outcome.reason
            rig.audit().require()
        finally:
            rig.stop()


def settle(rig: Rig) -> None:
    """Let everything become final: until then it counts as if it were signed just now."""
    rig.chain.mine(FINAL_AFTER)
    rig.cycle()


def stamped(rig: Rig) -> list[tuple[float, int]]:
    """When each transaction that landed was signed, by the clock of the time, and what it cost."""
    ended = rig.store.intents.within([TxState.CONFIRMED, TxState.FINALIZED])
    return [
        (attempt.signed_at_s, stored.fee or 0)
        for stored in ended
        for attempt in rig.store.intents.attempts(stored.intent.id)
    ]


def require_caps(rig: Rig) -> None:
    spent = stamped(rig)
    for span_s, cap in ((HOUR_S, TIGHT.max_gas_wei_per_hour), (24 * HOUR_S, TIGHT.max_gas_wei_per_day)):
        for until_s, _ in spent:
            assert sum(cost for at_s, cost in spent if until_s - span_s <= at_s <= until_s) <= cap
