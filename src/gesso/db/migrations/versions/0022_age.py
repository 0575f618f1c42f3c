"""People confirm that they are adults, where adult models are offered."""

from gesso.db.ddl import role, script

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

# A column without a default: no rewrite, a short lock.
_AGE = """
ALTER TABLE app_user ADD COLUMN age_confirmed_at timestamptz;
GRANT SELECT (age_confirmed_at), UPDATE (age_confirmed_at) ON app_user TO {app};
GRANT SELECT (age_confirmed_at) ON app_user TO {elevated};
"""


def upgrade() -> None:
    script(_AGE.format(app=role("app"), elevated=role("elevated")))
