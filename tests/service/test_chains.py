"""What the settings of a chain make of a client: finality, fees, and how many voices decide."""

from typing import Any

import pytest
from pydantic import ValidationError

from keeper.chain.pricing import BaseFees, FeeRules
from keeper.chain.settings import Finality
from keeper.config.tables import ChainTable
from keeper.model.units import Wei
from keeper.service.chains import client_of, fee_rules_of, finality_of


def table(**fields: Any) -> ChainTable:
    return ChainTable(**{"chain_id": 10, "endpoints": ("http://node.example",), **fields})


@pytest.mark.parametrize(
    ("l1_fee", "finality", "base_fees"),
    [
        ("none", Finality.CONFIRMATIONS, BaseFees.EIP1559),
        ("op-stack", Finality.FINALIZED, BaseFees.OP_STACK),
        ("arbitrum", Finality.FINALIZED, BaseFees.ARBITRUM),
    ],
)
def test_the_kind_of_chain_says_what_is_final_and_how_base_fees_move(
    l1_fee: str, finality: Finality, base_fees: BaseFees
) -> None:
    assert finality_of(table(l1_fee=l1_fee)) is finality
    assert fee_rules_of(table(l1_fee=l1_fee)).base_fees is base_fees


@pytest.mark.parametrize("chosen", ["confirmations", "safe", "finalized"])
@pytest.mark.parametrize("l1_fee", ["none", "op-stack", "arbitrum"])
def test_what_the_file_says_goes_first(chosen: str, l1_fee: str) -> None:
    assert finality_of(table(l1_fee=l1_fee, finality=chosen)).value == chosen


def test_fees_are_estimated_as_the_file_says() -> None:
    given = table(fee_blocks=5, fee_percentile=10, min_tip_gwei=0.5, max_tip_gwei=3.0)
    assert fee_rules_of(given) == FeeRules(
        blocks=5, percentile=10, min_tip=Wei(5 * 10**8), max_tip=Wei(3 * 10**9)
    )


def test_bounds_on_tips_the_wrong_way_round_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"min_tip_gwei 2\.0 is above max_tip_gwei 1\.0"):
        table(min_tip_gwei=2.0, max_tip_gwei=1.0)


@pytest.mark.parametrize(
    "fields",
    [{"finality": "soon"}, {"pin_at": "pending"}, {"fee_percentile": 101}, {"fee_blocks": 0}],
)
def test_values_out_of_range_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        table(**fields)


def test_every_table_makes_a_client() -> None:
    client_of("op", table(l1_fee="op-stack", pin_at="safe", finality_fallback=True)).close()
