"""Subscriptions, purchases, invoices, disputes, what payment providers told us, and wallets that are frozen."""

from gesso.db.ddl import protect, script, share

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

# `read_mark`: the number drawn from `billing_read` before the provider's object was read. A row is only replaced by
# what was read later, so that notices in any order leave the newest state.
_TABLES = """
CREATE SEQUENCE billing_read AS bigint;

CREATE TABLE billing_customer (
    workspace_id uuid NOT NULL CONSTRAINT billing_customer_workspace_fkey REFERENCES workspace (id) ON DELETE CASCADE,
    provider text NOT NULL,
    ref text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT billing_customer_pkey PRIMARY KEY (workspace_id, provider),
    CONSTRAINT billing_customer_ref_key UNIQUE (provider, ref)
);

CREATE TABLE subscription (
    id uuid NOT NULL CONSTRAINT subscription_pkey PRIMARY KEY,
    workspace_id uuid NOT NULL CONSTRAINT subscription_workspace_fkey REFERENCES workspace (id) ON DELETE CASCADE,
    provider text NOT NULL CONSTRAINT subscription_provider_check CHECK (provider IN ('manual', 'stripe')),
    ref text,
    checkout_ref text,
    plan_key text NOT NULL,
    "interval" text NOT NULL CONSTRAINT subscription_interval_check CHECK ("interval" IN ('month', 'year')),
    status text NOT NULL CONSTRAINT subscription_status_check
        CHECK (status IN ('incomplete', 'active', 'past_due', 'cancelled')),
    price_cents bigint NOT NULL CONSTRAINT subscription_price_check CHECK (price_cents >= 0),
    currency text NOT NULL,
    period_start timestamptz,
    period_end timestamptz,
    paid_until timestamptz,
    cancel_at timestamptz,
    next_plan_key text,
    next_interval text CONSTRAINT subscription_next_interval_check CHECK (next_interval IN ('month', 'year')),
    grace_until timestamptz,
    read_mark bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    CONSTRAINT subscription_ended_check CHECK ((status = 'cancelled') = (ended_at IS NOT NULL)),
    CONSTRAINT subscription_ref_key UNIQUE (provider, ref)
);
CREATE UNIQUE INDEX subscription_live_idx ON subscription (workspace_id) WHERE ended_at IS NULL;
CREATE INDEX subscription_workspace_idx ON subscription (workspace_id, created_at DESC);
CREATE INDEX subscription_grace_idx ON subscription (grace_until) WHERE grace_until IS NOT NULL AND ended_at IS NULL;

CREATE TABLE purchase (
    id uuid NOT NULL CONSTRAINT purchase_pkey PRIMARY KEY,
    workspace_id uuid NOT NULL CONSTRAINT purchase_workspace_fkey REFERENCES workspace (id) ON DELETE CASCADE,
    user_id uuid,
    provider text NOT NULL,
    pack_key text NOT NULL,
    credits bigint NOT NULL CONSTRAINT purchase_credits_check CHECK (credits > 0),
    price_cents bigint NOT NULL CONSTRAINT purchase_price_check CHECK (price_cents > 0),
    currency text NOT NULL,
    state text NOT NULL DEFAULT 'open' CONSTRAINT purchase_state_check
        CHECK (state IN ('open', 'paid', 'refunded', 'disputed', 'expired')),
    checkout_ref text,
    payment_ref text,
    lot_id uuid,
    refunded_cents bigint NOT NULL DEFAULT 0,
    taken_back bigint NOT NULL DEFAULT 0,
    read_mark bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    paid_at timestamptz,
    CONSTRAINT purchase_lot_check CHECK ((lot_id IS NULL) = (state IN ('open', 'expired'))),
    CONSTRAINT purchase_checkout_key UNIQUE (provider, checkout_ref),
    CONSTRAINT purchase_payment_key UNIQUE (provider, payment_ref)
);
CREATE INDEX purchase_workspace_idx ON purchase (workspace_id, created_at DESC);

CREATE TABLE invoice (
    id uuid NOT NULL CONSTRAINT invoice_pkey PRIMARY KEY,
    workspace_id uuid NOT NULL CONSTRAINT invoice_workspace_fkey REFERENCES workspace (id) ON DELETE CASCADE,
    provider text NOT NULL,
    ref text NOT NULL,
    subscription_ref text,
    payment_ref text,
    number text,
    reason text NOT NULL,
    status text NOT NULL CONSTRAINT invoice_status_check
        CHECK (status IN ('draft', 'open', 'paid', 'uncollectible', 'void')),
    total_cents bigint NOT NULL,
    refunded_cents bigint NOT NULL DEFAULT 0,
    currency text NOT NULL,
    hosted_url text,
    pdf_url text,
    issued_at timestamptz NOT NULL,
    paid_at timestamptz,
    read_mark bigint NOT NULL DEFAULT 0,
    CONSTRAINT invoice_ref_key UNIQUE (provider, ref)
);
CREATE INDEX invoice_workspace_idx ON invoice (workspace_id, issued_at DESC, id DESC);
CREATE INDEX invoice_payment_idx ON invoice (provider, payment_ref) WHERE payment_ref IS NOT NULL;

CREATE TABLE dispute (
    id uuid NOT NULL CONSTRAINT dispute_pkey PRIMARY KEY,
    workspace_id uuid NOT NULL CONSTRAINT dispute_workspace_fkey REFERENCES workspace (id) ON DELETE CASCADE,
    provider text NOT NULL,
    ref text NOT NULL,
    payment_ref text NOT NULL,
    state text NOT NULL CONSTRAINT dispute_state_check CHECK (state IN ('open', 'won', 'lost')),
    amount_cents bigint NOT NULL,
    currency text NOT NULL,
    reason text NOT NULL DEFAULT '',
    read_mark bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT dispute_ref_key UNIQUE (provider, ref)
);
CREATE INDEX dispute_workspace_idx ON dispute (workspace_id, state);

-- `created_at` is the provider's moment, `received_at` ours.
CREATE TABLE webhook_event (
    id uuid NOT NULL CONSTRAINT webhook_event_pkey PRIMARY KEY,
    provider text NOT NULL,
    ref text NOT NULL,
    type text NOT NULL,
    payload jsonb NOT NULL,
    state text NOT NULL CONSTRAINT webhook_event_state_check CHECK (state IN ('received', 'done', 'failed', 'ignored')),
    error text,
    tries integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    next_try_at timestamptz,
    done_at timestamptz,
    CONSTRAINT webhook_event_ref_key UNIQUE (provider, ref)
);
CREATE INDEX webhook_event_due_idx ON webhook_event (next_try_at) WHERE next_try_at IS NOT NULL;
CREATE INDEX webhook_event_received_idx ON webhook_event (received_at DESC, id DESC);

-- A workspace with a row here can reserve nothing until the row is gone; what it has stays.
CREATE TABLE credit_freeze (
    workspace_id uuid NOT NULL CONSTRAINT credit_freeze_pkey PRIMARY KEY
        CONSTRAINT credit_freeze_workspace_fkey REFERENCES workspace (id) ON DELETE CASCADE,
    reason text NOT NULL,
    since timestamptz NOT NULL DEFAULT now()
);
"""


def upgrade() -> None:
    script(_TABLES)
    protect("billing_customer", app="SELECT, INSERT")
    protect("subscription")
    protect("purchase")
    protect("invoice", app="SELECT")
    protect("dispute", app="SELECT")
    protect("credit_freeze", app="SELECT")
    share("webhook_event", app="")
    share("SEQUENCE billing_read", app="", elevated="USAGE")
