"""Generations, their outputs, the calls made for them, their events, and the health of connections."""

from gesso.db.ddl import definer, protect, script, share

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# Keyed by workspace first, so that a workspace's rows lie together and the tables can be split by it.
# There is no foreign key to `workspace`: every insert would lock its one row (seen: the hot wallet's cost).
_GENERATION = """
CREATE TABLE generation (
    id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    user_id uuid NOT NULL,
    kind text NOT NULL CONSTRAINT generation_kind_check CHECK (kind IN ('image', 'video')),
    state text NOT NULL CONSTRAINT generation_state_check
        CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
    source text NOT NULL CONSTRAINT generation_source_check CHECK (source IN ('page', 'api')),
    rerun_of uuid,
    model_key text NOT NULL,
    model_id uuid NOT NULL,
    model_name text NOT NULL,
    prompt text NOT NULL,
    negative_prompt text,
    params jsonb NOT NULL,
    inputs uuid[] NOT NULL DEFAULT '{}',
    count integer NOT NULL CONSTRAINT generation_count_check CHECK (count BETWEEN 1 AND 1000),
    seed bigint,
    -- The plan's limits when it was asked for: a change of plan holds from the next request on.
    priority integer NOT NULL,
    parallel integer NOT NULL CONSTRAINT generation_parallel_check CHECK (parallel >= 1),
    hold_id uuid NOT NULL,
    price jsonb NOT NULL,
    charged jsonb,
    progress real NOT NULL DEFAULT 0 CONSTRAINT generation_progress_check CHECK (progress BETWEEN 0 AND 1),
    warnings jsonb NOT NULL DEFAULT '[]',
    error_code text,
    error_message text,
    created_at timestamptz NOT NULL DEFAULT now(),
    queue_deadline_at timestamptz NOT NULL,
    dispatched_at timestamptz,
    started_at timestamptz,
    deadline_at timestamptz,
    finished_at timestamptz,
    -- The lease of the one worker that drives it: a token of that drive, and until when it holds.
    driver uuid,
    driven_until timestamptz,
    CONSTRAINT generation_pkey PRIMARY KEY (workspace_id, id),
    CONSTRAINT generation_hold_id_key UNIQUE (workspace_id, hold_id),
    CONSTRAINT generation_queued_check CHECK (state <> 'queued' OR started_at IS NULL),
    CONSTRAINT generation_running_check CHECK (state <> 'running'
        OR (dispatched_at IS NOT NULL AND started_at IS NOT NULL AND deadline_at IS NOT NULL)),
    CONSTRAINT generation_finished_check
        CHECK ((state IN ('succeeded', 'failed', 'cancelled')) = (finished_at IS NOT NULL)),
    CONSTRAINT generation_charged_check CHECK (finished_at IS NULL OR charged IS NOT NULL),
    CONSTRAINT generation_succeeded_check CHECK (state <> 'succeeded' OR started_at IS NOT NULL),
    CONSTRAINT generation_error_check
        CHECK ((state = 'failed') = (error_code IS NOT NULL) AND (error_code IS NULL) = (error_message IS NULL)),
    CONSTRAINT generation_lease_check CHECK ((driver IS NULL) = (driven_until IS NULL))
) WITH (fillfactor = 80);
-- A generation in flight is in exactly one of the next two: given to the workers, or waiting for its turn.
CREATE INDEX generation_in_flight_idx ON generation (workspace_id, priority DESC, dispatched_at)
    WHERE dispatched_at IS NOT NULL AND state IN ('queued', 'running');
CREATE INDEX generation_waiting_idx ON generation (workspace_id, priority DESC, id)
    WHERE dispatched_at IS NULL AND state = 'queued';
CREATE INDEX generation_recent_idx ON generation (model_key, finished_at DESC) INCLUDE (started_at)
    WHERE state = 'succeeded';

CREATE TABLE output (
    workspace_id uuid NOT NULL,
    generation_id uuid NOT NULL,
    index integer NOT NULL CONSTRAINT output_index_check CHECK (index >= 0),
    asset_id uuid NOT NULL CONSTRAINT output_asset_id_key UNIQUE,
    state text NOT NULL DEFAULT 'pending' CONSTRAINT output_state_check
        CHECK (state IN ('pending', 'delivered', 'failed', 'cancelled')),
    seed bigint,
    price jsonb NOT NULL,
    -- It turned up after the hold was given back: kept, and free.
    late boolean NOT NULL DEFAULT false,
    error_code text,
    error_message text,
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    CONSTRAINT output_pkey PRIMARY KEY (workspace_id, generation_id, index),
    CONSTRAINT output_generation_fkey FOREIGN KEY (workspace_id, generation_id)
        REFERENCES generation (workspace_id, id) ON DELETE CASCADE,
    CONSTRAINT output_finished_check CHECK ((state = 'pending') = (finished_at IS NULL)),
    CONSTRAINT output_error_check
        CHECK ((state = 'failed') = (error_code IS NOT NULL) AND (error_code IS NULL) = (error_message IS NULL)),
    CONSTRAINT output_late_check CHECK (NOT late OR state = 'delivered')
);

CREATE TABLE generation_event (
    id bigint GENERATED ALWAYS AS IDENTITY,
    workspace_id uuid NOT NULL,
    generation_id uuid NOT NULL,
    type text NOT NULL CONSTRAINT generation_event_type_check
        CHECK (type IN ('submitted', 'dispatched', 'started', 'delivered', 'missed',
                        'succeeded', 'failed', 'cancelled', 'late')),
    data jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT generation_event_pkey PRIMARY KEY (workspace_id, id),
    CONSTRAINT generation_event_generation_fkey FOREIGN KEY (workspace_id, generation_id)
        REFERENCES generation (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX generation_event_generation_idx ON generation_event (workspace_id, generation_id, id);
CREATE INDEX generation_event_created_at_idx ON generation_event (created_at);
"""

