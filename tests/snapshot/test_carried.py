"""What is carried between reads: who is read again, and what a full read contradicts."""

import dataclasses
from collections.abc import Collection, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.model.book import Account, Position, Requirement
from keeper.model.reads import Address
from keeper.model.snapshot import BlockRef, Gap, VenueState
from keeper.model.units import Wad
from keeper.policy.screen import Prices
from keeper.protocols.adapter import Found, Survey
from keeper.snapshot.carried import Carried, advance, carry, differences, is_complete, surveyed, to_read
from tests.support.books import CURIE, LYRA, NOW_S, PERP, PUT, TERMS, curie_account, lyra_short, quotes, wad

OURS = Address("0x" + "0a" * 20)
MARGIN = 0.01


def who(n: int) -> Address:
    return Address(f"0x{n:040x}")


def block(number: int = 100) -> BlockRef:
    return BlockRef(
        chain_id=42161,
        number=number,
        hash=hex(number),
        parent_hash=hex(number - 1),
        timestamp_s=NOW_S + number,
    )


def perp(n: int, *, size: float = 1.0, cash: float = 2_000.0, mark: float = 1_800.0) -> Account:
    return curie_account(owner=who(n), size=size, cash=cash, mark=mark)


def state(
    accounts: Sequence[Account], *, mark: float = 1_800.0, gaps: Sequence[Gap] = (), venue: str = CURIE
) -> VenueState:
    return VenueState(
        accounts=tuple(accounts),
        instruments=(PERP, PUT),
        quotes=tuple(q for q in quotes(mark) if q.source.startswith(venue)),
        terms=tuple(t for t in TERMS if t.venue == venue),
        gaps=tuple(gaps),
    )


def lost(n: int) -> Gap:
    return Gap(what="account", key=f"{CURIE}:{who(n)}", reason="nobody answered", chain_id=42161)


def carried(*accounts: Account, gaps: Sequence[Gap] = ()) -> Carried:
    keys = {a.key for a in accounts} | {g.key.split(":")[-1] for g in gaps}
    return carry(state(accounts, gaps=gaps), Found(keys=tuple(sorted(keys)), next_block=101), block())


def survey(
    before: Carried,
    *,
    mark: float = 1_800.0,
    touched: Collection[str] = (),
    paid: float | None = 0.0,
    **more: Gap,
) -> Survey:
    probe = next(iter(before.holdings), None)
    size = 1.0
    return Survey(
        state=state((), mark=mark, gaps=tuple(more.values())),
        found=Found(keys=tuple(sorted({*before.found.keys, *touched})), next_block=103),
        touched=frozenset(touched),
        funding_due={} if paid is None or probe is None else {probe: wad(paid * size)},
    )


def prices(before: Carried, told: Survey) -> Prices:
    return surveyed(before, told, block(102))


def test_only_who_may_matter_is_read() -> None:
    """At 1,500, whoever had 2,000 of cash has 1,700 left for a requirement of 94; the poor one has not."""
    before = carried(
        perp(1),
        perp(2, cash=390.0),
        perp(3),
        curie_account(owner=who(4), has_orders=True),
        curie_account(owner=OURS),
        gaps=[lost(5)],
    )
    told = survey(before, mark=1_500.0, touched={who(3), who(9)})
    found = to_read(before, told, prices(before, told), {OURS}, MARGIN)
    assert found == {who(2), who(3), who(4), OURS, who(5), who(9)}


@given(
    st.lists(st.tuples(st.floats(-30, 30), st.floats(0, 9_000)), min_size=2, max_size=12),
    st.floats(900, 3_600),
    st.floats(-30, 30),
)
def test_nobody_whom_the_rule_puts_below_his_line_stays_unread(
    people: list[tuple[float, float]], mark: float, paid: float
) -> None:
    """The first holds one unit and tells the funding; all are counted again by hand."""
    book = [(1.0, 9_000.0), *people]
    before = carried(*(perp(n, size=round(s, 6), cash=round(c, 6)) for n, (s, c) in enumerate(book)))
    told = survey(before, mark=round(mark, 6), paid=round(paid, 6))
    found = to_read(before, told, prices(before, told), (), MARGIN)
    for n, (size, cash) in enumerate(book):
        size, cash = round(size, 6), round(cash, 6)
        equity = cash + size * (round(mark, 6) - 1_800.0 - round(paid, 6))
        owed = 0.0625 * abs(size) * round(mark, 6)
        if size and equity < owed:
            assert who(n) in found
        if equity > 1.011 * owed + 0.001:
            assert who(n) not in found


def complete(before: Carried, told: Survey) -> bool:
    return is_complete(before, told, prices(before, told))


def test_without_a_price_or_the_funding_not_everybody_can_be_measured() -> None:
    before = carried(perp(1))
    assert complete(before, survey(before))
    assert not complete(before, survey(before, paid=None))
    assert not complete(before, survey(before, touched={who(1)})), "the probe was touched"
    assert not complete(before, survey(before, gap=Gap(what="quote", key=PERP.id, reason="reverted")))
    assert complete(carried(perp(1, size=0.0)), survey(before, paid=None)), "nobody holds a perp"


