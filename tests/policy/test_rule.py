"""Rules as data: a stack of them says of each account what that account's own rule says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper.policy.rule import (
    Anchored,
    CrossMargin,
    Factors,
    PerpLeg,
    Possession,
    ShortOption,
    Standing,
    VenueRule,
    stacked,
)
from keeper.risk.inputs import Floats
from tests.risk.test_lyra_collateral import TERMS as LYRA_TERMS

usd = st.floats(-1e6, 1e6)
price = st.floats(0.01, 1e5)
names = st.sampled_from(["BTC", "ETH", "SOL"])
legs = st.builds(PerpLeg, underlying=names, size_base=st.floats(-1e3, 1e3), mark_usd=price, entry_usd=price)
crossed = st.builds(
    CrossMargin,
    dollars_usd=usd,
    kind_usd=st.just(()) | st.builds(lambda x: (("ETH", x),), usd),
    legs=st.lists(legs, max_size=4).map(tuple),
    initial_ratio=st.just(0.1),
    maintenance_ratio=st.sampled_from([0.0625, 0.05]),
)
anchored = st.builds(Anchored, twin=crossed, equity_usd=usd, initial_usd=usd, maintenance_usd=usd)
possessed = st.builds(
    Possession, dollars_usd=usd, kind_usd=st.builds(lambda x, y: (("BTC", x), ("ETH", y)), usd, usd)
)
shorts = st.builds(
    ShortOption,
    underlying=names,
    terms=st.just(LYRA_TERMS),
    is_call=st.booleans(),
    in_base=st.booleans(),
    strike_usd=st.floats(100.0, 1e4),
    seconds=st.floats(-1e5, 3e7),
    short_base=st.floats(0.01, 100.0),
    collateral=st.floats(0.0, 1e5),
    spot_usd=st.floats(100.0, 1e4),
)
N = 5
moves = st.lists(st.floats(0.05, 4.0), min_size=N, max_size=N).map(np.array)


def figures(standing: Standing) -> tuple[Floats, Floats, Floats, Floats]:
    return standing.equity_usd, standing.initial_usd, standing.maintenance_usd, standing.excess_usd


def by_form(rules: list[VenueRule]) -> list[list[VenueRule]]:
    groups: dict[object, list[VenueRule]] = {}
    for rule in rules:
        groups.setdefault(rule.form, []).append(rule)
    return list(groups.values())


@settings(max_examples=60)
@given(st.lists(crossed | anchored | possessed, min_size=1, max_size=8), moves, moves, moves)
def test_a_row_of_a_stack_is_the_account_s_own_answer_to_the_last_bit(
    rules: list[VenueRule], ether: Floats, bitcoin: Floats, perps: Floats
) -> None:
    factors = Factors(n=N, spot={"ETH": ether, "BTC": bitcoin}, perp={"ETH": perps})
    for group in by_form(rules):
        together = figures(stacked(group)(factors))
        assert {figure.shape for figure in together} == {(len(group), N)}
        for row, rule in enumerate(group):
            for many, alone in zip(together, figures(rule(factors)), strict=True):
                assert many[row].tolist() == alone.tolist()


@settings(max_examples=40)
@given(st.lists(shorts, min_size=1, max_size=8), moves)
def test_so_it_is_of_options_whatever_their_rights_and_expiries(
    rules: list[VenueRule], moved: Floats
) -> None:
    factors = Factors(n=N, spot={"ETH": moved})
    for group in by_form(rules):
        together = figures(stacked(group)(factors))
        for row, rule in enumerate(group):
            for many, alone in zip(together, figures(rule(factors)), strict=True):
                assert many[row] == pytest.approx(alone, rel=1e-12, abs=1e-9)


@settings(max_examples=40)
@given(st.lists(crossed, min_size=1, max_size=5), st.data())
def test_each_row_may_have_states_of_its_own(rules: list[VenueRule], data: st.DataObject) -> None:
    for group in by_form(rules):
        own = np.array([data.draw(moves) for _ in group])
        together = figures(stacked(group)(Factors(n=N, spot={"ETH": own})))
        for row, rule in enumerate(group):
            alone = figures(rule(Factors(n=N, spot={"ETH": own[row]})))
            for many, one in zip(together, alone, strict=True):
                assert many[row].tolist() == one.tolist()


def test_rules_of_other_forms_do_not_stack() -> None:
    bare = CrossMargin(dollars_usd=1.0, kind_usd=(), legs=(), initial_ratio=0.1, maintenance_ratio=0.05)
    kind = CrossMargin(
        dollars_usd=1.0, kind_usd=(("ETH", 5.0),), legs=(), initial_ratio=0.1, maintenance_ratio=0.05
    )
    held = Possession(dollars_usd=1.0, kind_usd=())
    start = Anchored(twin=bare, equity_usd=0.0, initial_usd=0.0, maintenance_usd=0.0)
    assert len({bare.form, kind.form, held.form, start.form}) == 4
    assert len({bare.form, kind.form, held.form, start.form}) == 4