_CALLS = """
CREATE TABLE attempt (
    id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    generation_id uuid NOT NULL,
    output_indexes integer[] NOT NULL CONSTRAINT attempt_output_indexes_check
        CHECK (cardinality(output_indexes) >= 1),
    try_number integer NOT NULL CONSTRAINT attempt_try_number_check CHECK (try_number >= 1),
    connection_id uuid NOT NULL,
    model_key text NOT NULL,
    upstream text NOT NULL,
    -- Given to the provider where it takes one, and to its webhook; unguessable.
    client_key uuid NOT NULL CONSTRAINT attempt_client_key_key UNIQUE,
    state text NOT NULL DEFAULT 'started' CONSTRAINT attempt_state_check
        CHECK (state IN ('started', 'submitted', 'succeeded', 'failed', 'uncertain', 'cancelled')),
    operation jsonb,
    error_kind text,
    error_detail text,
    provider_cost_micro_usd bigint CONSTRAINT attempt_cost_check CHECK (provider_cost_micro_usd >= 0),
    cost_state text NOT NULL CONSTRAINT attempt_cost_state_check
        CHECK (cost_state IN ('estimated', 'actual', 'unknown')),
    created_at timestamptz NOT NULL DEFAULT now(),
    submitted_at timestamptz,
    finished_at timestamptz,
    CONSTRAINT attempt_pkey PRIMARY KEY (workspace_id, id),
    CONSTRAINT attempt_generation_fkey FOREIGN KEY (workspace_id, generation_id)
        REFERENCES generation (workspace_id, id) ON DELETE CASCADE,
    CONSTRAINT attempt_submitted_check
        CHECK (state <> 'submitted' OR (operation IS NOT NULL AND submitted_at IS NOT NULL)),
    CONSTRAINT attempt_finished_check CHECK ((state IN ('started', 'submitted')) = (finished_at IS NULL)),
    CONSTRAINT attempt_error_check CHECK (state NOT IN ('failed', 'uncertain') OR error_kind IS NOT NULL),
    CONSTRAINT attempt_known_cost_check
        CHECK ((cost_state = 'unknown') = (provider_cost_micro_usd IS NULL))
);
CREATE INDEX attempt_generation_idx ON attempt (workspace_id, generation_id, id);
CREATE INDEX attempt_live_idx ON attempt (connection_id) WHERE state IN ('started', 'submitted');
CREATE INDEX attempt_rate_idx ON attempt (connection_id, created_at);
CREATE INDEX attempt_uncertain_idx ON attempt (created_at) WHERE state = 'uncertain';

-- What all processes must agree on about a connection: until when nobody calls it, and how it has fared.
CREATE TABLE connection_health (
    connection_id uuid CONSTRAINT connection_health_pkey PRIMARY KEY,
    paused_until timestamptz,
    reason text CONSTRAINT connection_health_reason_check
        CHECK (reason IN ('busy', 'unavailable', 'key', 'credit', 'model')),
    detail text,
    failures integer NOT NULL DEFAULT 0 CONSTRAINT connection_health_failures_check CHECK (failures >= 0),
    last_success_at timestamptz,
    last_failure_at timestamptz,
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT connection_health_paused_check CHECK ((paused_until IS NULL) = (reason IS NULL))
);
"""

