"""What Lyra tells without a look into its positions, against answers written by hand."""

import pytest

from keeper.model.reads import Failed, Log, Logs
from keeper.protocols.adapter import Found
from keeper.protocols.errors import DiscoveryError
from keeper.protocols.lyra import Lyra
from tests.protocols.lyra.table import AT, BLOCK, TABLE, VENUE
from tests.support.fake_chain import Answers, drive, failing, rounds

EVENTS = (AT["OptionToken"], ("PositionUpdated",))
SILENT: Answers = {**TABLE, EVENTS: ()}
KNOWN = Found(keys=("1", "10", "2"), next_block=90)


def test_spot_and_terms_are_those_of_a_full_read_in_one_round() -> None:
    found, count = rounds(Lyra().survey(VENUE, KNOWN, ("1",), BLOCK), SILENT)
    assert count == 1
    full = drive(Lyra().read(VENUE, Found(), (), BLOCK), TABLE)
    assert (found.state.quotes, found.state.terms) == (full.quotes, full.terms)
    assert (found.state.accounts, found.state.gaps) == ((), ())
    assert found.found == Found(keys=("1", "2", "10"), next_block=BLOCK.number + 1)
    assert (found.touched, found.funding_due) == (frozenset(), {})


def test_positions_that_events_name_are_touched_and_known() -> None:
    asked = next(Lyra().survey(VENUE, KNOWN, (), BLOCK))
    assert [r.from_block for r in asked if isinstance(r, Logs)] == [90]
    logs = tuple(Log("PositionUpdated", {"positionId": i}, 95, n) for n, i in enumerate((2, 11, 2)))
    found = drive(Lyra().survey(VENUE, KNOWN, (), BLOCK), {**SILENT, EVENTS: logs})
    assert found.touched == {"2", "11"}
    assert found.found.keys == ("1", "2", "10", "11")


def test_lost_events_are_an_error_and_a_lost_spot_a_gap() -> None:
    with pytest.raises(DiscoveryError, match="range too wide"):
        drive(Lyra().survey(VENUE, KNOWN, (), BLOCK), {**SILENT, EVENTS: Failed("logs", "range too wide")})
    spot = (AT["SynthetixAdapter"], "getSpotPriceForMarket", (AT["OptionMarket"],))
    found = drive(Lyra().survey(VENUE, KNOWN, (), BLOCK), failing(SILENT, spot))
    assert [(g.what, g.key) for g in found.state.gaps] == [("quote", "ETH")]
