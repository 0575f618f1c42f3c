"""What operators took down goes in the end, too, and is reported as that."""

from gesso.db.ddl import script

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

# The table has a line a day, reason and workspace, and is read by operators only: reading it through takes no time.
_REASONS = """
ALTER TABLE media_deletion DROP CONSTRAINT media_deletion_reason_check,
    ADD CONSTRAINT media_deletion_reason_check
    CHECK (reason IN ('person', 'retention', 'unused', 'taken_down', 'orphan', 'sample'));
"""


def upgrade() -> None:
    script(_REASONS)
