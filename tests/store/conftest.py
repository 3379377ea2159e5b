"""Every test of the store runs on both databases."""

from pathlib import Path

import pytest

from keeper.store.place import Place
from tests.support.postgres import Server


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Where a new store may be made."""
    if request.param == "sqlite":
        return tmp_path / "keeper.sqlite"
    server: Server = request.getfixturevalue("postgres")
    return server.new_schema()
