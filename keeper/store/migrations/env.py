"""Alembic's entry point: runs the revisions on the connection that `keeper.store.migrate` opened."""

from alembic import context

from keeper.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
