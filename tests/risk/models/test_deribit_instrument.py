"""Deribit's names, taken apart."""

import pytest

from keeper.model.errors import UnfitValueError
from keeper.risk.models.deribit_instrument import parsed


def test_perps_never_expire() -> None:
    contract = parsed("BTC_USDC-PERPETUAL")
    assert (contract.pair, contract.expiry_s, contract.right) == ("BTC_USDC", None, "")


def test_expiries_are_at_eight_utc() -> None:
    contract = parsed("BTC-28JUN24")
    assert contract.expiry_s == 1_719_561_600
    assert contract.future == "BTC-28JUN24"
    assert parsed("BTC-5JUL24").expiry_s == 1_719_561_600 + 7 * 86_400


def test_options_know_their_future() -> None:
    contract = parsed("ETH-28JUN24-3500-P")
    assert (contract.strike, contract.right, contract.future) == (3500.0, "P", "ETH-28JUN24")
    assert parsed("XRP_USDC-28JUN24-0d55-C").strike == 0.55


@pytest.mark.parametrize(
    "name",
    [
        "",
        "BTC",
        "BTC-SPOT",
        "BTC-29FEB23",
        "BTC-00JAN24",
        "BTC-28XXX24",
        "BTC-28JUN24-0-C",
        "BTC-28JUN24-70000",
        "BTC-28JUN24-70000-X",
        "BTC-PERPETUAL-C",
        " BTC-PERPETUAL",
        "BTC-2\u0968JUN24",
        "BTC-28JUN24-" + "9" * 400 + "-C",
    ],
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(UnfitValueError, match="instrument"):
        parsed(name)
