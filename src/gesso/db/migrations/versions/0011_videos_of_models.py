"""An index for the videos of one model: a model that makes pictures has none, and that should be known at once."""

from gesso.db.ddl import index_concurrently

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """May be run again after it stopped halfway."""
    index_concurrently("asset_video_model_idx", "asset (workspace_id, model_key, id DESC) WHERE kind = 'video'")
