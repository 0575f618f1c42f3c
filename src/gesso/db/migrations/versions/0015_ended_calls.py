"""An index for what ended lately on a connection."""

from gesso.db.ddl import index_concurrently

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    index_concurrently("attempt_finished_idx", "attempt (finished_at) WHERE finished_at IS NOT NULL")
