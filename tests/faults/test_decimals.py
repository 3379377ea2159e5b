"""Tokens of 6, 8, 18 and 27 places: the same dollars make the same book, and a decision the same dollars.

What is read, and what is encoded for a decision, on answers of contracts in each scale.
"""

from collections.abc import Hashable
from dataclasses import replace
from typing import Any, Final, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.model.reads import Address, Failed
from keeper.model.snapshot import VenueState
from keeper.model.units import Wad, from_raw, to_raw
from keeper.protocols.curie import Curie
from keeper.protocols.lyra import Lyra
from tests.protocols.curie.table import ALICE, AT, BLOCK, BOB, FOUND, MAKER, VENUE, WALLETS, answers
from tests.protocols.curie.test_actions import MOVE, encoded, token_answers
from tests.protocols.lyra.table import AT as LYRA_AT
from tests.protocols.lyra.table import VENUE as LYRA
from tests.support.fake_chain import drive

PLACES: Final = (6, 8, 18, 27)
VAULT, TOKEN = AT["Vault"], AT["SettlementToken"]
WBTC: Final = Address("0x" + "27" * 20)

micros = st.integers(0, 10**15)
"""Amounts that every token can hold exactly, in millionths."""

places = st.sampled_from(PLACES)


class Silent(dict[Hashable, object]):
    """Contracts that answer what stands here, and nothing else."""

    def __missing__(self, key: Hashable) -> Failed:
        return Failed(str(key), "not answered here")


def scaled(micro: int, decimals: int) -> int:
    return micro * int(10 ** (decimals - 6))


def book(deposits: tuple[int, int], held: int, pledged: int, *, settlement: int, pledge: int) -> VenueState:
    """Read the sample venue: deposits and a wallet in one scale, WBTC pledged in another."""
    table = Silent(answers())
    table[VAULT, "decimals", ()] = settlement
    for who, micro in zip((ALICE, BOB, MAKER), (*deposits, 500_000_000), strict=True):
        table[VAULT, "getBalance", (who,)] = scaled(micro, settlement)
        table[VAULT, "getFreeCollateralByToken", (who, TOKEN)] = scaled(micro, settlement)
    table[TOKEN, "balanceOf", (ALICE,)] = scaled(held, settlement)
    table[TOKEN, "allowance", (ALICE, VAULT)] = scaled(held, settlement)
    table[VAULT, "getCollateralTokens", (ALICE,)] = [WBTC]
    table[VAULT, "getBalanceByToken", (ALICE, WBTC)] = scaled(pledged, pledge)
    table[AT["MarketRegistry"], "hasPool", (WBTC,)] = False
    table[WBTC, "symbol", ()] = "WBTC"
    table[WBTC, "decimals", ()] = pledge
    venue = replace(VENUE, underlyings=(*VENUE.underlyings, (WBTC, "BTC")))
    return drive(Curie().read(venue, FOUND, WALLETS, BLOCK), table)


@given(st.tuples(micros, micros), micros, micros, places, places)
def test_a_tokens_places_do_not_change_a_book(
    deposits: tuple[int, int], held: int, pledged: int, settlement: int, pledge: int
) -> None:
    usual = book(deposits, held, pledged, settlement=6, pledge=8)
    other = book(deposits, held, pledged, settlement=settlement, pledge=pledge)
    assert usual == other
    alice = next(account for account in other.accounts if account.owner == ALICE)
    assert [b.amount for b in alice.balances if b.asset == "WBTC"] == [pledged * 10**12]
    assert alice.withdrawable == deposits[0] * 10**12


@given(st.integers(1, 10**33), places, st.sampled_from(("add", "withdraw")))
def test_what_arrives_is_what_was_decided_or_less_than_one_unit_below(
    amount: int, decimals: int, direction: Literal["add", "withdraw"]
) -> None:
    unit = Wad(max(1, from_raw(1, decimals)))
    if amount < unit:
        return
    action = replace(MOVE, amount=Wad(amount), direction=direction)
    *_, send = encoded(action, ALICE, token_answers(ALICE, decimals=decimals))
    raw: Any = send.args[-1]
    arrived = from_raw(raw, decimals)
    assert 0 <= amount - arrived < unit
    assert to_raw(arrived, decimals) == raw


@pytest.mark.parametrize("decimals", PLACES)
def test_a_venue_that_counts_in_18_places_is_refused_with_other_tokens(decimals: int) -> None:
    """Lyra takes amounts of 18 places whatever the token has: any other token is a wrong address."""
    tokens = ("QuoteAsset", "BaseAsset")
    table = Silent({(LYRA_AT[name], "decimals", ()): decimals for name in tokens})
    findings = drive(Lyra().check(LYRA), table)
    verdicts = {f.subject: f.ok for f in findings if "decimals" in f.subject}
    assert verdicts == {f"{name} decimals": decimals == 18 for name in tokens}
