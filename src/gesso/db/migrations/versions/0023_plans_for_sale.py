"""What plans cost, and what else they limit."""

from gesso.db.ddl import script

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

# Constant defaults: no rewrite, a short lock. What an edition said of its plans so far meant these values, so they
# are added to what it said, lest they be taken for an operator's edits.
_PLANS = """
ALTER TABLE plan
    ADD COLUMN month_cents bigint CONSTRAINT plan_month_cents_check CHECK (month_cents > 0),
    ADD COLUMN year_cents bigint CONSTRAINT plan_year_cents_check CHECK (year_cents > 0),
    ADD COLUMN currency text NOT NULL DEFAULT 'usd' CONSTRAINT plan_currency_check CHECK (currency ~ '^[a-z]{3}$'),
    ADD COLUMN models text[] NOT NULL DEFAULT '{}',
    ADD COLUMN watermark boolean NOT NULL DEFAULT false,
    ADD COLUMN retention_days integer CONSTRAINT plan_retention_days_check CHECK (retention_days > 0),
    ADD COLUMN advanced boolean NOT NULL DEFAULT true,
    ADD COLUMN characters integer CONSTRAINT plan_characters_check CHECK (characters >= 0),
    ADD COLUMN own_keys boolean NOT NULL DEFAULT false;
UPDATE plan SET applied = (
    '{"month_cents": null, "year_cents": null, "currency": "usd", "models": [], "watermark": false,
      "retention_days": null, "advanced": true, "characters": null, "own_keys": false}'::jsonb || applied::jsonb
)::json WHERE applied IS NOT NULL;
"""


def upgrade() -> None:
    script(_PLANS)
