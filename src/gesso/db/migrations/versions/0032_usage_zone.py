"""Whose days the sums of use are."""

from gesso.db.ddl import script

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

# Where the site's time zone is another one, its days are read from their own rows until they are summed up anew.
_ZONE = "ALTER TABLE usage_rolled ADD COLUMN zone text NOT NULL DEFAULT 'UTC'"


def upgrade() -> None:
    script(_ZONE)
