"""The base fee twentyfold, on both chains at once."""

from collections.abc import Callable
from typing import Final

import pytest

from keeper.model.intent import TxState
from tests.faults.whole import Whole
from tests.support import tally

pytestmark = [pytest.mark.devnet, pytest.mark.faults]

GWEI: Final = 10**9
SPIKE: Final = 20
LIMITS: Final = """[limits]
max_fee_gwei = 5.0
emergency_kinds = ["move_collateral", "liquidate"]
emergency_max_fee_gwei = 100.0
emergency_max_gas_wei_per_day = 20_000_000_000_000_000_000"""


def test_the_base_fee_twentyfold(make_whole: Callable[..., Whole]) -> None:
    whole = make_whole(("[limits]", LIMITS))
    whole.set_base_fee(SPIKE * GWEI)
    tally.fault("base fee twentyfold")
    with whole.keeper() as keeper:
        whole.run(keeper)
        sent = [s for s in keeper.store.intents.within(list(TxState)) if s.tx_hash is not None]
        bids = [a for s in sent for a in keeper.store.intents.attempts(s.intent.id)]
        assert keeper.recorder.last is not None
        plan = keeper.recorder.last.decided.plan
    kinds = {s.kind for s in sent}
    assert "move_collateral" in kinds, "the rescue goes on"
    assert kinds <= {"move_collateral", "liquidate"}, "housekeeping waits"
    assert any(action.kind == "hedge" for action in plan.actions)
    assert all(outcome.tx_hash or outcome.reason for outcome in whole.last)
    assert all(5 * GWEI < bid.fee_per_gas <= 100 * GWEI for bid in bids), "inside its own budget"
    whole.set_base_fee(GWEI)
    whole.finish()
    whole.require_once_each()
