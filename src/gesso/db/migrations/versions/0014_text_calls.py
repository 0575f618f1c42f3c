"""Calls of no generation, what was said in each, chains, prompt tools, and how connections fared by the hour."""

from alembic import op

from gesso.db.ddl import definer, protect, script, share

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

# A call belongs to a generation and its outputs, or to neither: then `purpose` says what it was for. `prices` is what
# a fallback model charges for each of the outputs, in their order; NULL: what is held for them.
_ATTEMPT = """
ALTER TABLE attempt
    ALTER COLUMN generation_id DROP NOT NULL,
    ALTER COLUMN output_indexes DROP NOT NULL,
    ADD COLUMN purpose text NOT NULL DEFAULT 'generation',
    ADD COLUMN user_id uuid,
    ADD COLUMN input_tokens integer,
    ADD COLUMN output_tokens integer,
    ADD COLUMN prices jsonb,
    ADD CONSTRAINT attempt_purpose_check CHECK (purpose IN
        ('generation', 'improve', 'describe', 'chat', 'moderation', 'pipeline', 'summary')) NOT VALID,
    ADD CONSTRAINT attempt_of_generation_check CHECK (
        (generation_id IS NULL) = (output_indexes IS NULL)
        AND (generation_id IS NULL) = (purpose <> 'generation')) NOT VALID,
    ADD CONSTRAINT attempt_tokens_check CHECK (least(input_tokens, output_tokens) >= 0) NOT VALID;
ALTER TABLE output ADD COLUMN charged jsonb;
COMMENT ON COLUMN output.charged IS 'what was paid where it is less than the price';
ALTER TABLE connection ADD COLUMN options jsonb NOT NULL DEFAULT '{}';
UPDATE connection SET applied = (applied::jsonb || '{"options": {}}')::json WHERE applied IS NOT NULL;
"""

_TABLES = """
-- Shapes and short values of requests and answers (providers/exchange.py); kept for two weeks.
CREATE TABLE attempt_exchange (
    workspace_id uuid NOT NULL,
    attempt_id uuid NOT NULL,
    number bigint GENERATED ALWAYS AS IDENTITY,
    at timestamptz NOT NULL,
    operation text NOT NULL CONSTRAINT attempt_exchange_operation_check
        CHECK (operation IN ('submit', 'poll', 'find', 'cancel', 'write', 'judge')),
    method text NOT NULL,
    url text NOT NULL,
    status integer,
    took_ms integer NOT NULL,
    request text,
    response text,
    CONSTRAINT attempt_exchange_pkey PRIMARY KEY (workspace_id, attempt_id, number),
    CONSTRAINT attempt_exchange_attempt_fkey FOREIGN KEY (workspace_id, attempt_id)
        REFERENCES attempt (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX attempt_exchange_at_idx ON attempt_exchange (at);

-- What ended in an hour that is over, per connection. `connection_hours.until`: the first hour that is not in it.
CREATE TABLE connection_hour (
    connection_id uuid NOT NULL,
    hour timestamptz NOT NULL,
    calls integer NOT NULL,
    succeeded integer NOT NULL,
    -- error kind → how many
    failures jsonb NOT NULL DEFAULT '{}',
    -- of those that succeeded; NULL without one
    p50_ms integer,
    p95_ms integer,
    cost_micro_usd bigint NOT NULL DEFAULT 0,
    CONSTRAINT connection_hour_pkey PRIMARY KEY (connection_id, hour)
);
CREATE TABLE connection_hours (
    singleton boolean NOT NULL DEFAULT true CONSTRAINT connection_hours_pkey PRIMARY KEY
        CONSTRAINT connection_hours_singleton_check CHECK (singleton),
    until timestamptz NOT NULL
);
INSERT INTO connection_hours (until) VALUES (date_trunc('hour', now() - interval '7 days'));

-- In which order models are asked for text, or to look at pictures. Without a row: the enabled ones by position.
CREATE TABLE chain (
    id uuid CONSTRAINT chain_pkey PRIMARY KEY,
    key text NOT NULL CONSTRAINT chain_key_key UNIQUE
        CONSTRAINT chain_key_check CHECK (key IN ('text', 'vision')),
    total_seconds integer NOT NULL DEFAULT 30
        CONSTRAINT chain_total_seconds_check CHECK (total_seconds BETWEEN 1 AND 600),
    -- [{"model": key, "seconds": until its first word}]
    links jsonb NOT NULL CONSTRAINT chain_links_check CHECK (jsonb_typeof(links) = 'array'),
    origin text NOT NULL CONSTRAINT chain_origin_check CHECK (origin IN ('edition', 'operator')),
    applied json,
    edited_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- One use of a prompt tool: what went in, what came out, what was paid.
CREATE TABLE prompt_record (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    kind text NOT NULL CONSTRAINT prompt_record_kind_check CHECK (kind IN ('improve', 'describe')),
    state text NOT NULL DEFAULT 'writing'
        CONSTRAINT prompt_record_state_check CHECK (state IN ('writing', 'done', 'failed')),
    input_text text NOT NULL DEFAULT '',
    asset_id uuid,
    output_text text,
    model_key text,
    attempt_id uuid,
    hold_id uuid NOT NULL,
    price jsonb NOT NULL,
    charged jsonb,
    input_tokens integer,
    output_tokens integer,
    error_code text,
    error_message text,
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    CONSTRAINT prompt_record_pkey PRIMARY KEY (workspace_id, id),
    CONSTRAINT prompt_record_finished_check CHECK ((state = 'writing') = (finished_at IS NULL)),
    CONSTRAINT prompt_record_done_check
        CHECK (state <> 'done' OR (output_text IS NOT NULL AND charged IS NOT NULL)),
    CONSTRAINT prompt_record_error_check
        CHECK ((state = 'failed') = (error_code IS NOT NULL) AND (error_code IS NULL) = (error_message IS NULL))
);
CREATE INDEX prompt_record_user_idx ON prompt_record (workspace_id, user_id, id DESC);
CREATE INDEX prompt_record_writing_idx ON prompt_record (expires_at) WHERE state = 'writing';
"""

# Webhooks speak of generations' calls only.
_FIND = """
CREATE OR REPLACE FUNCTION calls_find(p_client_key uuid)
RETURNS TABLE (workspace_id uuid, id uuid, generation_id uuid, state text, connection_id uuid, upstream text)
LANGUAGE sql STABLE AS $$
    SELECT a.workspace_id, a.id, a.generation_id, a.state, a.connection_id, a.upstream
    FROM attempt a WHERE a.client_key = p_client_key AND a.generation_id IS NOT NULL
$$
"""


def upgrade() -> None:
    script(_ATTEMPT)
    script(_TABLES)
    protect("attempt_exchange", app="SELECT, INSERT", elevated="SELECT, INSERT, DELETE")
    protect("prompt_record")
    share("chain")
    share("connection_hour", app="")
    share("connection_hours", app="")
    definer(_FIND, "calls_find(uuid)")
    # read through without keeping anybody from the table
    with op.get_context().autocommit_block():
        for name in ("purpose", "of_generation", "tokens"):
            op.execute(f"ALTER TABLE attempt VALIDATE CONSTRAINT attempt_{name}_check")
