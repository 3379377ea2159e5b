"""Parameters of Deribit's portfolio margin: every field as printed, and what is none of them."""

from typing import Any

import pytest

from keeper.model.errors import DataError
from keeper.risk.models.deribit_params import EXTENDED_MOVES, params
from tests.risk.models.deribit_cases import PARAMS, result
from tests.risk.models.twin import record


def test_one_set_stands_for_every_pair() -> None:
    read = params(record({"model_params": PARAMS}))
    assert read.pair("BTC") == read.pair("ETH_USDC")
    assert (read.pair("BTC").buckets, read.pair("BTC").price_range) == (4, 0.16)
    assert read.pair("BTC").extended_moves == EXTENDED_MOVES


def test_a_set_for_each_pair_and_the_other_name_of_the_field() -> None:
    read = params(record({"params": {"BTC": PARAMS, "ETH": {**PARAMS, "buckets_count": 5}}}))
    assert (read.pair("BTC").buckets, read.pair("ETH").buckets) == (4, 5)
    with pytest.raises(DataError, match="'SOL', only BTC, ETH"):
        read.pair("SOL")


@pytest.mark.parametrize(
    ("over", "words"),
    [
        ({"model_params": {**PARAMS, "price_range": 0}}, "price_range"),
        ({"model_params": {**PARAMS, "haircut": 0.1}}, "haircut"),
        ({"model_params": {**PARAMS, "vol_scenarios_count": 5}}, "vol_scenarios_count"),
        ({"model_params": {**PARAMS, "extended_moves": []}}, "extended_moves"),
        ({"model_params": {"ETH": PARAMS}}, "BTC"),
    ],
)
def test_bad_parameters_are_named(over: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError) as caught:
        result({"BTC-PERPETUAL": 1.0}, **over)
    assert words in str(caught.value)
