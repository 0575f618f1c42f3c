"""Assets, what a workspace stores in all, and text search that reaches its index past row-level security."""

from gesso.db import ddl

revision = "0005"
down_revision = "0004"

# The parser drops what looks like markup and keeps paths whole: "<lora:ink>" and "sea/sky" would not be found.
_PLAIN = """
CREATE FUNCTION media_plain(p_text text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN translate(p_text, '<>/\\@', '     ');
"""

_TABLES = """
CREATE TABLE asset (
    id uuid CONSTRAINT asset_pkey PRIMARY KEY,
    workspace_id uuid NOT NULL CONSTRAINT asset_workspace_id_fkey REFERENCES workspace (id) ON DELETE CASCADE,
    user_id uuid CONSTRAINT asset_user_id_fkey REFERENCES app_user (id) ON DELETE SET NULL,
    -- No foreign key: generations are a room above, and a picture outlives the request it came from.
    generation_id uuid,
    output_index integer,
    kind text NOT NULL CONSTRAINT asset_kind_check CHECK (kind IN ('image', 'video')),
    source text NOT NULL CONSTRAINT asset_source_check CHECK (source IN ('generated', 'upload')),
    storage_key text NOT NULL CONSTRAINT asset_storage_key_key UNIQUE,
    sha256 bytea NOT NULL CONSTRAINT asset_sha256_check CHECK (octet_length(sha256) = 32),
    media_type text NOT NULL,
    size_bytes bigint NOT NULL CONSTRAINT asset_size_bytes_check CHECK (size_bytes > 0),
    width integer NOT NULL CONSTRAINT asset_width_check CHECK (width > 0),
    height integer NOT NULL CONSTRAINT asset_height_check CHECK (height > 0),
    duration_ms integer,
    thumbhash bytea NOT NULL,
    prompt text NOT NULL DEFAULT '',
    negative_prompt text,
    model_key text,
    model_name text,
    seed bigint,
    params jsonb NOT NULL DEFAULT '{}',
    charged jsonb,
    took_ms integer,
    favourite boolean NOT NULL DEFAULT false,
    -- When an upload first served as somebody's input; one that never did is cleared away after 30 days.
    used_at timestamptz,
    deleted_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    tsv tsvector NOT NULL GENERATED ALWAYS AS (
        to_tsvector('simple'::regconfig, media_plain(prompt || ' ' || coalesce(model_name, '')))
    ) STORED
);

-- Ids are UUIDv7: their order is the order of making, so paging needs no second column.
CREATE INDEX asset_page_idx ON asset (workspace_id, id DESC) WHERE deleted_at IS NULL;
-- Their predicates leave deleted_at out, so that search can name what they serve and be served by nothing else.
CREATE INDEX asset_model_idx ON asset (workspace_id, model_key, id DESC) WHERE model_key IS NOT NULL;
CREATE INDEX asset_favourite_idx ON asset (workspace_id, id DESC) WHERE favourite;
CREATE INDEX asset_upload_idx ON asset (workspace_id, id DESC) WHERE source = 'upload' AND deleted_at IS NULL;
CREATE INDEX asset_video_idx ON asset (workspace_id, id DESC) WHERE kind = 'video' AND deleted_at IS NULL;
CREATE INDEX asset_tsv_idx ON asset USING gin (workspace_id, tsv);
CREATE INDEX asset_deleted_at_idx ON asset (deleted_at) WHERE deleted_at IS NOT NULL;
CREATE INDEX asset_unused_idx ON asset (created_at)
    WHERE source = 'upload' AND used_at IS NULL AND deleted_at IS NULL;
CREATE INDEX asset_user_id_idx ON asset (user_id);

CREATE TABLE media_usage (
    workspace_id uuid CONSTRAINT media_usage_pkey PRIMARY KEY
        CONSTRAINT media_usage_workspace_id_fkey REFERENCES workspace (id) ON DELETE CASCADE,
    pictures bigint NOT NULL DEFAULT 0 CONSTRAINT media_usage_pictures_check CHECK (pictures >= 0),
    videos bigint NOT NULL DEFAULT 0 CONSTRAINT media_usage_videos_check CHECK (videos >= 0),
    bytes bigint NOT NULL DEFAULT 0 CONSTRAINT media_usage_bytes_check CHECK (bytes >= 0)
) WITH (fillfactor = 50);
"""

