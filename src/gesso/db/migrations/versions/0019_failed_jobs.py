"""An index for the operator's list of what failed lately, across workspaces."""

from gesso.db.ddl import index_concurrently

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    index_concurrently("generation_failed_idx", "generation (id DESC) WHERE state = 'failed'")
