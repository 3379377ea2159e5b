"""Alembic's scripts, run by `keeper.store.migrate`."""
