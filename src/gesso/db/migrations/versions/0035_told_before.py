"""What a workspace's admins were told of before their plan's term takes it away."""

from gesso.db.ddl import script

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

# Columns without a default: no rewrite. Empty where nobody was told yet, which takes nothing away.
_TOLD = """
ALTER TABLE media_retention
    ADD COLUMN told_at timestamptz,
    -- All pictures with a lower id were told of, by told_at at the latest.
    ADD COLUMN told_below uuid,
    -- The same of the mail before, which was at least a week earlier.
    ADD COLUMN earlier_below uuid;
"""


def upgrade() -> None:
    script(_TOLD)
