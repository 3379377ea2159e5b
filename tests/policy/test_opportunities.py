"""Pairs that stand against each other: found, named the right way round, and worth what they say."""

import pytest

from keeper.model.book import Account
from keeper.model.margin import MarginProfile, Role
from keeper.policy.decide import margin_profiles
from tests.support.books import CALL_ID, curie_account, lyra_short, params, snapshot


def desk(*accounts: Account, role: Role = Role.OWN) -> MarginProfile:
    return margin_profiles(snapshot(accounts), params(role=role, hedges=()))[0]


SHORT = curie_account(size=-4.0)
PUT = lyra_short("1", size=-8.0)
CALL = lyra_short("2", size=-6.0, instrument=CALL_ID, collateral=9_000.0, needed=4_000.0)


def test_a_short_put_and_a_short_perp_save_what_netting_them_saves() -> None:
    profile = desk(SHORT, PUT)
    (pair,) = profile.opportunities
    # A short put is long delta.
    assert (pair.long, pair.short, pair.underlying) == (PUT.id, SHORT.id, "ETH")
    assert pair.saves_usd == pytest.approx(profile.netting_benefit_usd)


def test_the_best_pair_comes_first_and_each_is_that_of_its_two_accounts_alone() -> None:
    profile = desk(SHORT, PUT, CALL)
    assert len(profile.opportunities) >= 2
    savings = [o.saves_usd for o in profile.opportunities]
    assert savings == sorted(savings, reverse=True)
    by_id = {a.id: a for a in (SHORT, PUT, CALL)}
    for pair in profile.opportunities:
        alone = desk(by_id[pair.long], by_id[pair.short])
        assert pair.saves_usd == pytest.approx(alone.netting_benefit_usd)


def test_collateral_in_kind_belongs_to_its_accounts_leg() -> None:
    covered = lyra_short("3", size=-2.0, instrument=CALL_ID, in_base=True, collateral=2.0, needed=1.0)
    (pair,) = desk(SHORT, covered).opportunities
    assert (pair.long, pair.short) == (covered.id, SHORT.id)


def test_two_accounts_on_the_same_side_save_nothing_worth_naming() -> None:
    assert desk(PUT, lyra_short("4", size=-2.0)).opportunities == ()
    assert desk(PUT).opportunities == ()


def test_strangers_have_no_opportunities_with_each_other() -> None:
    assert desk(SHORT, PUT, role=Role.WATCH).opportunities == ()
    assert len(desk(SHORT, PUT, role=Role.MEMBER).opportunities) == 1
