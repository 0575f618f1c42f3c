"""What was used, by kind of work too, and what was paid for it as the ledger says."""

from gesso.db.ddl import index_concurrently, script

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

# `requests` to `missed` stand on the day they were asked for (of prompt tools, too), `spent` (microcredits) and `uses`
# (of allowances) on the day of their captures in the journal. `user_id` is all zeros for nobody in particular.
# `kind` is a generation's, 'prompt' for the prompt tools, 'other' for what is not there any more.
# `usage_rolled.movement`: no movement of a day that is not summed up has a lower id.
# The sums are made anew by their task, from the first day on; until it is there, days are read from their own rows.
_SUMS = """
TRUNCATE usage_day;
ALTER TABLE usage_day
    ADD COLUMN kind text NOT NULL,
    ADD COLUMN failed integer NOT NULL,
    ADD COLUMN uses bigint NOT NULL,
    DROP CONSTRAINT usage_day_pkey,
    ADD CONSTRAINT usage_day_pkey PRIMARY KEY (workspace_id, day, user_id, kind, model_key);
ALTER TABLE usage_rolled ADD COLUMN movement bigint NOT NULL DEFAULT 0;
UPDATE usage_rolled SET until = (SELECT least(min(created_at), now() - interval '2 days')::date FROM workspace);
"""


def upgrade() -> None:
    """An index of a few pages, for the days of all workspaces; then two small tables, held for a moment."""
    index_concurrently(
        "ix_credit_journal_created_at", "credit_journal USING brin (created_at) WITH (autosummarize = on)"
    )
    script(_SUMS)
