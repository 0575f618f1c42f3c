"""Styles carry settings and can be switched off; what an operator removed stays removed, whatever an edition says."""

from gesso.db.ddl import script, share

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

# The table is small and both columns come with a constant: no rewrite, a short lock.
_CHANGES = """
ALTER TABLE style_preset
    ADD COLUMN settings json NOT NULL DEFAULT '{}',
    ADD COLUMN enabled boolean NOT NULL DEFAULT true;

CREATE TABLE catalog_removed (
    catalog_table text NOT NULL CONSTRAINT catalog_removed_catalog_table_check
        CHECK (catalog_table IN ('model', 'style_preset', 'chain')),
    key text NOT NULL,
    removed_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT catalog_removed_pkey PRIMARY KEY (catalog_table, key)
);
"""


def upgrade() -> None:
    script(_CHANGES)
    share("catalog_removed")
