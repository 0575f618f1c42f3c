"""Indexes for pictures with a clean file behind them, and for generations under way that work from pictures."""

from gesso.db.ddl import index_concurrently

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    index_concurrently("asset_clean_idx", "asset (workspace_id, id) WHERE clean IS NOT NULL")
    index_concurrently(
        "generation_inputs_idx",
        "generation USING gin (inputs) WHERE state IN ('queued', 'running') AND inputs <> '{}'",
    )
