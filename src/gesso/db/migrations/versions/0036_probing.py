"""The gate tells a connection that is being probed from one that is merely full."""

from gesso.db.ddl import definer

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

# As before, but for the reason behind a probe: who has another model to go to does not wait for how it ends.
_ADMIT = """
CREATE OR REPLACE FUNCTION calls_admit(
    p_connection uuid, p_in_flight integer, p_per_minute integer, p_open_after integer,
    OUT admitted boolean, OUT reason text, OUT wait_seconds double precision
) LANGUAGE plpgsql AS $$
DECLARE
    health connection_health;
    allowed integer := p_in_flight;
    occupied text := 'full';
    oldest timestamptz;
BEGIN
    admitted := false;
    wait_seconds := 0;
    PERFORM pg_advisory_xact_lock(hashtextextended('gesso/connection/' || p_connection::text, 0));
    SELECT * INTO health FROM connection_health WHERE connection_id = p_connection;
    IF health.paused_until > clock_timestamp() THEN
        reason := health.reason;
        wait_seconds := extract(epoch FROM health.paused_until - clock_timestamp());
        RETURN;
    END IF;
    IF health.failures >= p_open_after THEN
        allowed := 1;  -- half open: one probe at a time until a call succeeds
        occupied := 'probing';
    END IF;
    IF allowed IS NOT NULL AND allowed <= (
        SELECT count(*) FROM (SELECT 1 FROM attempt
            WHERE connection_id = p_connection AND state IN ('started', 'submitted') LIMIT allowed) live
    ) THEN
        reason := occupied;
        RETURN;
    END IF;
    IF p_per_minute IS NOT NULL THEN
        SELECT created_at INTO oldest FROM attempt
            WHERE connection_id = p_connection AND created_at > clock_timestamp() - interval '1 minute'
            ORDER BY created_at DESC OFFSET p_per_minute - 1 LIMIT 1;
        IF oldest IS NOT NULL THEN
            reason := 'rate';
            wait_seconds := extract(epoch FROM oldest + interval '1 minute' - clock_timestamp());
            RETURN;
        END IF;
    END IF;
    admitted := true;
END $$
"""


def upgrade() -> None:
    definer(_ADMIT, "calls_admit(uuid, integer, integer, integer)")
