"""Requests grow with the gas of what is read, not with the number of accounts."""

import pytest

from keeper.devnet.bulk import seed_many
from keeper.protocols.adapter import Found
from tests.conformance.subject import subject_on
from tests.support.chains import Chains

pytestmark = pytest.mark.devnet

OPTIONS, TRADERS = 200, 120


def test_hundreds_of_positions_take_a_handful_of_requests(chains: Chains) -> None:
    seed_many(chains.world, options=OPTIONS, traders=TRADERS)
    for name, least in (("lyra", OPTIONS), ("curie", TRADERS)):
        subject = subject_on(chains, name)
        at = subject.client.head()
        found = subject.client.run(subject.adapter.discover(subject.venue, Found(), at), at)
        assert len(found.keys) >= least
        subject.read(found)  # the client has learned what each call takes
        before = subject.client.requests
        state = subject.client.run(subject.adapter.read(subject.venue, found, subject.wallets, at), at)
        assert len(state.accounts) >= least
        assert state.gaps == ()
        assert subject.client.requests - before <= 8
        subject.client.close()
