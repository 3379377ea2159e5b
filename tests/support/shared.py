"""Where the bulk vectors and recordings lie: read in place, never copied, skipped where absent."""

import os
from pathlib import Path

import pytest

_BESIDE_CHECKOUT = Path(__file__).resolve().parents[3] / "shared"


def shared(relative: str) -> Path:
    """Return a file or folder of the shared material, or skip the test.

    The folder is named by `KEEPER_SHARED`, else it is `../shared` beside the checkout.
    """
    path = Path(os.environ.get("KEEPER_SHARED", _BESIDE_CHECKOUT)) / relative
    if not path.exists():
        pytest.skip(f"shared material {relative} is not here (set KEEPER_SHARED to its folder)")
    return path


def vectors(relative: str) -> Path:
    """Return a file of the public test vectors, or skip the test."""
    return shared(f"vectors/{relative}")


def recordings(relative: str) -> Path:
    """Return a file of the recorded market data, or skip the test."""
    return shared(f"recordings/{relative}")
