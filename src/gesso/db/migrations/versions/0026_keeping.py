"""Pictures with the site's mark and the clean file behind it; what retention binned; a report of every deletion."""

from gesso.db import ddl

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

# Columns without a default, or with a constant one, and a check that looks at new rows only: no rewrite, no scan.
_COLUMNS = """
-- The file as the provider made it, where the delivered one (storage_key, sha256, …) carries the site's mark:
-- {"key", "sha256" (hex), "bytes", "media_type"}. NULL: nothing is behind the delivered file.
ALTER TABLE asset ADD COLUMN clean jsonb;
-- Why it is in the bin: NULL when a person put it there.
ALTER TABLE asset ADD COLUMN deleted_for text;
ALTER TABLE asset ADD CONSTRAINT asset_deleted_for_check CHECK (deleted_for IN ('retention', 'unused')) NOT VALID;
-- Whether the plan it was asked for under marks pictures.
ALTER TABLE generation ADD COLUMN watermark boolean NOT NULL DEFAULT false;
"""

_TABLES = """
-- One line a site's day, workspace and reason. Workspaces may be gone: no foreign key. Without one: files of nobody.
CREATE TABLE media_deletion (
    day date NOT NULL,
    workspace_id uuid,
    reason text NOT NULL CONSTRAINT media_deletion_reason_check
        CHECK (reason IN ('person', 'retention', 'unused', 'orphan', 'sample')),
    pictures bigint NOT NULL DEFAULT 0,
    videos bigint NOT NULL DEFAULT 0,
    uploads bigint NOT NULL DEFAULT 0,
    files bigint NOT NULL DEFAULT 0,
    bytes bigint NOT NULL DEFAULT 0,
    CONSTRAINT media_deletion_day_key UNIQUE NULLS NOT DISTINCT (day, reason, workspace_id)
);
-- Since when a workspace is known to be under which term: what a stricter one takes away is told of first.
CREATE TABLE media_retention (
    workspace_id uuid CONSTRAINT media_retention_pkey PRIMARY KEY
        CONSTRAINT media_retention_workspace_id_fkey REFERENCES workspace (id) ON DELETE CASCADE,
    days integer NOT NULL CONSTRAINT media_retention_days_check CHECK (days > 0),
    since timestamptz NOT NULL
);
CREATE TABLE media_missing (
    asset_id uuid CONSTRAINT media_missing_pkey PRIMARY KEY
        CONSTRAINT media_missing_asset_id_fkey REFERENCES asset (id) ON DELETE CASCADE,
    workspace_id uuid NOT NULL,
    storage_key text NOT NULL,
    found_at timestamptz NOT NULL
);
CREATE TABLE clean_up (
    night date CONSTRAINT clean_up_pkey PRIMARY KEY,
    begun_at timestamptz NOT NULL,
    ended_at timestamptz,
    -- Up to which picture files were looked for; the next night goes on from there.
    checked_to uuid
);
"""


def upgrade() -> None:
    ddl.script(_COLUMNS)
    ddl.script(_TABLES)
    ddl.protect("media_deletion", app="SELECT")
    ddl.protect("media_retention", app="SELECT")
    ddl.protect("media_missing", app="SELECT")
    ddl.share("clean_up", app="")
