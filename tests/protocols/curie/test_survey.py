"""What Curie tells without a look into its accounts, against answers written by hand."""

import pytest

from keeper.model.reads import Address, Call, Failed, Log, Logs
from keeper.model.units import ONE, Wad
from keeper.protocols.adapter import Found, Survey
from keeper.protocols.curie import Curie
from keeper.protocols.errors import DiscoveryError
from tests.protocols.curie.table import ALICE, AT, BLOCK, BOB, MAKER, TABLE, VENUE, VETH
from tests.support.fake_chain import Answers, drive, failing, rounds

CLEARING = (
    AT["ClearingHouse"],
    ("PositionChanged", "PositionLiquidated", "PositionClosed", "LiquidityChanged", "FundingPaymentSettled"),
)
VAULT = (AT["Vault"], ("Deposited", "Withdrawn", "CollateralLiquidated", "BadDebtSettled"))
BALANCE = (AT["AccountBalance"], ("PnlRealized",))
SILENT: Answers = {**TABLE, CLEARING: (), VAULT: (), BALANCE: ()}
KNOWN = Found(keys=(ALICE, BOB), next_block=90)
NEW, FUND = Address("0x" + "11" * 20), Address("0x" + "22" * 20)


def survey(table: Answers = SILENT, probes: tuple[str, ...] = ()) -> Survey:
    return drive(Curie().survey(VENUE, KNOWN, probes, BLOCK), table)


def test_prices_and_terms_are_those_of_a_full_read_in_one_round() -> None:
    table = {**SILENT, (AT["Exchange"], "getAllPendingFundingPayment", (BOB,)): -3 * ONE}
    found, count = rounds(Curie().survey(VENUE, KNOWN, (ALICE, BOB), BLOCK), table)
    assert count == 1
    full = drive(Curie().read(VENUE, KNOWN, (), BLOCK), TABLE)
    assert (found.state.quotes, found.state.terms) == (full.quotes, full.terms)
    assert found.state.instruments == full.instruments
    assert (found.state.accounts, found.state.gaps) == ((), ())
    assert found.found == Found(keys=KNOWN.keys, next_block=BLOCK.number + 1)
    assert found.touched == frozenset()
    assert found.funding_due == {ALICE: Wad(5 * ONE), BOB: Wad(-3 * ONE)}


def test_events_are_read_from_where_the_last_look_ended() -> None:
    asked = next(Curie().survey(VENUE, KNOWN, (ALICE,), BLOCK))
    assert {r.from_block for r in asked if isinstance(r, Logs)} == {90}
    assert sum(isinstance(r, Logs) for r in asked) == 3
    assert {r.args for r in asked if isinstance(r, Call) and r.fn == "getAllPendingFundingPayment"} == {
        (ALICE,)
    }


@pytest.mark.parametrize(
    ("where", "event", "names"),
    [
        (CLEARING, "PositionChanged", ("trader",)),
        (CLEARING, "PositionLiquidated", ("trader", "liquidator")),
        (CLEARING, "LiquidityChanged", ("maker",)),
        (VAULT, "Deposited", ("trader",)),
    ],
)
def test_these_events_bring_accounts_that_were_not_known(
    where: tuple[Address, tuple[str, ...]], event: str, names: tuple[str, ...]
) -> None:
    people = (NEW, MAKER)
    log = Log(event, dict(zip(names, people, strict=False)), 95, 0)
    found = survey({**SILENT, where: (log,)})
    assert found.touched == set(people[: len(names)])
    assert found.found.keys == tuple(sorted({ALICE, BOB, *people[: len(names)]}))


@pytest.mark.parametrize(
    ("where", "event", "args"),
    [
        (CLEARING, "PositionClosed", {"trader": ALICE}),
        (CLEARING, "FundingPaymentSettled", {"trader": ALICE}),
        (VAULT, "Withdrawn", {"trader": ALICE}),
        (VAULT, "CollateralLiquidated", {"trader": ALICE, "liquidator": FUND}),
        (VAULT, "BadDebtSettled", {"trader": ALICE}),
        (BALANCE, "PnlRealized", {"trader": ALICE}),
    ],
)
def test_these_events_touch_accounts_that_are_known_and_bring_none(
    where: tuple[Address, tuple[str, ...]], event: str, args: dict[str, Address]
) -> None:
    """The venue's own contracts realise profit too."""
    logs = (Log(event, args, 95, 0), Log("PnlRealized", {"trader": FUND}, 95, 1))
    found = survey({**SILENT, where: logs[: 2 if where is BALANCE else 1]})
    assert found.touched == {ALICE}
    assert found.found.keys == KNOWN.keys


@pytest.mark.parametrize("lost", [CLEARING, VAULT, BALANCE])
def test_lost_events_are_an_error(lost: tuple[Address, tuple[str, ...]]) -> None:
    with pytest.raises(DiscoveryError, match="range too wide"):
        survey({**SILENT, lost: Failed("logs", "range too wide")})


def test_what_is_not_answered_is_a_gap_and_a_probe_that_is_silent() -> None:
    mark = (AT["AccountBalance"], "getMarkPrice", (VETH,))
    found = survey(failing(SILENT, mark))
    assert [(g.what, g.key) for g in found.state.gaps] == [("quote", f"{VENUE.id}:{VETH}")]
    ratios = survey(failing(SILENT, (AT["ClearingHouseConfig"], "getMmRatio", ())))
    assert [(g.what, g.key) for g in ratios.state.gaps] == [("venue", VENUE.id)]
    assert ratios.state.quotes == ()
    due = (AT["Exchange"], "getAllPendingFundingPayment", (ALICE,))
    assert survey(failing(SILENT, due), (ALICE,)).funding_due == {}