def test_where_funding_is_not_told_positions_are_compared_all_the_same() -> None:
    before = carried(perp(1), perp(2))
    told = survey(before, paid=None)
    read = state([due(perp(1), 2.0), moved(due(perp(2), 2.0), positions=())])
    assert differences(before, prices(before, told), read, ()) == (f"{who(2)} holds something else",)


def test_going_on_keeps_what_was_not_read_and_takes_what_was() -> None:
    before = carried(perp(1), perp(2), perp(3), perp(4))
    told = survey(before, touched={who(2), who(3), who(9)}, paid=2.0)
    bigger, new = perp(2, size=5.0), perp(9)
    asked = {who(2), who(3), who(4), who(9)}
    after = advance(
        before, told, prices(before, told), asked, state([bigger, new], gaps=[lost(4)]), block(102)
    )
    assert after.accounts == {who(1): perp(1), who(2): bigger, who(9): new}, "3 has closed, 4 is not known"
    assert after.holdings.keys() == after.accounts.keys()
    assert after.holdings[who(1)] == before.holdings[who(1)]
    assert after.unread == {who(4)}
    assert (after.at, after.full_read) == (block(102), block(100))
    assert after.found == told.found
    told = survey(after, mark=1_800.0, paid=2.0)
    assert who(4) in to_read(after, told, prices(after, told), (), MARGIN)


def test_whom_his_contract_measures_otherwise_is_read_every_time() -> None:
    odd = dataclasses.replace(
        perp(2), venue=Requirement(equity=wad(2_000.0), initial=wad(200.0), maintenance=wad(113.0))
    )
    before = carried(perp(1), odd)
    assert before.holdings.keys() == {who(1)}
    told = survey(before)
    assert to_read(before, told, prices(before, told), (), MARGIN) == {who(2)}


def due(account: Account, usd: float) -> Account:
    """The same account after funding has accrued: cash and value are less by it."""
    (cash,) = account.balances
    owed = wad(usd)
    return dataclasses.replace(
        account,
        balances=(dataclasses.replace(cash, amount=Wad(cash.amount - owed)),),
        venue=dataclasses.replace(account.venue, equity=Wad(account.venue.equity - owed)),
        funding_due=owed,
    )


def test_a_full_read_that_shows_only_what_time_does_agrees() -> None:
    before = carried(perp(1), perp(2, size=-3.0))
    told = survey(before, paid=2.0)
    read = state([due(perp(1), 2.0), due(perp(2, size=-3.0), -6.0)])
    assert differences(before, prices(before, told), read, ()) == ()


def moved(account: Account, **changes: object) -> Account:
    return dataclasses.replace(account, **changes)  # type: ignore[arg-type]


FIRST = perp(1)
CONTRADICTIONS = {
    "gone": ([FIRST], "is gone"),
    "position": ([FIRST, moved(perp(2), positions=())], "holds something else"),
    "one wei of size": (
        [
            FIRST,
            moved(
                perp(2),
                positions=(Position(instrument=PERP.id, size=Wad(10**18 + 1), entry=wad(1_800.0)),),
            ),
        ],
        "holds something else",
    ),
    "collateral": ([FIRST, perp(2, cash=2_000.000_000_001)], "holds something else"),
    "owner": ([FIRST, moved(perp(2), owner=who(77))], "holds something else"),
    "new": ([FIRST, perp(2), perp(3)], "has appeared"),
    "requirement": (
        [
            FIRST,
            moved(
                perp(2),
                venue=Requirement(equity=wad(2_000.0), initial=wad(180.0), maintenance=wad(112.6)),
            ),
        ],
        "is measured otherwise by its contract",
    ),
    "funding": ([FIRST, due(perp(2), 0.01)], "is measured otherwise by its contract"),
}


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_a_full_read_that_shows_anything_else_disagrees(case: str) -> None:
    accounts, words = CONTRADICTIONS[case]
    before = carried(FIRST, perp(2))
    at = prices(before, survey(before))
    found = differences(before, at, state(accounts), ())
    assert len(found) == 1
    assert found[0].endswith(words)
    other = who(3) if case == "new" else who(2)
    assert found[0].startswith(other)
    assert differences(before, at, state(accounts), {other}) == (), "an event told of it"


def test_a_price_that_was_another_shows_in_every_account() -> None:
    before = carried(perp(1), perp(2))
    told = survey(before, mark=1_700.0)
    found = differences(before, prices(before, told), state([perp(1), perp(2)]), ())
    assert len(found) == 2


def test_what_could_not_be_read_is_not_called_gone() -> None:
    before = carried(perp(1), perp(2))
    found = differences(before, prices(before, survey(before)), state([perp(1)], gaps=[lost(2)]), ())
    assert found == (f"{who(2)} was not read",)


def test_an_option_past_its_expiry_is_compared_no_more() -> None:
    put = lyra_short(collateral=4_000.0)
    measured = state([put], venue=LYRA)
    before = carry(measured, Found(keys=("1",), next_block=101), block())
    late = dataclasses.replace(before.prices, at_s=PUT.expiry_s)
    assert differences(before, late, state([], venue=LYRA), ()) == ()
