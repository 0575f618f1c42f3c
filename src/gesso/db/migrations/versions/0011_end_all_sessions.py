"""Whoever is signed in to several workspaces may end those sessions from any of them.

The check of 0002 let a person write sessions of the workspace at hand only, so that signing out elsewhere, and choosing
a new password, failed for members of a second workspace. A session of another one may be written now, as ended.
"""

from gesso.db import ddl

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change the policy's check; its lock is held for a moment."""
    ddl.script("""
        ALTER POLICY login_session_self ON login_session
            WITH CHECK (user_id = gesso_user() AND (workspace_id = gesso_workspace() OR revoked_at IS NOT NULL))
    """)
