"""A chain that obeys, and a keeper on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.execution.bell import BELL
from tests.execution.rig import Rig
from tests.execution.simulated_chain import SimulatedChain


@pytest.fixture
def chain() -> SimulatedChain:
    return SimulatedChain()


@pytest.fixture
def rig(tmp_path: Path, chain: SimulatedChain) -> Iterator[Rig]:
    rig = Rig(tmp_path, chain)
    yield rig
    rig.stop()


def effects(chain: SimulatedChain) -> list[int]:
    return sorted(chain.effects(BELL).values())
