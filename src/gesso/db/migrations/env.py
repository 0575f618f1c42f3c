"""Runs inside Alembic. The connection, opened and locked by `gesso.db.migrate`, comes in `attributes`."""

from typing import Any

from alembic import context

from gesso.db.listen import SCHEMA_CHANNEL


def tell(ctx: Any, *_: Any, **__: Any) -> None:
    """With each migration's own commit: running processes prepare their statements anew."""
    ctx.connection.exec_driver_sql(f"SELECT pg_notify('{SCHEMA_CHANNEL}', '{{}}')")


context.configure(
    connection=context.config.attributes["connection"],
    transaction_per_migration=True,
    on_version_apply=tell,
)
with context.begin_transaction():
    context.run_migrations()
