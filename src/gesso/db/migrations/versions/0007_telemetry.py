"""Where a generation came from, and facts about the site that whoever finds them out notes for all processes."""

from gesso.db import ddl

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_TABLES = """
-- {"request_id", "traceparent", "untracked"}: what the worker's log lines and spans are to name, and whether the
-- browser asked to be left out of product statistics. Never read by anything that decides.
ALTER TABLE generation ADD COLUMN origin jsonb;

-- One row per fact, such as the ledger's last verification. Without workspaces: counts and sums only.
CREATE TABLE site_fact (
    name text NOT NULL CONSTRAINT site_fact_pkey PRIMARY KEY,
    value jsonb NOT NULL,
    noted_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 50);
"""


def upgrade() -> None:
    ddl.script(_TABLES)
    ddl.share("site_fact", app="")