# Totals are kept by the statement that changes them: counting a million rows takes 44 ms, reading one takes none.
# Pictures and videos are what was made; bytes are everything kept, uploads too. What is in the bin counts nowhere.
_USAGE = """
CREATE FUNCTION media_usage_changed() RETURNS trigger LANGUAGE plpgsql AS $$
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
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER asset_inserted AFTER INSERT ON asset REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION media_usage_changed();
CREATE TRIGGER asset_updated AFTER UPDATE ON asset REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION media_usage_changed();
CREATE TRIGGER asset_removed AFTER DELETE ON asset REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION media_usage_changed();
"""

# Words as typed become "all of them, each as a beginning". Quoted by hand, since a tsquery has its own quoting.
_WORDS = """
CREATE FUNCTION media_words(p_words text) RETURNS tsquery LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (
    SELECT to_tsquery('simple'::regconfig, string_agg(
        '''' || replace(replace(lexeme, '\\', '\\\\'), '''', '''''') || ''':*', ' & '))
    FROM unnest(to_tsvector('simple'::regconfig, media_plain(left(p_words, 200))))
);
"""

# Text search operators are not leakproof, so under row-level security the planner filters row by row and GIN is
# never used. This function runs as the owner, takes the workspace explicitly and refuses any but the caller's own.
#
# A frequent word is found fastest by walking the newest rows, a rare one by GIN, and guessing wrong costs 100 ms.
# So nothing is guessed: it looks at the next 1,000 rows; if some matched, at as many more as should fill the page
# (20,000 at most); the rest comes from GIN, or from the index of the model or the favourites. There the conditions
# that the paging index could serve stand outside the materialised part, and sequential scans are off, so that no
# stale statistics can talk the planner out of it.
#
# Without words it is the plain list, planned anew each time: a plan for any model walks all rows for a rare one.
_SEARCH = """
CREATE FUNCTION media_search(
    p_workspace uuid, p_words text, p_low uuid, p_high uuid, p_ascending boolean, p_limit integer,
    p_source text, p_kind text, p_model text, p_favourite boolean
) RETURNS SETOF uuid LANGUAGE plpgsql STABLE SET enable_seqscan = off AS $$
DECLARE
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
    v_seen integer;
    v_last uuid;
    v_ids uuid[];
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
        IF p_ascending THEN v_low := v_last; ELSE v_high := v_last; END IF;
        EXIT WHEN v_found = 0;
        v_window := least(20000, 2 * v_window * (p_limit - v_found) / v_found);
    END LOOP;
    RETURN QUERY EXECUTE format(
        'WITH hits AS MATERIALIZED (SELECT a.id, a.source, a.kind, a.deleted_at '
        'FROM asset a WHERE a.workspace_id = $1 AND a.tsv @@ $5 %2$s) '
        'SELECT a.id FROM hits a WHERE true %3$s ORDER BY a.id %1$s LIMIT $6', v_order, v_indexed, v_live)
    USING p_workspace, v_low, v_high, p_model, v_query, p_limit - v_found;
END $$;
"""

# One step along the index per model instead of one per picture.
_MODELS = """
CREATE FUNCTION media_models(p_workspace uuid) RETURNS TABLE (model_key text, model_name text)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_key text := '';
    v_name text;
BEGIN
    IF p_workspace IS DISTINCT FROM gesso_workspace() THEN
        RAISE insufficient_privilege USING MESSAGE = 'media_models: not the workspace of this transaction';
    END IF;
    LOOP
        SELECT a.model_key, a.model_name INTO v_key, v_name FROM asset a
        WHERE a.workspace_id = p_workspace AND a.deleted_at IS NULL AND a.model_key > v_key
        ORDER BY a.model_key, a.id DESC LIMIT 1;
        EXIT WHEN NOT FOUND;
        model_key := v_key;
        model_name := v_name;
        RETURN NEXT;
    END LOOP;
END $$;
"""


def upgrade() -> None:
    ddl.script(_PLAIN)
    ddl.script(_TABLES)
    ddl.script(_USAGE)
    ddl.script(_WORDS)
    ddl.protect("asset")
    ddl.protect("media_usage")
    ddl.definer(_SEARCH, "media_search(uuid, text, uuid, uuid, boolean, integer, text, text, text, boolean)")
    ddl.definer(_MODELS, "media_models(uuid)")
