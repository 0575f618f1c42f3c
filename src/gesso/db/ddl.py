"""What every migration says about who may touch a table. Used inside Alembic migrations only."""

from alembic import op

LOCK_SECONDS = 1
"""A migration waits at most this long for a table: whoever comes after it in the queue waits with it."""


def role(name: str) -> str:
    """The real name of an application role ("app" or "elevated") in this installation."""
    prefix = op.get_context().config.attributes["role_prefix"]  # type: ignore[union-attr]
    return f"{prefix}_{name}"


def script(sql: str) -> None:
    """Run several statements at once, inside the migration's transaction. `op.execute` takes only one."""
    op.execute("SELECT 1")  # makes sure that the transaction is open on the driver's side
    connection = op.get_bind().connection.dbapi_connection
    connection.run_async(lambda driver: driver.execute(sql))  # type: ignore[union-attr]


def protect(table: str, app: str = "SELECT, INSERT, UPDATE", elevated: str = "SELECT, INSERT, UPDATE, DELETE") -> None:
    """Row-level security for a table with `workspace_id`: the app role sees one workspace, the elevated all."""
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(
        f"CREATE POLICY {table}_workspace ON {table} FOR ALL TO {role('app')} "
        "USING (workspace_id = gesso_workspace()) WITH CHECK (workspace_id = gesso_workspace())"
    )
    op.execute(
        f"CREATE POLICY {table}_elevated ON {table} FOR ALL TO {role('elevated')} USING (true) WITH CHECK (true)"
    )
    share(table, app, elevated)


def share(table: str, app: str = "SELECT", elevated: str = "SELECT, INSERT, UPDATE, DELETE") -> None:
    """Grants on a table. Without `protect` only for tables that belong to no workspace."""
    if app:
        op.execute(f"GRANT {app} ON {table} TO {role('app')}")
    if elevated:
        op.execute(f"GRANT {elevated} ON {table} TO {role('elevated')}")


def definer(sql: str, signature: str) -> None:
    """A function that runs as the owner, past row-level security: for look-ups before a workspace is known.

    `sql` is the whole CREATE FUNCTION; `signature` names it with its argument types, e.g.
    "auth_session(bytea)". Its search path is fixed and only the two application roles may call it.
    """
    script(sql)
    op.execute(f"ALTER FUNCTION {signature} SECURITY DEFINER")
    op.execute(f"ALTER FUNCTION {signature} SET search_path = public, pg_temp")
    op.execute(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION {signature} TO {role('app')}, {role('elevated')}")


def index_concurrently(name: str, on: str, *, unique: bool = False) -> None:
    """Make an index while others read and write the table, e.g. `on="asset (workspace_id) WHERE deleted_at IS NULL"`.

    Outside a transaction: what the migration did before is committed by this, and the whole migration is run again
    when it fails later. So put such indexes into a migration of their own, or write its other statements so that
    they may be repeated. An index that an earlier try left half-made is dropped first.
    """
    context = op.get_context()
    with context.autocommit_block():
        # it waits for transactions that are older than itself, without keeping anybody else from the table
        op.execute("SET lock_timeout = 0")
        half_made = f"SELECT 1 FROM pg_index WHERE indexrelid = to_regclass('{name}') AND NOT indisvalid"
        if op.get_bind().exec_driver_sql(half_made).first():
            op.execute(f"DROP INDEX CONCURRENTLY {name}")
        op.execute(f"CREATE {'UNIQUE ' if unique else ''}INDEX CONCURRENTLY IF NOT EXISTS {name} ON {on}")
        op.execute(f"SET lock_timeout = '{LOCK_SECONDS}s'")
