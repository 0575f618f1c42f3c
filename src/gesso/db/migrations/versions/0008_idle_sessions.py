"""A session that nobody used for two weeks is over, however long it could have lasted."""

from gesso.db.ddl import definer

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# As in 0002, with one condition more. `last_seen_at` is written every five minutes at most, which is exact enough.
_AUTH_SESSION = """
CREATE OR REPLACE FUNCTION auth_session(p_token_hash bytea, p_at timestamptz)
RETURNS TABLE (session_id uuid, user_id uuid, email citext, name text, is_operator boolean,
               email_verified boolean, workspace_id uuid, workspace_name text, role text, plan_key text)
LANGUAGE sql VOLATILE AS $$
    WITH live AS (
        SELECT s.id AS session_id, u.id AS user_id, u.email, u.name, u.is_operator,
               u.email_verified_at IS NOT NULL AS email_verified,
               w.id AS workspace_id, w.name AS workspace_name, m.role, w.plan_key, s.last_seen_at
        FROM login_session s
        JOIN app_user u ON u.id = s.user_id AND u.disabled_at IS NULL
        JOIN membership m ON m.workspace_id = s.workspace_id AND m.user_id = s.user_id
        JOIN workspace w ON w.id = s.workspace_id
        WHERE s.token_hash = p_token_hash AND s.revoked_at IS NULL AND s.expires_at > p_at
          AND s.last_seen_at > p_at - interval '14 days'
    ), seen AS (
        UPDATE login_session s SET last_seen_at = p_at
        FROM live WHERE s.id = live.session_id AND live.last_seen_at <= p_at - interval '5 minutes'
    )
    SELECT session_id, user_id, email, name, is_operator, email_verified,
           workspace_id, workspace_name, role, plan_key
    FROM live
$$
"""


def upgrade() -> None:
    """Replace the look-up; sessions that are idle already end with it."""
    definer(_AUTH_SESSION, "auth_session(bytea, timestamptz)")
