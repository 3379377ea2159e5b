"""Observers behind proxies, as the snapshot's own tests have them."""

from tests.snapshot.conftest import Watch, watch

__all__ = ["Watch", "watch"]
