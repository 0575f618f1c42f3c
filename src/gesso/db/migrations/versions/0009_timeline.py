"""Pictures counted by month, use counted by day, and a text search that begins with the rarest word."""

from gesso.db import ddl

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# `made` counts what media_usage counts: made pictures and videos that are not in the bin, by the month of their id
# (UTC). `months_counted` says whether a workspace's older pictures are in it; the next migration counts them.
_MONTHS = """
CREATE TABLE media_month (
    workspace_id uuid NOT NULL
        CONSTRAINT media_month_workspace_id_fkey REFERENCES workspace (id) ON DELETE CASCADE,
    month date NOT NULL CONSTRAINT media_month_month_check CHECK (extract(day FROM month) = 1),
    made bigint NOT NULL CONSTRAINT media_month_made_check CHECK (made >= 0),
    CONSTRAINT media_month_pkey PRIMARY KEY (workspace_id, month)
) WITH (fillfactor = 50);
ALTER TABLE media_usage ADD COLUMN months_counted boolean NOT NULL DEFAULT false;
ALTER TABLE media_usage ALTER COLUMN months_counted SET DEFAULT true;

CREATE FUNCTION media_month_of(p_id uuid) RETURNS date LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN date_trunc('month', to_timestamp(
    (('x' || left(replace(p_id::text, '-', ''), 12))::bit(48)::bigint) / 1000.0) AT TIME ZONE 'UTC')::date;
"""

# The row of media_usage is locked first and by everybody, so months of one workspace never wait for each other.
# A change that moves no total (a heart, a first use) moves no month either.
_COUNT = """
CREATE OR REPLACE FUNCTION media_usage_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO media_usage AS u (workspace_id, pictures, videos, bytes)
        SELECT workspace_id,
               count(*) FILTER (WHERE kind = 'image' AND source = 'generated'),
               count(*) FILTER (WHERE kind = 'video' AND source = 'generated'),
               sum(size_bytes)
        FROM new_rows WHERE deleted_at IS NULL GROUP BY workspace_id
        ON CONFLICT (workspace_id) DO UPDATE SET
            pictures = u.pictures + excluded.pictures,
            videos = u.videos + excluded.videos,
            bytes = u.bytes + excluded.bytes;
        INSERT INTO media_month AS m (workspace_id, month, made)
        SELECT n.workspace_id, media_month_of(n.id), count(*) FILTER (WHERE n.deleted_at IS NULL)
        FROM new_rows n JOIN media_usage u ON u.workspace_id = n.workspace_id AND u.months_counted
        WHERE n.source = 'generated' GROUP BY 1, 2
        ON CONFLICT (workspace_id, month) DO UPDATE SET made = m.made + excluded.made;
    ELSIF TG_OP = 'UPDATE' THEN
        UPDATE media_usage u SET
            pictures = u.pictures + d.pictures, videos = u.videos + d.videos, bytes = u.bytes + d.bytes
        FROM (
            SELECT workspace_id,
                   coalesce(sum(sign) FILTER (WHERE kind = 'image' AND source = 'generated'), 0) AS pictures,
                   coalesce(sum(sign) FILTER (WHERE kind = 'video' AND source = 'generated'), 0) AS videos,
                   sum(sign * size_bytes) AS bytes
            FROM (
                SELECT workspace_id, kind, source, size_bytes, 1 AS sign FROM new_rows WHERE deleted_at IS NULL
                UNION ALL
                SELECT workspace_id, kind, source, size_bytes, -1 FROM old_rows WHERE deleted_at IS NULL
            ) c GROUP BY workspace_id
        ) d
        WHERE u.workspace_id = d.workspace_id AND (d.pictures, d.videos, d.bytes) <> (0, 0, 0);
        IF FOUND THEN
            UPDATE media_month m SET made = m.made + d.made
            FROM (
                SELECT c.workspace_id, media_month_of(c.id) AS month, sum(c.sign) AS made
                FROM (
                    SELECT workspace_id, id, 1 AS sign FROM new_rows WHERE deleted_at IS NULL AND source = 'generated'
                    UNION ALL
                    SELECT workspace_id, id, -1 FROM old_rows WHERE deleted_at IS NULL AND source = 'generated'
                ) c JOIN media_usage u ON u.workspace_id = c.workspace_id AND u.months_counted GROUP BY 1, 2
            ) d
            WHERE m.workspace_id = d.workspace_id AND m.month = d.month AND d.made <> 0;
        END IF;
    ELSE
        UPDATE media_usage u SET
            pictures = u.pictures - d.pictures, videos = u.videos - d.videos, bytes = u.bytes - d.bytes
        FROM (
            SELECT workspace_id,
                   count(*) FILTER (WHERE kind = 'image' AND source = 'generated') AS pictures,
                   count(*) FILTER (WHERE kind = 'video' AND source = 'generated') AS videos,
                   sum(size_bytes) AS bytes
            FROM old_rows WHERE deleted_at IS NULL GROUP BY workspace_id
        ) d
        WHERE u.workspace_id = d.workspace_id;
        IF FOUND THEN
            UPDATE media_month m SET made = m.made - d.made
            FROM (
                SELECT o.workspace_id, media_month_of(o.id) AS month, count(*) AS made
                FROM old_rows o JOIN media_usage u ON u.workspace_id = o.workspace_id AND u.months_counted
                WHERE o.deleted_at IS NULL AND o.source = 'generated' GROUP BY 1, 2
            ) d
            WHERE m.workspace_id = d.workspace_id AND m.month = d.month;
        END IF;
    END IF;
    RETURN NULL;
END $$;
"""

