"""Runs inside Alembic. The connection, opened and locked by `gesso.db.migrate`, comes in `attributes`."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
