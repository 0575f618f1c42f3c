"""What a payment provider's notice was about and what it changed, and finding subscriptions and notices."""

from alembic import op

from gesso.db.ddl import index_concurrently, script

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

# `about`: the ids that a notice names, each between two spaces. `effects`: a list of {"at", "changes"}, one for each
# time that something came of it.
_COLUMNS = """
ALTER TABLE webhook_event ADD COLUMN IF NOT EXISTS about text NOT NULL DEFAULT '';
ALTER TABLE webhook_event ADD COLUMN IF NOT EXISTS effects jsonb NOT NULL DEFAULT '[]';
"""
_ABOUT = """
UPDATE webhook_event SET about = concat(' ', concat_ws(' ', ref, payload #>> '{data,object,id}',
    payload #>> '{data,object,customer}', payload #>> '{data,object,subscription}',
    payload #>> '{data,object,parent,subscription_details,subscription}', payload #>> '{data,object,invoice}',
    payload #>> '{data,object,payment_intent}', payload #>> '{data,object,charge}'), ' ') WHERE about = ''
"""
_INDEXES = {
    "webhook_event_state_idx": "webhook_event (state, id)",
    "webhook_event_type_idx": "webhook_event (type, id)",
    "webhook_event_about_idx": "webhook_event USING gin (about gin_trgm_ops)",
    "subscription_status_idx": "subscription (status, id)",
    "subscription_plan_idx": "subscription (plan_key, id)",
    "subscription_ending_idx": "subscription (id) WHERE status = 'active' AND cancel_at IS NOT NULL",
    "invoice_number_idx": "invoice (number) WHERE number IS NOT NULL",
}


def upgrade() -> None:
    script(_COLUMNS)
    with op.get_context().autocommit_block():  # the columns are there for all before the rows are filled in
        op.execute(_ABOUT)
    for name, on in _INDEXES.items():
        index_concurrently(name, on)
