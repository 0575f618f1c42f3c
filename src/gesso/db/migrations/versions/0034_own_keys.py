"""People's own provider keys, whether they want them used, and what runs on them."""

from alembic import op

from gesso.db.ddl import definer, role, script, share

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

# A key is one person's in one workspace, and goes with their membership. It is good for the connections of this adapter
# at this address, and no others: an operator who points a connection elsewhere does not take people's keys along.
# `refused`: why its provider would not have it; it rests until it is replaced, or tried with success.
# A row of `own_key_use` says that its person wants them used.
_TABLES = """
CREATE TABLE own_key (
    id uuid CONSTRAINT own_key_pkey PRIMARY KEY,
    workspace_id uuid NOT NULL,
    user_id uuid NOT NULL,
    adapter text NOT NULL,
    base_url text,
    sealed_key bytea NOT NULL,
    key_id text NOT NULL,
    key_hint text,
    refused text CONSTRAINT own_key_refused_check CHECK (refused IN ('key', 'credit')),
    refused_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT own_key_provider_key UNIQUE NULLS NOT DISTINCT (workspace_id, user_id, adapter, base_url),
    CONSTRAINT own_key_membership_fkey FOREIGN KEY (workspace_id, user_id)
        REFERENCES membership (workspace_id, user_id) ON DELETE CASCADE,
    CONSTRAINT own_key_refused_at_check CHECK ((refused IS NULL) = (refused_at IS NULL))
);
CREATE TABLE own_key_use (
    workspace_id uuid NOT NULL,
    user_id uuid NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT own_key_use_pkey PRIMARY KEY (workspace_id, user_id),
    CONSTRAINT own_key_use_membership_fkey FOREIGN KEY (workspace_id, user_id)
        REFERENCES membership (workspace_id, user_id) ON DELETE CASCADE
);
"""

# Calls through a key count against the key: `attempt.connection_id` names it where `own_key` says so.
_MARKS = """
ALTER TABLE generation ADD COLUMN own_key boolean NOT NULL DEFAULT false;
ALTER TABLE prompt_record ADD COLUMN own_key boolean NOT NULL DEFAULT false;
ALTER TABLE attempt ADD COLUMN own_key boolean NOT NULL DEFAULT false;
"""

_GONE = """
CREATE FUNCTION own_key_gone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM connection_health WHERE connection_id = OLD.id;
    RETURN NULL;
END $$
"""


def upgrade() -> None:
    script(_TABLES)
    for table, granted in (("own_key", "SELECT, INSERT, UPDATE, DELETE"), ("own_key_use", "SELECT, INSERT, DELETE")):
        mine = "workspace_id = gesso_workspace() AND user_id = gesso_user()"
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY {table}_mine ON {table} FOR ALL TO {role('app')} USING ({mine}) WITH CHECK ({mine})")
        op.execute(
            f"CREATE POLICY {table}_elevated ON {table} FOR ALL TO {role('elevated')} USING (true) WITH CHECK (true)"
        )
        share(table, granted)
    definer(_GONE, "own_key_gone()")
    op.execute("CREATE TRIGGER own_key_gone AFTER DELETE ON own_key FOR EACH ROW EXECUTE FUNCTION own_key_gone()")
    script(_MARKS)