# One row per workspace, day (UTC), member and model, written by a job once a day is final; `usage_rolled.until` is
# the first day that is not in it. Sums of what the dashboard shows; `seconds` of running time of what succeeded.
_USE = """
CREATE TABLE usage_day (
    workspace_id uuid NOT NULL,
    day date NOT NULL,
    user_id uuid NOT NULL,
    model_key text NOT NULL,
    model_name text NOT NULL,
    requests integer NOT NULL,
    succeeded integer NOT NULL,
    seconds double precision NOT NULL,
    spent bigint NOT NULL,
    delivered integer NOT NULL,
    missed integer NOT NULL,
    CONSTRAINT usage_day_pkey PRIMARY KEY (workspace_id, day, user_id, model_key)
);
CREATE TABLE usage_rolled (
    singleton boolean NOT NULL DEFAULT true CONSTRAINT usage_rolled_pkey PRIMARY KEY
        CONSTRAINT usage_rolled_singleton_check CHECK (singleton),
    until date NOT NULL
);
INSERT INTO usage_rolled (until)
SELECT least(min(created_at), now() - interval '2 days')::date FROM workspace;
"""

_WORDS = """
CREATE FUNCTION media_word_list(p_words text) RETURNS tsquery[] LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (
    SELECT array_agg(to_tsquery('simple'::regconfig,
        '''' || replace(replace(lexeme, '\\', '\\\\'), '''', '''''') || ''':*'))
    FROM unnest(to_tsvector('simple'::regconfig, media_plain(left(p_words, 200))))
);
"""

