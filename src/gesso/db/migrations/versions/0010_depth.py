"""Indexes for what was slow in large archives, and the months of pictures that were there before."""

from alembic import op

from gesso.db import ddl

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_INDEXES = {
    # the kind, the source and the bin are told by the index itself, so that a model without videos need not be read
    "asset_of_model_idx": "asset (workspace_id, model_key, id DESC) INCLUDE (kind, source, deleted_at) "
    "WHERE model_key IS NOT NULL",
    "asset_favourite_model_idx": "asset (workspace_id, model_key, id DESC) WHERE favourite",
    # what one member asked for, among everybody's
    "generation_user_idx": "generation (workspace_id, user_id, id DESC)",
    "ix_credit_journal_spent_by": "credit_journal (workspace_id, user_id, id DESC) WHERE kind = 'capture'",
    # grants and their like stand far apart among holds and captures
    "ix_credit_journal_statement": "credit_journal (workspace_id, id DESC) "
    "WHERE kind IN ('grant', 'expire', 'refund', 'repay')",
}

# A workspace at a time, in a transaction of its own. Whoever adds or removes pictures locks the row of media_usage
# before counting, too: what they committed before is seen here, what comes after is added to what is counted here.
_COUNT = """
BEGIN;
SELECT FROM media_usage WHERE workspace_id = '{0}' FOR UPDATE;
INSERT INTO media_month (workspace_id, month, made)
SELECT workspace_id, media_month_of(id), count(*) FILTER (WHERE deleted_at IS NULL) FROM asset
WHERE workspace_id = '{0}' AND source = 'generated'
    AND EXISTS (SELECT FROM media_usage WHERE workspace_id = '{0}' AND NOT months_counted)
GROUP BY 1, 2;
UPDATE media_usage SET months_counted = true WHERE workspace_id = '{0}';
COMMIT;
"""


def upgrade() -> None:
    """May be run again after it stopped halfway."""
    for name, on in _INDEXES.items():
        ddl.index_concurrently(name, on)
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS asset_model_idx")
        waiting = op.get_bind().exec_driver_sql("SELECT workspace_id FROM media_usage WHERE NOT months_counted")
        for (workspace_id,) in waiting.all():
            ddl.script(_COUNT.format(workspace_id))
