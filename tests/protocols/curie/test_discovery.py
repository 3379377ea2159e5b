"""Who is found on Curie, from events written by hand."""

import pytest

from keeper.model.reads import Failed, Log, Logs
from keeper.model.snapshot import BlockRef
from keeper.protocols.adapter import Found
from keeper.protocols.curie import Curie
from keeper.protocols.errors import DiscoveryError
from keeper.protocols.following import REORG_BLOCKS
from tests.protocols.curie.table import ALICE, AT, BLOCK, BOB, GONE, MAKER, VENUE
from tests.support.fake_chain import Answers, drive

CLEARING = ("PositionChanged", "PositionLiquidated", "LiquidityChanged")
EVENTS: Answers = {
    (AT["ClearingHouse"], CLEARING): (
        Log("PositionChanged", {"trader": BOB}, 8, 0),
        Log("PositionLiquidated", {"trader": BOB, "liquidator": ALICE}, 9, 0),
        Log("LiquidityChanged", {"maker": MAKER}, 9, 1),
    ),
    (AT["Vault"], ("Deposited",)): (Log("Deposited", {"trader": GONE}, 8, 1),),
}


def test_traders_makers_liquidators_and_depositors_are_found_once() -> None:
    found = drive(Curie().discover(VENUE, Found(), BLOCK), EVENTS)
    assert found == Found(keys=tuple(sorted((ALICE, BOB, MAKER, GONE))), next_block=BLOCK.number + 1)
    assert drive(Curie().discover(VENUE, found, BLOCK), EVENTS) == found


def test_what_is_known_stays_known() -> None:
    silent: Answers = dict.fromkeys(EVENTS, ())
    known = Found(keys=(ALICE,), next_block=50)
    assert drive(Curie().discover(VENUE, known, BLOCK), silent).keys == (ALICE,)


@pytest.mark.parametrize(("next_block", "first"), [(0, 7), (50, 7), (REORG_BLOCKS + 90, 90), (10**6, 7)])
def test_the_last_blocks_are_read_again(next_block: int, first: int) -> None:
    at = BlockRef(chain_id=42161, number=500, hash="", parent_hash="", timestamp_s=0)
    reads = Curie().discover(VENUE, Found(keys=(ALICE,), next_block=next_block), at)
    assert {r.from_block for r in next(reads) if isinstance(r, Logs)} == {first}


@pytest.mark.parametrize("lost", list(EVENTS))
def test_lost_events_are_an_error(lost: object) -> None:
    table = {**EVENTS, lost: Failed("logs", "range too wide")}
    with pytest.raises(DiscoveryError, match="range too wide"):
        drive(Curie().discover(VENUE, Found(), BLOCK), table)
