"""The whole keeper, after the market has moved against it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from keeper.execution.executor import Executor
from tests.faults.whole import PACE, Whole
from tests.support.chains import Chains


@pytest.fixture
def make_whole(
    chains: Chains, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Whole]]:
    """Makes a keeper's files; the market has moved."""
    monkeypatch.setattr("keeper.service.wire.Executor", partial(Executor, pace=PACE))
    monkeypatch.setattr("keeper.execution.executor._SHORT_WAIT_S", 0.1, raising=False)
    with ExitStack() as stack:

        def make(*changes: tuple[str, str], **options: Any) -> Whole:
            chains.move()
            return Whole(chains, tmp_path, stack, *changes, **options)

        yield make


@pytest.fixture
def whole(make_whole: Callable[..., Whole]) -> Whole:
    return make_whole()
