"""Roles' view of the schema, the functions policies read, the queue, and small shared tables."""

from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment

from gesso.db import ddl

revision = "0001"
down_revision = None


def upgrade() -> None:
    ddl.script(
        """
        CREATE EXTENSION IF NOT EXISTS citext;
        CREATE EXTENSION IF NOT EXISTS btree_gin;
        CREATE EXTENSION IF NOT EXISTS pg_trgm;

        CREATE FUNCTION gesso_workspace() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
            RETURN nullif(current_setting('gesso.workspace', true), '')::uuid;
        CREATE FUNCTION gesso_user() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
            RETURN nullif(current_setting('gesso.user', true), '')::uuid;

        -- requests counted in fixed windows; unlogged, since losing them in a crash only forgives
        CREATE UNLOGGED TABLE rate_window (
            key text NOT NULL,
            window_start timestamptz NOT NULL,
            count integer NOT NULL,
            expires_at timestamptz NOT NULL,
            PRIMARY KEY (key, window_start)
        );
        CREATE INDEX ix_rate_window_expires_at ON rate_window (expires_at);

        CREATE TABLE idempotency_key (
            workspace_id uuid NOT NULL,
            route text NOT NULL,
            key text NOT NULL,
            body_hash bytea NOT NULL,
            response_status integer NOT NULL,
            response_body jsonb NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (workspace_id, route, key)
        );
        CREATE INDEX ix_idempotency_key_created_at ON idempotency_key (created_at);

        CREATE TABLE worker_seen (
            worker_id uuid PRIMARY KEY,
            host text NOT NULL,
            started_at timestamptz NOT NULL DEFAULT now(),
            seen_at timestamptz NOT NULL DEFAULT now()
        );
        """
    )
    ddl.definer(
        """
        CREATE FUNCTION gesso_schema_revision() RETURNS text LANGUAGE sql STABLE
            AS $$ SELECT version_num FROM alembic_version $$
        """,
        "gesso_schema_revision()",
    )
    ddl.share("rate_window", app="SELECT, INSERT, UPDATE")
    ddl.share("worker_seen", app="SELECT, INSERT, UPDATE, DELETE")
    ddl.protect("idempotency_key", app="SELECT, INSERT")
    _queue()


def _queue() -> None:
    """pgqueuer's tables, without its NOTIFY trigger: that would notify inside the money transaction.

    `gesso.jobs.enqueue` wakes workers after the commit instead.
    """
    environment = QueryBuilderEnvironment()
    ddl.script(environment.build_install_query())
    ddl.script(environment.build_optimize_autovacuum_query())
    ddl.script("DROP TRIGGER tg_pgqueuer_changed ON pgqueuer")
    for table in ("pgqueuer", "pgqueuer_log", "pgqueuer_schedules", "pgqueuer_statistics"):
        ddl.share(table, app="SELECT, INSERT, UPDATE, DELETE")
    for table in ("pgqueuer", "pgqueuer_schedules", "pgqueuer_statistics"):
        ddl.script(f"GRANT USAGE ON SEQUENCE {table}_id_seq TO {ddl.role('app')}, {ddl.role('elevated')}")
