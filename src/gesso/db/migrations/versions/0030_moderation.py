"""Models that judge, their chain, what they stopped or let pass with a question, and pictures taken down."""

from gesso.db.ddl import protect, script

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

# `model` and `chain` are small: reading them through takes no time. `asset` is not: its check looks at new rows only.
_CHANGES = """
ALTER TABLE model DROP CONSTRAINT model_kind_check, ADD CONSTRAINT model_kind_check
    CHECK (kind IN ('image', 'video', 'chat', 'vision', 'moderation'));
-- Nobody is sold a judgement.
ALTER TABLE model DROP CONSTRAINT model_priced_check, ADD CONSTRAINT model_priced_check
    CHECK (NOT enabled OR price IS NOT NULL OR kind = 'moderation');
ALTER TABLE chain DROP CONSTRAINT chain_key_check, ADD CONSTRAINT chain_key_check
    CHECK (key IN ('text', 'vision', 'moderation'));
ALTER TABLE asset DROP CONSTRAINT asset_deleted_for_check, ADD CONSTRAINT asset_deleted_for_check
    CHECK (deleted_for IN ('retention', 'unused', 'taken_down')) NOT VALID;
ALTER TABLE media_deletion DROP CONSTRAINT media_deletion_reason_check, ADD CONSTRAINT media_deletion_reason_check
    CHECK (reason IN ('person', 'retention', 'unused', 'taken_down', 'orphan', 'sample')) NOT VALID;
"""

_TABLE = """
-- One line for each prompt or output that the rules or a judge stopped, that a judge was unsure about, or that nobody
-- could judge. Those a judge was unsure about wait for the operator's decision.
CREATE TABLE moderation_event (
    workspace_id uuid NOT NULL CONSTRAINT moderation_event_workspace_id_fkey
        REFERENCES workspace (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    user_id uuid,
    stage text NOT NULL CONSTRAINT moderation_event_stage_check CHECK (stage IN ('prompt', 'output')),
    subject text NOT NULL CONSTRAINT moderation_event_subject_check CHECK (subject IN ('image', 'video', 'improve')),
    outcome text NOT NULL CONSTRAINT moderation_event_outcome_check
        CHECK (outcome IN ('blocked', 'review', 'unjudged')),
    policy text NOT NULL CONSTRAINT moderation_event_policy_check CHECK (policy IN ('general', 'adult')),
    -- Of the built-in rules; NULL: a judge's doing.
    rule text,
    -- What the judge saw in it: category → score from 0 to 1.
    categories jsonb NOT NULL DEFAULT '{}',
    prompt text NOT NULL DEFAULT '',
    model_key text,
    attempt_id uuid,
    -- No foreign keys: a line outlives what it is about.
    generation_id uuid,
    asset_id uuid,
    created_at timestamptz NOT NULL,
    decision text CONSTRAINT moderation_event_decision_check CHECK (decision IN ('kept', 'taken_down')),
    decided_at timestamptz,
    decided_by uuid,
    reason text,
    -- What a take-down took, for its undoing.
    taken uuid[],
    CONSTRAINT moderation_event_pkey PRIMARY KEY (workspace_id, id),
    CONSTRAINT moderation_event_decided_check CHECK ((decision IS NULL) = (decided_at IS NULL))
);
CREATE UNIQUE INDEX moderation_event_id_idx ON moderation_event (id);
CREATE INDEX moderation_event_waiting_idx ON moderation_event (id) WHERE outcome = 'review' AND decision IS NULL;
CREATE INDEX moderation_event_outcome_idx ON moderation_event (outcome, id);
CREATE INDEX moderation_event_decision_idx ON moderation_event (id) WHERE decision IS NOT NULL;
-- A worker that begins again judges again; the line stays one.
CREATE UNIQUE INDEX moderation_event_asset_idx ON moderation_event (workspace_id, asset_id);
"""


def upgrade() -> None:
    script(_CHANGES)
    script(_TABLE)
    protect("moderation_event")
