"""Run by Alembic: the connection is handed in by `monitor.store.migrate`."""

from alembic import context

from monitor.store.tables import metadata

config = getattr(context, "config", None)
if config is not None:  # Alembic has set the stage; whoever only looks for doctests has not
    context.configure(connection=config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()
