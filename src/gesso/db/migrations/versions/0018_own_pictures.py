"""Keep searches to the workspace's own index, and know at once that a model which makes pictures made no videos."""

from gesso.db import ddl

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

# As in 0009, with the workspace where the planner cannot see which it is. In one that owns most of the table, it would
# take the newest pictures from the primary key: the newest of everybody, walked until its own come. What it does not
# know it takes for one of many, and goes by the index that begins with the workspace.
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
            'WITH own AS MATERIALIZED (SELECT $1 AS id) SELECT a.id FROM own CROSS JOIN LATERAL ('
            'SELECT a.id FROM asset a WHERE a.workspace_id = own.id %s %s ORDER BY a.id %s LIMIT $5) a',
            v_indexed, v_live, v_order)
        USING p_workspace, p_low, p_high, p_model, p_limit;
        RETURN;
    END IF;
    IF v_query IS NULL THEN
        RETURN;
    END IF;
    FOR v_pass IN 1..2 LOOP
        EXECUTE format(
            'WITH own AS MATERIALIZED (SELECT $1 AS id) '
            'SELECT array_agg(w.id ORDER BY w.id %1$s) FILTER (WHERE w.hit), count(*), '
            '(array_agg(w.id ORDER BY w.id %1$s))[count(*)] FROM own CROSS JOIN LATERAL ('
            'SELECT a.id, a.tsv @@ $5 %2$s %3$s AS hit FROM asset a WHERE a.workspace_id = own.id '
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
                'WITH own AS MATERIALIZED (SELECT $1 AS id) '
                'SELECT array(SELECT bool_or(w.tsv @@ l.query) FROM own CROSS JOIN LATERAL (SELECT a.tsv FROM asset a '
                'WHERE a.workspace_id = own.id AND a.deleted_at IS NULL AND a.id > $2 AND a.id < $3 '
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
    """May be run again after it stopped halfway."""
    ddl.definer(_SEARCH, "media_search(uuid, text, uuid, uuid, boolean, integer, text, text, text, boolean)")
    ddl.index_concurrently("asset_video_model_idx", "asset (workspace_id, model_key, id DESC) WHERE kind = 'video'")
