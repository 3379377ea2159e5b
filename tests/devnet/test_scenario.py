"""The story, measured on the chains: what stands where before and after the drop."""

import pytest

from tests.support.chains import Chains

pytestmark = pytest.mark.devnet

DESK_PUT_TOP_UP, DESK_PUT_CALL = 3, 4


def put_health(chains: Chains, position_id: int) -> float:
    (position,) = chains.lyra["OptionToken"].call("getOptionPositions", [position_id])
    _, strike_id, kind, amount, collateral, state = position
    assert state == 1
    return float(collateral / chains.lyra.min_collateral(kind, strike_id, amount))


def perp_health(chains: Chains, name: str) -> float:
    owner = chains.actor(name)
    value = chains.curie["ClearingHouse"].call("getAccountValue", owner)
    required = chains.curie["AccountBalance"].call("getMarginRequirementForLiquidation", owner)
    return float(value / required)


def test_before(chains: Chains) -> None:
    assert put_health(chains, DESK_PUT_TOP_UP) > 1.2
    assert perp_health(chains, "kurt") > 1.2


def test_after(chains: Chains) -> None:
    chains.move()
    assert 1.0 < put_health(chains, DESK_PUT_TOP_UP) < 1.05
    assert 1.05 < put_health(chains, DESK_PUT_CALL) < 1.2
    assert perp_health(chains, "kurt") < 1.0


def test_again_before(chains: Chains) -> None:
    assert put_health(chains, DESK_PUT_TOP_UP) > 1.2
