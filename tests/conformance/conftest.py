"""The subjects of the suite: every adapter before and after the market's move, and each by name."""

from collections.abc import Iterator

import pytest

from keeper.protocols.registry import ADAPTERS
from tests.conformance.subject import Subject, subject_on
from tests.support.chains import Chains


def _closing(subject: Subject) -> Iterator[Subject]:
    yield subject
    subject.client.close()


@pytest.fixture(params=sorted(ADAPTERS))
def subject(request: pytest.FixtureRequest, chains: Chains) -> Iterator[Subject]:
    """Each adapter on its chain, as the market stands before its move."""
    yield from _closing(subject_on(chains, request.param))


@pytest.fixture(params=sorted(ADAPTERS))
def moved(request: pytest.FixtureRequest, chains: Chains) -> Iterator[Subject]:
    """Each adapter on its chain after the drop: accounts below their requirement on both."""
    chains.move()
    yield from _closing(subject_on(chains, request.param))


@pytest.fixture
def lyra(chains: Chains) -> Iterator[Subject]:
    yield from _closing(subject_on(chains, "lyra"))


@pytest.fixture
def curie(chains: Chains) -> Iterator[Subject]:
    yield from _closing(subject_on(chains, "curie"))
