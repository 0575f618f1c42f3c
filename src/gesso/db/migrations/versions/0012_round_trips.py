"""Two functions that spare the submit a round trip each: putting a job into the queue, and claiming a key."""

from pgqueuer.adapters.persistence.qb import QueryQueueBuilder

from gesso.db import ddl

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

# The library's own statement for one job, so that it can be part of a larger statement. No row: a job of that key is
# queued or running already.
_QUEUE_ADD = """
CREATE FUNCTION queue_add(p_task text, p_payload bytea, p_priority integer, p_delay interval, p_key text)
RETURNS TABLE (job_ord bigint, job_id bigint) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY {statement};
END $$
"""
_PARAMETERS = ("p_priority", "p_task", "p_payload", "coalesce(p_delay, interval '0')", "p_key", "'null'::jsonb")
"""What stands for $1 … $6 of the library's statement, each an array there."""

# Claims a key until the transaction ends, then looks whether it was used: in that order, and in two statements, since
# whoever had it before us may commit in between. `mine` is false while somebody else has it.
_IDEMPOTENCY_CLAIM = """
CREATE FUNCTION idempotency_claim(
    p_workspace uuid, p_route text, p_key text,
    OUT mine boolean, OUT body_hash bytea, OUT response_status integer, OUT response_body jsonb
) LANGUAGE plpgsql AS $$
BEGIN
    mine := pg_try_advisory_xact_lock(
        hashtextextended('idempotency/' || p_workspace || '/' || p_route || '/' || p_key, 0));
    SELECT k.body_hash, k.response_status, k.response_body INTO body_hash, response_status, response_body
    FROM idempotency_key k WHERE k.workspace_id = p_workspace AND k.route = p_route AND k.key = p_key;
END $$
"""


def upgrade() -> None:
    statement = QueryQueueBuilder().build_enqueue_query("skip")
    for number, parameter in enumerate(_PARAMETERS, 1):
        statement = statement.replace(f"${number}::", f"ARRAY[{parameter}]::")
    ddl.script(_QUEUE_ADD.format(statement=statement))
    ddl.script(_IDEMPOTENCY_CLAIM)
