"""An index for the films among somebody's own generations, of which there are few among many pictures."""

from gesso.db.ddl import index_concurrently

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    index_concurrently("generation_film_idx", "generation (workspace_id, user_id, id DESC) WHERE kind = 'video'")
