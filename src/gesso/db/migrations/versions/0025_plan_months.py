"""What a plan's month has given, how long a plan is paid for, and which plan comes next."""

from gesso.db.ddl import index_concurrently, script

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

# May be repeated: the index below commits it. `plan_given` is by unit, as plan.monthly_grants, and counts until
# `plan_given_until`; for months that are running already it is what their lots say.
_CHANGES = """
ALTER TABLE workspace
    ADD COLUMN IF NOT EXISTS plan_paid_until timestamptz,
    ADD COLUMN IF NOT EXISTS plan_given jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS plan_given_until timestamptz,
    ADD COLUMN IF NOT EXISTS plan_next_key text,
    ADD COLUMN IF NOT EXISTS plan_next_at timestamptz;
ALTER TABLE workspace DROP CONSTRAINT IF EXISTS workspace_plan_next_check;
ALTER TABLE workspace ADD CONSTRAINT workspace_plan_next_check
    CHECK ((plan_next_key IS NULL) = (plan_next_at IS NULL)) NOT VALID;

UPDATE workspace w SET plan_given = month.given, plan_given_until = month.expires_at
FROM (
    SELECT workspace_id, expires_at, jsonb_object_agg(unit, amount) AS given
    FROM (SELECT workspace_id, expires_at, unit, sum(amount) AS amount FROM credit_lot
          WHERE source = 'plan' AND expires_at > now() GROUP BY workspace_id, expires_at, unit) lots
    GROUP BY workspace_id, expires_at
) month
WHERE month.workspace_id = w.id AND month.expires_at = w.plan_renews_at AND w.plan_given_until IS NULL;

-- Lets what a source gave, and is not over, end at another moment. Returns how many lots that changed.
CREATE OR REPLACE FUNCTION ledger_end_at(
    p_workspace uuid, p_source text, p_until timestamptz, p_now timestamptz DEFAULT NULL
) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    v_now timestamptz := coalesce(p_now, now());
    v_count integer;
BEGIN
    PERFORM ledger_lock(p_workspace);
    UPDATE credit_lot SET expires_at = p_until
    WHERE workspace_id = p_workspace AND source = p_source AND closed_at IS NULL
      AND expires_at > v_now AND expires_at <> p_until AND p_until > v_now;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    RETURN v_count;
END $$;
"""


def upgrade() -> None:
    script(_CHANGES)
    index_concurrently("ix_workspace_plan_next_at", "workspace (plan_next_at) WHERE plan_next_at IS NOT NULL")