# As in 0005, and better where guessing was dear:
# - Whether a word is rare is seen in the first 1,000 rows. Where one in hundreds matches, and the whole has few
#   enough, GIN is asked instead of walking on through 20,000 rows.
# - GIN gathers all pictures of every word before it intersects them, common ones by the hundred thousand. So it is
#   only given the words that did not occur in those rows; the others are checked on what it finds.
# - Few favourites, or few pictures of a model, are looked through themselves; else they are sifted from GIN's hits.
# What the paging index or another could serve stands outside the materialised part, and sequential scans are off, so
# that no stale statistics talk the planner out of it.
_SEARCH = """
CREATE OR REPLACE FUNCTION media_search(
    p_workspace uuid, p_words text, p_low uuid, p_high uuid, p_ascending boolean, p_limit integer,
    p_source text, p_kind text, p_model text, p_favourite boolean
) RETURNS SETOF uuid LANGUAGE plpgsql STABLE SET enable_seqscan = off AS $$
DECLARE
    v_list tsquery[] := media_word_list(p_words);
    v_query tsquery := media_words(p_words);
    v_order text := CASE WHEN p_ascending THEN 'ASC' ELSE 'DESC' END;
    v_indexed text := CASE WHEN p_model IS NULL THEN '' ELSE ' AND a.model_key = $4' END
        || CASE WHEN p_favourite THEN ' AND a.favourite' ELSE '' END;
    v_live text := ' AND a.deleted_at IS NULL AND a.id > $2 AND a.id < $3'
        || coalesce(' AND a.source = ' || quote_literal(p_source), '')
        || coalesce(' AND a.kind = ' || quote_literal(p_kind), '');
    v_low uuid := p_low;
    v_high uuid := p_high;
    v_window integer := 1000;
    v_found integer := 0;
    v_total bigint;
    v_seen integer;
    v_last uuid;
    v_ids uuid[];
    v_common boolean[];
    v_rare tsquery;
    v_few boolean := false;
BEGIN
    IF p_workspace IS DISTINCT FROM gesso_workspace() THEN
        RAISE insufficient_privilege USING MESSAGE = 'media_search: not the workspace of this transaction';
    END IF;
    IF p_words = '' THEN
        RETURN QUERY EXECUTE format(
            'SELECT a.id FROM asset a WHERE a.workspace_id = $1 %s %s ORDER BY a.id %s LIMIT $5',
            v_indexed, v_live, v_order)
        USING p_workspace, p_low, p_high, p_model, p_limit;
        RETURN;
    END IF;
    IF v_query IS NULL THEN
        RETURN;
    END IF;
    FOR v_pass IN 1..2 LOOP
        EXECUTE format(
            'SELECT array_agg(w.id ORDER BY w.id %1$s) FILTER (WHERE w.hit), count(*), '
            '(array_agg(w.id ORDER BY w.id %1$s))[count(*)] FROM ('
            'SELECT a.id, a.tsv @@ $5 %2$s %3$s AS hit FROM asset a WHERE a.workspace_id = $1 '
            'AND a.deleted_at IS NULL AND a.id > $2 AND a.id < $3 ORDER BY a.id %1$s LIMIT $6) w',
            v_order, v_indexed, v_live)
        INTO v_ids, v_seen, v_last
        USING p_workspace, v_low, v_high, p_model, v_query, v_window;
        RETURN QUERY SELECT unnest(v_ids[1:p_limit - v_found]);
        v_found := v_found + coalesce(cardinality(v_ids), 0);
        IF v_found >= p_limit OR v_seen < v_window THEN
            RETURN;
        END IF;
        IF v_found = 0 THEN
            EXECUTE format(
                'SELECT array(SELECT bool_or(w.tsv @@ l.query) FROM (SELECT a.tsv FROM asset a '
                'WHERE a.workspace_id = $1 AND a.deleted_at IS NULL AND a.id > $2 AND a.id < $3 '
                'ORDER BY a.id %s LIMIT $5) w CROSS JOIN unnest($4::tsquery[]) WITH ORDINALITY l (query, n) '
                'GROUP BY l.n ORDER BY l.n)', v_order)
            INTO v_common USING p_workspace, v_low, v_high, v_list, v_window;
            FOR v_n IN 1..cardinality(v_list) LOOP
                IF NOT v_common[v_n] THEN
                    v_rare := coalesce(v_rare && v_list[v_n], v_list[v_n]);
                END IF;
            END LOOP;
        END IF;
        IF p_ascending THEN v_low := v_last; ELSE v_high := v_last; END IF;
        EXIT WHEN v_found = 0;
        v_window := least(20000, 2 * v_window * (p_limit - v_found) / v_found);
        SELECT pictures + videos INTO v_total FROM media_usage WHERE workspace_id = p_workspace;
        EXIT WHEN v_pass = 1 AND v_indexed = '' AND v_found * coalesce(v_total, 0) / 1000 * 3 < v_window;
    END LOOP;
    IF v_indexed <> '' THEN
        EXECUTE format('SELECT count(*) <= 2000 FROM (SELECT FROM asset a WHERE a.workspace_id = $1 %s LIMIT 2001) f',
            replace(v_indexed, '$4', '$2'))
        INTO v_few USING p_workspace, p_model;
    END IF;
    IF v_few THEN
        RETURN QUERY EXECUTE format(
            'WITH few AS MATERIALIZED (SELECT a.id, a.source, a.kind, a.deleted_at, a.tsv '
            'FROM asset a WHERE a.workspace_id = $1 %2$s) '
            'SELECT a.id FROM few a WHERE a.tsv @@ $5 %3$s ORDER BY a.id %1$s LIMIT $6', v_order, v_indexed, v_live)
        USING p_workspace, v_low, v_high, p_model, v_query, p_limit - v_found;
    ELSE
        RETURN QUERY EXECUTE format(
            'WITH hits AS MATERIALIZED ('
            'SELECT a.id, a.source, a.kind, a.deleted_at, a.tsv, a.model_key, a.favourite '
            'FROM asset a WHERE a.workspace_id = $1 AND a.tsv @@ $7) '
            'SELECT a.id FROM hits a WHERE a.tsv @@ $5 %2$s %3$s ORDER BY a.id %1$s LIMIT $6',
            v_order, v_indexed, v_live)
        USING p_workspace, v_low, v_high, p_model, v_query, p_limit - v_found, coalesce(v_rare, v_query);
    END IF;
END $$;
"""


def upgrade() -> None:
    """Add the counts and replace two functions; nothing here takes longer for more pictures."""
    # no picture is half in by the old function when the new one takes over
    ddl.script("LOCK TABLE asset IN SHARE ROW EXCLUSIVE MODE")
    ddl.script(_MONTHS)
    ddl.protect("media_month")
    ddl.script(_COUNT)
    ddl.script(_USE)
    ddl.protect("usage_day", app="SELECT")
    ddl.share("usage_rolled", app="SELECT", elevated="SELECT, UPDATE")
    ddl.script(_WORDS)
    ddl.definer(_SEARCH, "media_search(uuid, text, uuid, uuid, boolean, integer, text, text, text, boolean)")
