"""Plans and packs that are not offered any more, and those an operator removed for good."""

from gesso.db.ddl import script

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

# Constant defaults: no rewrite, a short lock. Who is on a hidden plan stays on it.
_HIDDEN = """
ALTER TABLE plan ADD COLUMN hidden boolean NOT NULL DEFAULT false;
ALTER TABLE pack ADD COLUMN hidden boolean NOT NULL DEFAULT false;
ALTER TABLE catalog_removed
    DROP CONSTRAINT catalog_removed_catalog_table_check,
    ADD CONSTRAINT catalog_removed_catalog_table_check
        CHECK (catalog_table IN ('model', 'style_preset', 'chain', 'plan', 'pack'));
"""


def upgrade() -> None:
    script(_HIDDEN)