# Calls of all workspaces count against a connection's limits, so the count must see past the policies.
# The lock makes count and insert one step for all processes; it is held for one short transaction.
_ADMIT = """
CREATE FUNCTION calls_admit(
    p_connection uuid, p_in_flight integer, p_per_minute integer, p_open_after integer,
    OUT admitted boolean, OUT reason text, OUT wait_seconds double precision
) LANGUAGE plpgsql AS $$
DECLARE
    health connection_health;
    allowed integer := p_in_flight;
    oldest timestamptz;
BEGIN
    admitted := false;
    wait_seconds := 0;
    PERFORM pg_advisory_xact_lock(hashtextextended('gesso/connection/' || p_connection::text, 0));
    SELECT * INTO health FROM connection_health WHERE connection_id = p_connection;
    IF health.paused_until > clock_timestamp() THEN
        reason := health.reason;
        wait_seconds := extract(epoch FROM health.paused_until - clock_timestamp());
        RETURN;
    END IF;
    IF health.failures >= p_open_after THEN
        allowed := 1;  -- half open: one probe at a time until a call succeeds
    END IF;
    IF allowed IS NOT NULL AND allowed <= (
        SELECT count(*) FROM (SELECT 1 FROM attempt
            WHERE connection_id = p_connection AND state IN ('started', 'submitted') LIMIT allowed) live
    ) THEN
        reason := 'full';
        RETURN;
    END IF;
    IF p_per_minute IS NOT NULL THEN
        SELECT created_at INTO oldest FROM attempt
            WHERE connection_id = p_connection AND created_at > clock_timestamp() - interval '1 minute'
            ORDER BY created_at DESC OFFSET p_per_minute - 1 LIMIT 1;
        IF oldest IS NOT NULL THEN
            reason := 'rate';
            wait_seconds := extract(epoch FROM oldest + interval '1 minute' - clock_timestamp());
            RETURN;
        END IF;
    END IF;
    admitted := true;
END $$
"""

# One row for all workers: read first, and touched only when there is something new to say, or once a minute.
# A success closes the breaker. Other pauses (Retry-After, a refused key, an empty account) run their time: that
# an earlier job has ended well says nothing about them.
_REPORT_SUCCESS = """
CREATE FUNCTION calls_report_success(p_connection uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM connection_health WHERE connection_id = p_connection AND failures = 0
               AND reason IS DISTINCT FROM 'unavailable' AND last_success_at > now() - interval '1 minute') THEN
        RETURN;
    END IF;
    INSERT INTO connection_health AS h (connection_id, last_success_at) VALUES (p_connection, now())
    ON CONFLICT (connection_id) DO UPDATE SET
        failures = 0,
        paused_until = CASE WHEN h.reason <> 'unavailable' THEN h.paused_until END,
        reason = CASE WHEN h.reason <> 'unavailable' THEN h.reason END,
        last_success_at = now(),
        updated_at = now();
END $$
"""

