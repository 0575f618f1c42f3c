"""Which request a use of a prompt tool answered, so that the same request sent twice is done once."""

from gesso.db.ddl import script

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

# `request_key`: what the request was named by (route and key), `request_hash`: what it said; SHA-256 each.
_COLUMNS = """
ALTER TABLE prompt_record
    ADD COLUMN request_key bytea,
    ADD COLUMN request_hash bytea,
    ADD CONSTRAINT prompt_record_request_check CHECK ((request_key IS NULL) = (request_hash IS NULL));
CREATE INDEX prompt_record_request_idx ON prompt_record (workspace_id, request_key) WHERE request_key IS NOT NULL;
"""


def upgrade() -> None:
    script(_COLUMNS)
