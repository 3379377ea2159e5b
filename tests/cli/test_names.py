"""What people type, and what it means in a snapshot."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.cli.names import (
    AmbiguousNameError,
    BadArgumentError,
    UnknownNameError,
    account_named,
    instrument_named,
    label,
    move_of,
    shock_of,
    shocks_of,
    trade_of,
)
from keeper.cli.text import brief
from keeper.model.errors import ConfigError
from keeper.model.units import ONE, Wad
from tests.service.sample import DESK, KURT, PERP, PUT, SNAPSHOT, wad

PERP_ACCOUNT = f"curie:42161:{DESK}"


@pytest.mark.parametrize(
    "text", [PERP, PERP.lower(), brief(PERP), "ETH-PERP", "eth-perp", PERP.split(":")[2]]
)
def test_a_perp_by_any_of_its_names(text: str) -> None:
    assert instrument_named(text, SNAPSHOT) == PERP


@pytest.mark.parametrize("text", [PUT, "ETH-26DEC23-1700-P", "eth-26dec23-1700-p", "strike-7-put"])
def test_an_option_by_any_of_its_names(text: str) -> None:
    assert instrument_named(text, SNAPSHOT) == PUT


@pytest.mark.parametrize(
    "text", [PERP_ACCOUNT, PERP_ACCOUNT.lower(), brief(PERP_ACCOUNT), DESK, "0x90F7...b906"]
)
def test_an_account_by_any_of_its_names(text: str) -> None:
    assert account_named(text, SNAPSHOT) == PERP_ACCOUNT


def test_the_end_of_an_account_is_enough() -> None:
    assert account_named("10:3", SNAPSHOT) == "lyra:10:3"
    assert account_named("3", SNAPSHOT) == "lyra:10:3"
    assert account_named("new", SNAPSHOT) == "new"
    assert account_named("lyra:10:new-2", SNAPSHOT) == "lyra:10:new-2"


def test_a_name_of_two_things_is_refused_with_both() -> None:
    twin = dataclasses.replace(SNAPSHOT.instruments[0], id="curie:10:0xother")
    market = dataclasses.replace(SNAPSHOT, instruments=(*SNAPSHOT.instruments, twin))
    with pytest.raises(AmbiguousNameError) as caught:
        instrument_named("ETH-PERP", market)
    assert PERP in str(caught.value)
    assert twin.id in str(caught.value)


def test_an_unknown_name_suggests_what_there_is() -> None:
    with pytest.raises(UnknownNameError, match="ETH-PERP"):
        instrument_named("ETH-PREP", SNAPSHOT)
    with pytest.raises(UnknownNameError, match=r"lyra:10:3"):
        account_named("lyra:10:33", SNAPSHOT)
    with pytest.raises(UnknownNameError, match="holds none"):
        account_named("x", dataclasses.replace(SNAPSHOT, accounts=()))
    assert [label(i) for i in SNAPSHOT.instruments] == ["ETH-PERP", "ETH-26DEC23-1700-P"]


def test_trades() -> None:
    assert trade_of("ETH-PERP=-2.5", SNAPSHOT).size == wad(-2.5)
    read = trade_of(f"{PUT}=+3@lyra:10:4", SNAPSHOT)
    assert (read.instrument, read.size, read.account) == (PUT, wad(3), "lyra:10:4")
    assert trade_of("ETH-PERP=1@0x15d3...6A65", SNAPSHOT).account == f"curie:42161:{KURT}"


def test_moves() -> None:
    assert move_of("lyra:10:3=500", SNAPSHOT).amount == wad(500)
    for text in ("lyra:10:3=-0.5:sUSD", "lyra:10:3=-0.5 sUSD", "lyra:10:3=-0.5sUSD"):
        read = move_of(text, SNAPSHOT)
        assert (read.account, read.amount, read.asset) == ("lyra:10:3", wad(-0.5), "sUSD")


@given(st.integers(-(10**30), 10**30))
def test_amounts_are_exact_to_the_last_of_18_places(raw: int) -> None:
    sign, whole, rest = "-" if raw < 0 else "", abs(raw) // ONE, abs(raw) % ONE
    assert trade_of(f"ETH-PERP={sign}{whole}.{rest:018d}", SNAPSHOT).size == Wad(raw)


@pytest.mark.parametrize(
    "text",
    [
        "", "=", "ETH-PERP", "ETH-PERP=", "=3", "ETH-PERP=x", "ETH-PERP=nan", "ETH-PERP=inf", "ETH-PERP=1e3",
        "ETH-PERP=1_0", "ETH-PERP=1,5", "ETH-PERP=0.0000000000000000001", "ETH-PERP=1@", "ETH-PERP=1@nobody",
        "ETH-PERP=" + "9" * 40, "DOGE-PERP=1",
    ],
)  # fmt: skip
def test_nonsense_trades_are_one_line(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        trade_of(text, SNAPSHOT)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "lyra:10:3", "lyra:10:3=", "lyra:10:3=x y", "lyra:10:3=1:2", "=1", "z=1"]
)
def test_nonsense_moves_are_one_line(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        move_of(text, SNAPSHOT)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "spot", "vol"),
    [
        ("ETH=-10%", -0.1, 0.0),
        ("ETH=-0.1", -0.1, 0.0),
        ("ETH=+25 %/-50%", 0.25, -0.5),
        ("ETH=0/0.4", 0.0, 0.4),
        ("ETH=-99.9%/-100%", -0.999, -1.0),
    ],
)
def test_shocks(text: str, spot: float, vol: float) -> None:
    read = shock_of(text)
    assert read.underlying == "ETH"
    assert read.spot == pytest.approx(spot)
    assert read.vol == pytest.approx(vol)


@pytest.mark.parametrize(
    "text",
    [
        "", "ETH", "ETH=", "=1", "ETH=x", "ETH=nan", "ETH=1/", "ETH=-100%", "ETH=-1", "ETH=0/-1.1", "ETH=1e9",
        "ETH=20000%", "ETH=--1", "ETH=1.2.3",
    ],
)  # fmt: skip
def test_nonsense_shocks_are_refused(text: str) -> None:
    with pytest.raises(BadArgumentError, match="--shock"):
        shock_of(text)


def test_one_scenario_names_each_underlying_once() -> None:
    with pytest.raises(BadArgumentError, match="once"):
        shocks_of(["ETH=-1%", "ETH=1%"], SNAPSHOT)
    with pytest.raises(UnknownNameError, match="DOGE"):
        shocks_of(["DOGE=-1%"], SNAPSHOT)
