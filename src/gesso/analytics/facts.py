"""What was asked for and what was paid, as rows of one shape: for the sums of a day (`rollup`), and for the days that
are not summed up yet (`usage`).

Requests are found by id and stand on its day: ids are time-ordered (UUIDv7). Spending is what the journal captured,
on the day of the capture, so that every sum is the ledger's to the microcredit; a film that is asked for before
midnight and delivered after it has its request on one day and its price on the next. Days are the site's (its time
zone is a setting).
"""

from datetime import date, datetime, time, tzinfo
from uuid import UUID

FIGURES = ("requests", "succeeded", "failed", "seconds", "delivered", "missed", "spent", "uses")
"""What can be added up; see `usage.Figures`."""

SUMS = ", ".join(f"sum({name})::{'float8' if name == 'seconds' else 'bigint'} AS {name}" for name in FIGURES)

NOBODY = UUID(int=0)
"""Whose spending it is when a person has been forgotten."""

# In the order of the columns of `usage_day` after the day: user, kind, model, and FIGURES.
_AT = "to_timestamp((('x' || left(replace({0}.id::text, '-', ''), 12))::bit(48)::bigint) / 1000.0)"
GENERATIONS = f"""
SELECT g.workspace_id, {_AT.format("g")} AS at, g.user_id, g.kind, g.model_key, g.model_name, 1 AS requests,
       (g.state = 'succeeded')::int AS succeeded, (g.state = 'failed')::int AS failed,
       CASE g.state WHEN 'succeeded' THEN extract(epoch FROM g.finished_at - g.started_at)::float8 ELSE 0 END
           AS seconds,
       o.delivered, o.missed, 0::bigint AS spent, 0::bigint AS uses
FROM generation g CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE state = 'delivered') AS delivered, count(*) FILTER (WHERE state = 'failed') AS missed
    FROM output WHERE workspace_id = g.workspace_id AND generation_id = g.id) o
"""
PROMPTS = f"""
SELECT p.workspace_id, {_AT.format("p")} AS at, p.user_id, 'prompt' AS kind, coalesce(p.model_key, '') AS model_key,
       coalesce(p.model_key, '') AS model_name, 1 AS requests, (p.state = 'done')::int AS succeeded,
       (p.state = 'failed')::int AS failed,
       CASE p.state WHEN 'done' THEN extract(epoch FROM p.finished_at - p.created_at)::float8 ELSE 0 END AS seconds,
       (p.state = 'done')::int::bigint AS delivered, (p.state = 'failed')::int::bigint AS missed, 0::bigint AS spent,
       0::bigint AS uses
FROM prompt_record p
"""
CAPTURES = f"""
SELECT j.workspace_id, j.at, j.user_id, coalesce(g.kind, CASE WHEN p.id IS NOT NULL THEN 'prompt' ELSE 'other' END),
       coalesce(g.model_key, p.model_key, ''), coalesce(g.model_name, p.model_key, ''), 0, 0, 0, 0::float8, 0::bigint,
       0::bigint, j.spent, j.uses
FROM (
    SELECT workspace_id, hold_id, date_trunc('day', created_at, {{zone}}) AS at,
           coalesce(user_id, '{NOBODY}') AS user_id,
           coalesce(sum(amount) FILTER (WHERE unit = 'credit'), 0)::bigint AS spent,
           coalesce(sum(amount) FILTER (WHERE unit <> 'credit'), 0)::bigint AS uses
    FROM credit_journal c WHERE kind = 'capture' AND {{where}}
    GROUP BY workspace_id, hold_id, 3, 4) j
JOIN credit_hold h ON h.id = j.hold_id
LEFT JOIN generation g ON g.workspace_id = j.workspace_id AND g.id = h.subject_id
LEFT JOIN prompt_record p ON p.workspace_id = j.workspace_id AND p.id = h.subject_id
"""
"""`where` chooses movements `c`; a hold's captures of a day in `zone` are one row."""


def first_id(moment: datetime) -> UUID:
    """The lowest UUIDv7 of a moment."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)


def start_of(day: date, zone: tzinfo) -> datetime:
    """Its first moment in a time zone."""
    return datetime.combine(day, time(), zone)
