"""Every account is in the profile of its owner, and in the catch-all only when nobody names it."""

from keeper.model.margin import Role
from keeper.model.params import ProfileParams
from keeper.policy.membership import members
from tests.support.books import DESK, STRANGER, curie_account, lyra_short

ACCOUNTS = (lyra_short("1"), lyra_short("2", owner=STRANGER), curie_account(), curie_account(owner=STRANGER))
EVERYBODY_ELSE = ProfileParams(name="watched", role=Role.WATCH, owners=())


def test_named_owners_and_the_rest() -> None:
    desk = ProfileParams(name="desk", role=Role.OWN, owners=(DESK,))
    held = members(ACCOUNTS, (desk, EVERYBODY_ELSE))
    assert [a.owner for a in held["desk"]] == [DESK, DESK]
    assert [a.owner for a in held["watched"]] == [STRANGER, STRANGER]


def test_chains_restrict() -> None:
    held = members(ACCOUNTS, (ProfileParams(name="options", role=Role.OWN, owners=(DESK,), chains=(10,)),))
    assert [a.chain_id for a in held["options"]] == [10]


def test_a_named_owner_does_not_fall_into_the_rest_on_another_chain() -> None:
    desk = ProfileParams(name="desk", role=Role.OWN, owners=(DESK,), chains=(10,))
    assert all(a.owner != DESK for a in members(ACCOUNTS, (desk, EVERYBODY_ELSE))["watched"])