_REPORT_FAILURE = """
CREATE FUNCTION calls_report_failure(
    p_connection uuid, p_reason text, p_detail text, p_pause_seconds double precision, p_open_after integer
) RETURNS integer LANGUAGE sql AS $$
    INSERT INTO connection_health AS h
        (connection_id, paused_until, reason, detail, failures, last_failure_at)
    VALUES (p_connection,
        CASE WHEN p_pause_seconds > 0 THEN now() + make_interval(secs => p_pause_seconds) END,
        CASE WHEN p_pause_seconds > 0 THEN p_reason END, p_detail,
        CASE WHEN p_reason = 'unavailable' THEN 1 ELSE 0 END, now())
    ON CONFLICT (connection_id) DO UPDATE SET
        failures = h.failures + excluded.failures,
        detail = excluded.detail,
        last_failure_at = now(),
        updated_at = now(),
        -- The breaker opens at the limit and stays open longer with each failed probe, up to five minutes.
        paused_until = greatest(h.paused_until, excluded.paused_until,
            CASE WHEN h.failures + excluded.failures >= p_open_after AND p_reason = 'unavailable'
                 THEN now() + make_interval(secs => least(300, 5 * 2 ^ least(10, h.failures + 1 - p_open_after))) END),
        reason = CASE
            WHEN excluded.reason IS NOT NULL THEN excluded.reason
            WHEN h.failures + excluded.failures >= p_open_after AND p_reason = 'unavailable' THEN 'unavailable'
            ELSE h.reason END
    RETURNING failures
$$
"""

# A webhook names its call by the unguessable client key before any workspace is known.
_FIND = """
CREATE FUNCTION calls_find(p_client_key uuid)
RETURNS TABLE (workspace_id uuid, id uuid, generation_id uuid, state text, connection_id uuid, upstream text)
LANGUAGE sql STABLE AS $$
    SELECT a.workspace_id, a.id, a.generation_id, a.state, a.connection_id, a.upstream
    FROM attempt a WHERE a.client_key = p_client_key
$$
"""

# How many of anyone's stand before a dispatched one, and how many are being made: places in a queue are not secret.
_AHEAD = """
CREATE FUNCTION generation_ahead(p_priority integer, p_dispatched_at timestamptz, OUT ahead bigint, OUT running bigint)
LANGUAGE sql STABLE AS $$
    SELECT count(*) FILTER (WHERE state = 'queued'
               AND (priority > p_priority OR (priority = p_priority AND dispatched_at < p_dispatched_at))),
           count(*) FILTER (WHERE state = 'running')
    FROM generation WHERE dispatched_at IS NOT NULL AND state IN ('queued', 'running')
$$
"""

_SECONDS = """
CREATE FUNCTION generation_typical_seconds(p_model_key text)
RETURNS double precision LANGUAGE sql STABLE AS $$
    SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM finished_at - started_at))
    FROM (SELECT started_at, finished_at FROM generation
          WHERE model_key = p_model_key AND state = 'succeeded'
          ORDER BY finished_at DESC LIMIT 50) recent
$$
"""


def upgrade() -> None:
    script(_GENERATION)
    script(_CALLS)
    for table in ("generation", "output", "attempt"):
        protect(table)
    protect("generation_event", app="SELECT, INSERT")
    share("connection_health")
    definer(_ADMIT, "calls_admit(uuid, integer, integer, integer)")
    definer(_REPORT_SUCCESS, "calls_report_success(uuid)")
    definer(_REPORT_FAILURE, "calls_report_failure(uuid, text, text, double precision, integer)")
    definer(_FIND, "calls_find(uuid)")
    definer(_AHEAD, "generation_ahead(integer, timestamptz)")
    definer(_SECONDS, "generation_typical_seconds(text)")
