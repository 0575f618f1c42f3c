"""Connections, models, plans, packs, style presets, and which edition was applied.

Nothing here belongs to a workspace: the application reads, operators and start-up write (elevated).
`applied` is what the edition last said of a row: a value that differs from it was changed by an operator,
and the edition leaves it alone.
"""

from gesso.db.ddl import script, share

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_TABLES = """
CREATE TABLE connection (
    id uuid CONSTRAINT connection_pkey PRIMARY KEY,
    key text NOT NULL CONSTRAINT connection_key_key UNIQUE
        CONSTRAINT connection_key_check CHECK (key ~ '^[a-z][a-z0-9-]{0,62}$'),
    adapter text NOT NULL CONSTRAINT connection_adapter_check CHECK (adapter ~ '^[a-z][a-z0-9_]{0,62}$'),
    name text NOT NULL CONSTRAINT connection_name_check CHECK (char_length(name) BETWEEN 1 AND 80),
    base_url text,
    -- AES-256-GCM under the site's key named by key_id; key_hint is the last four characters, for people.
    sealed_key bytea,
    key_id text,
    key_hint text CONSTRAINT connection_key_hint_check CHECK (char_length(key_hint) <= 4),
    sandbox boolean NOT NULL DEFAULT false,
    enabled boolean NOT NULL DEFAULT true,
    priority integer NOT NULL DEFAULT 100,
    limits jsonb NOT NULL DEFAULT '{}',
    origin text NOT NULL
        CONSTRAINT connection_origin_check CHECK (origin IN ('edition', 'environment', 'operator')),
    applied json,
    edited_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT connection_sealed_key_check CHECK ((sealed_key IS NULL) = (key_id IS NULL))
);

CREATE TABLE model (
    id uuid CONSTRAINT model_pkey PRIMARY KEY,
    key text NOT NULL CONSTRAINT model_key_key UNIQUE
        CONSTRAINT model_key_check CHECK (key ~ '^[a-z0-9][a-z0-9.-]{0,62}$'),
    kind text NOT NULL CONSTRAINT model_kind_check CHECK (kind IN ('image', 'video', 'chat', 'vision')),
    connection_id uuid NOT NULL CONSTRAINT model_connection_id_fkey REFERENCES connection (id),
    upstream text NOT NULL,
    name text NOT NULL CONSTRAINT model_name_check CHECK (char_length(name) BETWEEN 1 AND 80),
    description text NOT NULL DEFAULT '',
    -- json, not jsonb: the order of its properties is the order of the form
    capabilities json NOT NULL,
    price jsonb,
    cost jsonb,
    wire jsonb NOT NULL DEFAULT '{}',
    tags text[] NOT NULL DEFAULT '{}',
    sample text,
    fallbacks text[] NOT NULL DEFAULT '{}',
    outputs_per_call integer NOT NULL DEFAULT 1
        CONSTRAINT model_outputs_per_call_check CHECK (outputs_per_call BETWEEN 1 AND 100),
    typical_seconds integer NOT NULL
        CONSTRAINT model_typical_seconds_check CHECK (typical_seconds BETWEEN 1 AND 86400),
    enabled boolean NOT NULL DEFAULT false,
    position integer NOT NULL DEFAULT 0,
    origin text NOT NULL CONSTRAINT model_origin_check CHECK (origin IN ('edition', 'operator')),
    applied json,
    edited_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT model_priced_check CHECK (NOT enabled OR price IS NOT NULL)
);
CREATE INDEX model_connection_id_idx ON model (connection_id);

CREATE TABLE plan (
    id uuid CONSTRAINT plan_pkey PRIMARY KEY,
    key text NOT NULL CONSTRAINT plan_key_key UNIQUE
        CONSTRAINT plan_key_check CHECK (key ~ '^[a-z][a-z0-9-]{0,62}$'),
    name text NOT NULL CONSTRAINT plan_name_check CHECK (char_length(name) BETWEEN 1 AND 80),
    description text NOT NULL DEFAULT '',
    -- unit → microcredits ("credit") or uses (any other unit)
    signup_grants jsonb NOT NULL DEFAULT '{}',
    monthly_grants jsonb NOT NULL DEFAULT '{}',
    parallel integer NOT NULL CONSTRAINT plan_parallel_check CHECK (parallel BETWEEN 1 AND 1000),
    queue_priority integer NOT NULL DEFAULT 0
        CONSTRAINT plan_queue_priority_check CHECK (queue_priority BETWEEN 0 AND 1000),
    max_count integer NOT NULL CONSTRAINT plan_max_count_check CHECK (max_count BETWEEN 1 AND 100),
    limits jsonb NOT NULL DEFAULT '{}',
    position integer NOT NULL DEFAULT 0,
    origin text NOT NULL CONSTRAINT plan_origin_check CHECK (origin IN ('edition', 'operator')),
    applied json,
    edited_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE pack (
    id uuid CONSTRAINT pack_pkey PRIMARY KEY,
    key text NOT NULL CONSTRAINT pack_key_key UNIQUE
        CONSTRAINT pack_key_check CHECK (key ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    name text NOT NULL CONSTRAINT pack_name_check CHECK (char_length(name) BETWEEN 1 AND 80),
    credits bigint NOT NULL CONSTRAINT pack_credits_check CHECK (credits > 0),
    price_cents bigint NOT NULL CONSTRAINT pack_price_cents_check CHECK (price_cents >= 0),
    currency text NOT NULL CONSTRAINT pack_currency_check CHECK (currency ~ '^[a-z]{3}$'),
    position integer NOT NULL DEFAULT 0,
    origin text NOT NULL CONSTRAINT pack_origin_check CHECK (origin IN ('edition', 'operator')),
    applied json,
    edited_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE style_preset (
    id uuid CONSTRAINT style_preset_pkey PRIMARY KEY,
    key text NOT NULL CONSTRAINT style_preset_key_key UNIQUE
        CONSTRAINT style_preset_key_check CHECK (key ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    name text NOT NULL CONSTRAINT style_preset_name_check CHECK (char_length(name) BETWEEN 1 AND 80),
    prompt text NOT NULL,
    negative_prompt text NOT NULL DEFAULT '',
    sample text,
    position integer NOT NULL DEFAULT 0,
    origin text NOT NULL CONSTRAINT style_preset_origin_check CHECK (origin IN ('edition', 'operator')),
    applied json,
    edited_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- The one edition in force: its words, colours, modules and policy, and the hash of the file they came from.
-- `setting` is what GESSO_EDITION said at the last start: only a change of it switches editions at a start.
CREATE TABLE edition_state (
    id integer CONSTRAINT edition_state_pkey PRIMARY KEY DEFAULT 1
        CONSTRAINT edition_state_id_check CHECK (id = 1),
    name text NOT NULL,
    setting text NOT NULL,
    file_hash text NOT NULL CONSTRAINT edition_state_file_hash_check CHECK (file_hash ~ '^[0-9a-f]{64}$'),
    document jsonb NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
"""

_NAMES = ("connection", "model", "plan", "pack", "style_preset", "edition_state")


def upgrade() -> None:
    """Create the tables; the application may read them, the elevated role write them."""
    script(_TABLES)
    for name in _NAMES:
        share(name)
