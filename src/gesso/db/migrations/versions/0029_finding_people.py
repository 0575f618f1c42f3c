"""Finding one of many people and workspaces, and what operators did."""

from gesso.db.ddl import index_concurrently

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

_INDEXES = {
    "app_user_email_words_idx": "app_user USING gin ((email::text) gin_trgm_ops)",
    "app_user_name_words_idx": "app_user USING gin (name gin_trgm_ops)",
    "app_user_name_idx": "app_user (lower(name), id)",
    "app_user_operator_idx": "app_user (id) WHERE is_operator",
    "app_user_disabled_idx": "app_user (id) WHERE disabled_at IS NOT NULL",
    "workspace_name_words_idx": "workspace USING gin (name gin_trgm_ops)",
    "workspace_name_idx": "workspace (lower(name), id)",
    "workspace_plan_idx": "workspace (plan_key, id)",
    # what operators did belongs to no workspace
    "audit_event_site_idx": "audit_event (id) WHERE workspace_id IS NULL",
    "audit_event_action_idx": "audit_event (action, id)",
}


def upgrade() -> None:
    for name, on in _INDEXES.items():
        index_concurrently(name, on)
