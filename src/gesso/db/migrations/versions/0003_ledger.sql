-- The ledger's functions: everything that moves credits happens here, one call for one use-case.
--
-- They run as their caller, under row-level security, in the caller's transaction. Each begins by locking
-- the workspace's mutex (ledger_lock), so within a workspace they run one after another and need no other
-- lock order. Moments are compared with p_now; NULL means the database's clock.

-- An account with its balances, unless there is one.
CREATE FUNCTION ledger_open(p_workspace uuid, p_unit text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM credit_balance WHERE workspace_id = p_workspace AND unit = p_unit) THEN
        INSERT INTO credit_account (workspace_id, unit) VALUES (p_workspace, p_unit) ON CONFLICT DO NOTHING;
        INSERT INTO credit_balance (workspace_id, unit) VALUES (p_workspace, p_unit) ON CONFLICT DO NOTHING;
    END IF;
END $$;

-- The mutex is the workspace's 'credit' balance row; a workspace that was never granted anything gets it now.
CREATE FUNCTION ledger_lock(p_workspace uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM credit_balance WHERE workspace_id = p_workspace AND unit = 'credit' FOR UPDATE;
    IF NOT FOUND THEN
        PERFORM ledger_open(p_workspace, 'credit');
        PERFORM FROM credit_balance WHERE workspace_id = p_workspace AND unit = 'credit' FOR UPDATE;
    END IF;
END $$;

-- One movement: a journal row, and the cached balances of the two accounts it touches. Nothing else writes
-- either. `issued` and `debt` are sources: what they gave is cached as a positive figure.
CREATE FUNCTION ledger_move(
    p_kind text, p_workspace uuid, p_unit text, p_amount bigint, p_lot uuid, p_now timestamptz,
    p_hold uuid DEFAULT NULL, p_output integer DEFAULT NULL, p_user uuid DEFAULT NULL,
    p_reason text DEFAULT NULL, p_key text DEFAULT NULL
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_from text := CASE p_kind WHEN 'grant' THEN 'issued' WHEN 'capture' THEN 'held' WHEN 'release' THEN 'held'
                   WHEN 'debt' THEN 'debt' ELSE 'available' END;
    v_to text := CASE p_kind WHEN 'grant' THEN 'available' WHEN 'hold' THEN 'held' WHEN 'capture' THEN 'spent'
                 WHEN 'release' THEN 'available' WHEN 'expire' THEN 'expired' WHEN 'refund' THEN 'issued'
                 WHEN 'debt' THEN 'issued' WHEN 'repay' THEN 'debt' END;
BEGIN
    INSERT INTO credit_journal (workspace_id, unit, kind, debit_account, credit_account, amount, hold_id,
                                output_index, lot_id, user_id, reason, idempotency_key, created_at)
    VALUES (p_workspace, p_unit, p_kind, v_from, v_to, p_amount, p_hold,
            p_output, p_lot, p_user, p_reason, p_key, p_now);
    UPDATE credit_balance SET
        available = available + p_amount * ((v_to = 'available')::int - (v_from = 'available')::int),
        held = held + p_amount * ((v_to = 'held')::int - (v_from = 'held')::int),
        spent = spent + p_amount * (v_to = 'spent')::int,
        expired = expired + p_amount * (v_to = 'expired')::int,
        issued = issued + p_amount * ((v_from = 'issued')::int - (v_to = 'issued')::int),
        debt = debt + p_amount * ((v_from = 'debt')::int - (v_to = 'debt')::int)
    WHERE workspace_id = p_workspace AND unit = p_unit;
END $$;

-- What is free in lots past their expiry leaves the balance. What is held in them stays for its hold.
CREATE FUNCTION ledger_expire_lots(p_workspace uuid, p_now timestamptz) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    v_lot record;
    v_count integer := 0;
BEGIN
    FOR v_lot IN
        SELECT id, unit, remaining - held AS free FROM credit_lot
        WHERE workspace_id = p_workspace AND closed_at IS NULL AND expires_at <= p_now AND remaining > held
        ORDER BY id
    LOOP
        UPDATE credit_lot SET remaining = held, closed_at = CASE WHEN held = 0 THEN p_now END
        WHERE id = v_lot.id;
        PERFORM ledger_move('expire', p_workspace, v_lot.unit, v_lot.free, v_lot.id, p_now);
        v_count := v_count + 1;
    END LOOP;
    RETURN v_count;
END $$;

-- Puts p_amount into a new lot. Returns false, and does nothing, when the key was used before.
-- A purchase (source 'pack') first repays what the workspace owes.
CREATE FUNCTION ledger_grant(
    p_workspace uuid, p_lot uuid, p_unit text, p_amount bigint, p_source text, p_key text,
    p_scope text, p_expires_at timestamptz, p_reason text, p_user uuid, p_now timestamptz DEFAULT NULL
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_now timestamptz := coalesce(p_now, now());
    v_repaid bigint := 0;
BEGIN
    PERFORM ledger_lock(p_workspace);
    IF EXISTS (SELECT FROM credit_lot WHERE workspace_id = p_workspace AND key = p_key) THEN
        RETURN false;
    END IF;
    PERFORM ledger_open(p_workspace, p_unit);
    IF p_source = 'pack' THEN
        SELECT least(debt, p_amount) INTO v_repaid FROM credit_balance
        WHERE workspace_id = p_workspace AND unit = p_unit;
    END IF;
    INSERT INTO credit_lot (id, workspace_id, unit, source, scope, amount, remaining, expires_at, key,
                            reason, created_by, created_at, closed_at)
    VALUES (p_lot, p_workspace, p_unit, p_source, p_scope, p_amount, p_amount - v_repaid, p_expires_at, p_key,
            p_reason, p_user, v_now, CASE WHEN v_repaid = p_amount THEN v_now END);
    PERFORM ledger_move('grant', p_workspace, p_unit, p_amount, p_lot, v_now,
                        p_user => p_user, p_reason => p_reason, p_key => 'grant:' || p_key);
    IF v_repaid > 0 THEN
        PERFORM ledger_move('repay', p_workspace, p_unit, v_repaid, p_lot, v_now, p_user => p_user);
    END IF;
    RETURN true;
END $$;

-- Decides output by output what pays: the allowance while it covers the output's uses, else credits.
-- p_free_units/p_free: what can be spent, several entries of one unit allowed.
-- missing: credits lacking (0 = affordable); balance: credits that can be spent.
CREATE FUNCTION ledger_price(
    p_credits bigint[], p_allowances text[], p_uses bigint[], p_free_units text[], p_free bigint[],
    OUT units text[], OUT amounts bigint[], OUT missing bigint, OUT balance bigint
) LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    v_names text[] := '{}';
    v_lefts bigint[] := '{}';
    v_at integer;
BEGIN
    balance := 0;
    missing := 0;
    FOR i IN 1 .. cardinality(p_free) LOOP
        IF p_free_units[i] = 'credit' THEN
            balance := balance + p_free[i];
            CONTINUE;
        END IF;
        v_at := array_position(v_names, p_free_units[i]);
        IF v_at IS NULL THEN
            v_names := v_names || p_free_units[i];
            v_lefts := v_lefts || p_free[i];
        ELSE
            v_lefts[v_at] := v_lefts[v_at] + p_free[i];
        END IF;
    END LOOP;
    FOR i IN 1 .. cardinality(p_credits) LOOP
        v_at := array_position(v_names, p_allowances[i]);
        IF v_lefts[v_at] >= p_uses[i] THEN
            units[i] := p_allowances[i];
            amounts[i] := p_uses[i];
            v_lefts[v_at] := v_lefts[v_at] - p_uses[i];
        ELSE
            units[i] := 'credit';
            amounts[i] := p_credits[i];
            missing := missing + p_credits[i];
        END IF;
    END LOOP;
    missing := greatest(missing - balance, 0);
END $$;

-- What a hold of the same asks would cost at this moment. Locks nothing, changes nothing.
CREATE FUNCTION ledger_quote(
    p_workspace uuid, p_credits bigint[], p_allowances text[], p_uses bigint[], p_scopes text[],
    p_now timestamptz DEFAULT NULL,
    OUT units text[], OUT amounts bigint[], OUT missing bigint, OUT balance bigint
) LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_units text[];
    v_free bigint[];
BEGIN
    SELECT coalesce(array_agg(l.unit), '{}'), coalesce(array_agg(l.remaining - l.held), '{}')
    INTO v_units, v_free FROM credit_lot l
    WHERE l.workspace_id = p_workspace AND l.closed_at IS NULL AND l.remaining > l.held
      AND (l.expires_at IS NULL OR l.expires_at > coalesce(p_now, now()))
      AND (l.scope IS NULL OR l.scope = ANY (p_scopes));
    SELECT p.units, p.amounts, p.missing, p.balance INTO units, amounts, missing, balance
    FROM ledger_price(p_credits, p_allowances, p_uses, v_units, v_free) p;
END $$;

-- Reserves the price of every output, or, when `missing` > 0, nothing.
-- Burn order: lots of a matching scope, then what expires soonest, then oldest, then by id.
CREATE FUNCTION ledger_hold(
    p_workspace uuid, p_hold uuid, p_subject uuid, p_user uuid, p_credits bigint[], p_allowances text[],
    p_uses bigint[], p_expires_at timestamptz, p_scopes text[], p_now timestamptz DEFAULT NULL,
    OUT units text[], OUT amounts bigint[], OUT missing bigint, OUT balance bigint
) LANGUAGE plpgsql AS $$
DECLARE
    v_now timestamptz := coalesce(p_now, now());
    v_lot record;
    v_stale boolean := false;
    v_lots uuid[] := '{}';
    v_units text[] := '{}';
    v_free bigint[] := '{}';
    v_taken bigint[] := '{}';
    v_part_outputs integer[] := '{}';
    v_part_numbers integer[] := '{}';
    v_part_lots uuid[] := '{}';
    v_part_amounts bigint[] := '{}';
    v_number integer;
    v_take bigint;
    v_need bigint;
BEGIN
    PERFORM ledger_lock(p_workspace);
    FOR v_lot IN
        SELECT l.id, l.unit, l.remaining - l.held AS free, l.expires_at <= v_now AS is_stale
        FROM credit_lot l
        WHERE l.workspace_id = p_workspace AND l.closed_at IS NULL AND l.remaining > l.held
          AND (l.scope IS NULL OR l.scope = ANY (p_scopes))
        ORDER BY l.scope IS NULL, l.expires_at NULLS LAST, l.created_at, l.id
    LOOP
        IF v_lot.is_stale THEN
            v_stale := true;
        ELSE
            v_lots := v_lots || v_lot.id;
            v_units := v_units || v_lot.unit;
            v_free := v_free || v_lot.free;
            v_taken := v_taken || 0::bigint;
        END IF;
    END LOOP;
    IF v_stale THEN
        PERFORM ledger_expire_lots(p_workspace, v_now);
    END IF;
    SELECT p.units, p.amounts, p.missing, p.balance INTO units, amounts, missing, balance
    FROM ledger_price(p_credits, p_allowances, p_uses, v_units, v_free) p;
    IF missing > 0 THEN
        RETURN;
    END IF;

    FOR i IN 1 .. cardinality(amounts) LOOP
        v_need := amounts[i];
        v_number := 0;
        IF v_need = 0 THEN  -- a free output is remembered too, so that it ends exactly once like any other
            v_part_outputs := v_part_outputs || i - 1;
            v_part_numbers := v_part_numbers || v_number;
            v_part_lots := v_part_lots || NULL::uuid;
            v_part_amounts := v_part_amounts || v_need;
        END IF;
        FOR j IN 1 .. cardinality(v_lots) LOOP
            EXIT WHEN v_need = 0;
            CONTINUE WHEN v_units[j] <> units[i] OR v_free[j] = v_taken[j];
            v_take := least(v_need, v_free[j] - v_taken[j]);
            v_part_outputs := v_part_outputs || i - 1;
            v_part_numbers := v_part_numbers || v_number;
            v_part_lots := v_part_lots || v_lots[j];
            v_part_amounts := v_part_amounts || v_take;
            v_taken[j] := v_taken[j] + v_take;
            v_number := v_number + 1;
            v_need := v_need - v_take;
        END LOOP;
    END LOOP;

    INSERT INTO credit_hold (id, workspace_id, subject_id, user_id, expires_at, created_at)
    VALUES (p_hold, p_workspace, p_subject, p_user, p_expires_at, v_now);
    INSERT INTO credit_hold_part (workspace_id, hold_id, output_index, part_number, lot_id, unit, amount)
    SELECT p_workspace, p_hold, part.output_index, part.number, part.lot_id, units[part.output_index + 1], part.amount
    FROM unnest(v_part_outputs, v_part_numbers, v_part_lots, v_part_amounts)
        AS part (output_index, number, lot_id, amount);
    FOR j IN 1 .. cardinality(v_lots) LOOP
        CONTINUE WHEN v_taken[j] = 0;
        UPDATE credit_lot SET held = held + v_taken[j] WHERE id = v_lots[j];
        PERFORM ledger_move('hold', p_workspace, v_units[j], v_taken[j], v_lots[j], v_now,
                            p_hold => p_hold, p_user => p_user);
    END LOOP;
END $$;

-- A hold is closed when none of its parts is held any more.
CREATE FUNCTION ledger_close(p_hold uuid, p_now timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE credit_hold SET state = 'closed', closed_at = p_now
    WHERE id = p_hold AND state = 'open'
      AND NOT EXISTS (SELECT FROM credit_hold_part WHERE hold_id = p_hold AND state = 'held');
END $$;

-- Charges one output. `outcome`: 'captured' (now or before; unit and amount say what), 'released' or
-- 'expired' (it ended otherwise: nothing is charged), 'absent' (no such hold or output).
CREATE FUNCTION ledger_capture(
    p_workspace uuid, p_hold uuid, p_output integer, p_now timestamptz DEFAULT NULL,
    OUT outcome text, OUT unit text, OUT amount bigint
) LANGUAGE plpgsql AS $$
DECLARE
    v_now timestamptz := coalesce(p_now, now());
    v_part record;
BEGIN
    PERFORM ledger_lock(p_workspace);
    outcome := 'absent';
    amount := 0;
    FOR v_part IN
        SELECT p.part_number, p.lot_id, p.unit, p.amount, h.user_id,
               CASE WHEN p.state = 'held' AND h.expires_at <= v_now THEN 'expired' ELSE p.state END AS state
        FROM credit_hold h JOIN credit_hold_part p ON p.hold_id = h.id
        WHERE h.id = p_hold AND h.workspace_id = p_workspace AND p.output_index = p_output
        ORDER BY p.part_number
    LOOP
        outcome := v_part.state;
        unit := v_part.unit;
        amount := amount + v_part.amount;
        CONTINUE WHEN v_part.state <> 'held';
        outcome := 'captured';
        UPDATE credit_hold_part SET state = 'captured'
        WHERE hold_id = p_hold AND output_index = p_output AND part_number = v_part.part_number;
        CONTINUE WHEN v_part.lot_id IS NULL;
        UPDATE credit_lot l SET
            remaining = l.remaining - v_part.amount,
            held = l.held - v_part.amount,
            reclaim = least(l.reclaim, l.held - v_part.amount),
            closed_at = CASE WHEN l.remaining = v_part.amount THEN v_now END
        WHERE l.id = v_part.lot_id;
        PERFORM ledger_move('capture', p_workspace, v_part.unit, v_part.amount, v_part.lot_id, v_now,
                            p_hold => p_hold, p_output => p_output, p_user => v_part.user_id);
    END LOOP;
    PERFORM ledger_close(p_hold, v_now);
END $$;

-- Gives held parts back to their lots and closes the hold when nothing is left. p_state says how they ended.
-- What comes back to a refunded lot repays the refund's debt; what comes back to an expired lot expires.
CREATE FUNCTION ledger_give_back(
    p_workspace uuid, p_hold uuid, p_outputs integer[], p_state text, p_reason text, p_now timestamptz
) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    v_part record;
    v_lot record;
    v_debt bigint;
    v_repaid bigint;
    v_outputs integer;
    v_stale boolean := false;
BEGIN
    SELECT count(DISTINCT output_index) INTO v_outputs FROM credit_hold_part
    WHERE hold_id = p_hold AND state = 'held' AND (p_outputs IS NULL OR output_index = ANY (p_outputs));
    IF v_outputs = 0 THEN
        RETURN 0;
    END IF;
    FOR v_part IN
        SELECT p.lot_id, p.unit, h.user_id, sum(p.amount)::bigint AS amount
        FROM credit_hold h JOIN credit_hold_part p ON p.hold_id = h.id
        WHERE h.id = p_hold AND p.state = 'held' AND p.lot_id IS NOT NULL
          AND (p_outputs IS NULL OR p.output_index = ANY (p_outputs))
        GROUP BY p.lot_id, p.unit, h.user_id ORDER BY p.lot_id
    LOOP
        PERFORM ledger_move('release', p_workspace, v_part.unit, v_part.amount, v_part.lot_id, p_now,
                            p_hold => p_hold, p_user => v_part.user_id, p_reason => p_reason);
        SELECT reclaim, expires_at <= p_now AS is_stale INTO v_lot FROM credit_lot WHERE id = v_part.lot_id;
        v_repaid := 0;
        IF v_lot.reclaim > 0 THEN
            SELECT debt INTO v_debt FROM credit_balance WHERE workspace_id = p_workspace AND unit = v_part.unit;
            v_repaid := least(v_part.amount, v_lot.reclaim, v_debt);
        END IF;
        UPDATE credit_lot SET
            held = held - v_part.amount,
            remaining = remaining - v_repaid,
            reclaim = least(reclaim - v_repaid, held - v_part.amount),
            closed_at = CASE WHEN remaining = v_repaid THEN p_now END
        WHERE id = v_part.lot_id;
        IF v_repaid > 0 THEN
            PERFORM ledger_move('repay', p_workspace, v_part.unit, v_repaid, v_part.lot_id, p_now);
        END IF;
        v_stale := v_stale OR coalesce(v_lot.is_stale, false);
    END LOOP;
    UPDATE credit_hold_part SET state = p_state
    WHERE hold_id = p_hold AND state = 'held' AND (p_outputs IS NULL OR output_index = ANY (p_outputs));
    IF v_stale THEN
        PERFORM ledger_expire_lots(p_workspace, p_now);
    END IF;
    PERFORM ledger_close(p_hold, p_now);
    RETURN v_outputs;
END $$;

-- Releases the named outputs, or all that are still held (NULL). Returns how many were; NULL: no such hold.
CREATE FUNCTION ledger_release(
    p_workspace uuid, p_hold uuid, p_outputs integer[], p_now timestamptz DEFAULT NULL
) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
    PERFORM ledger_lock(p_workspace);
    IF NOT EXISTS (SELECT FROM credit_hold WHERE id = p_hold AND workspace_id = p_workspace) THEN
        RETURN NULL;
    END IF;
    RETURN ledger_give_back(p_workspace, p_hold, p_outputs, 'released', NULL, coalesce(p_now, now()));
END $$;

-- Sets the deadline of an open hold. False when it has ended, be it only by its deadline.
CREATE FUNCTION ledger_extend(
    p_workspace uuid, p_hold uuid, p_expires_at timestamptz, p_now timestamptz DEFAULT NULL
) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM ledger_lock(p_workspace);
    UPDATE credit_hold SET expires_at = p_expires_at
    WHERE id = p_hold AND workspace_id = p_workspace AND state = 'open'
      AND expires_at > coalesce(p_now, now());
    RETURN FOUND;
END $$;

-- Takes a grant back, wholly (p_amount NULL) or in part: first what is free in its lot; the rest, held or
-- spent, becomes debt of the unit. What expired cannot be taken back.
-- outcome: 'refunded', 'repeated' (the key was used before), 'absent', 'exceeds' (more than there is to take).
CREATE FUNCTION ledger_refund(
    p_workspace uuid, p_lot uuid, p_amount bigint, p_key text, p_reason text, p_user uuid,
    p_now timestamptz DEFAULT NULL,
    OUT outcome text, OUT taken bigint, OUT owed bigint
) LANGUAGE plpgsql AS $$
DECLARE
    v_now timestamptz := coalesce(p_now, now());
    v_lot credit_lot;
    v_refundable bigint;
    v_amount bigint;
BEGIN
    PERFORM ledger_lock(p_workspace);
    SELECT coalesce(sum(j.amount) FILTER (WHERE j.kind = 'refund'), 0),
           coalesce(sum(j.amount) FILTER (WHERE j.kind = 'debt'), 0)
    INTO taken, owed FROM credit_journal j
    WHERE j.workspace_id = p_workspace AND j.idempotency_key IN ('refund:' || p_key, 'debt:' || p_key);
    IF taken + owed > 0 THEN
        outcome := 'repeated';
        RETURN;
    END IF;
    PERFORM ledger_expire_lots(p_workspace, v_now);
    SELECT * INTO v_lot FROM credit_lot WHERE id = p_lot AND workspace_id = p_workspace;
    IF NOT FOUND THEN
        outcome := 'absent';
        RETURN;
    END IF;
    SELECT v_lot.amount - v_lot.refunded - coalesce(sum(j.amount), 0) INTO v_refundable FROM credit_journal j
    WHERE j.workspace_id = p_workspace AND j.lot_id = p_lot AND j.kind = 'expire';
    v_amount := coalesce(p_amount, v_refundable);
    IF v_amount > v_refundable OR v_amount = 0 THEN
        outcome := 'exceeds';
        RETURN;
    END IF;
    outcome := 'refunded';
    taken := least(v_amount, v_lot.remaining - v_lot.held);
    owed := v_amount - taken;
    UPDATE credit_lot l SET
        refunded = l.refunded + v_amount,
        remaining = l.remaining - taken,
        reclaim = least(l.reclaim + owed, l.held),
        closed_at = coalesce(l.closed_at, CASE WHEN l.remaining = taken THEN v_now END)
    WHERE l.id = p_lot;
    IF taken > 0 THEN
        PERFORM ledger_move('refund', p_workspace, v_lot.unit, taken, p_lot, v_now,
                            p_user => p_user, p_reason => p_reason, p_key => 'refund:' || p_key);
    END IF;
    IF owed > 0 THEN
        PERFORM ledger_move('debt', p_workspace, v_lot.unit, owed, p_lot, v_now,
                            p_user => p_user, p_reason => p_reason, p_key => 'debt:' || p_key);
    END IF;
END $$;

-- The sweep, for the elevated role: ends holds past their deadline and lots past their expiry, in at most
-- p_limit workspaces. A wallet in use is skipped, not waited for: the sweep must not stand in a customer's way
-- while it holds other wallets' locks; the next sweep finds it. A wallet whose figures are damaged is left as it
-- is and named in `failed`; it does not keep the others from being swept.
CREATE FUNCTION ledger_expire(
    p_now timestamptz DEFAULT NULL, p_limit integer DEFAULT 100,
    OUT workspaces integer, OUT skipped integer, OUT holds integer, OUT lots integer, OUT failed uuid[]
) LANGUAGE plpgsql AS $$
DECLARE
    v_now timestamptz := coalesce(p_now, now());
    v_workspace uuid;
    v_hold uuid;
    v_holds integer;
    v_lots integer;
BEGIN
    failed := '{}';
    workspaces := 0;
    skipped := 0;
    holds := 0;
    lots := 0;
    FOR v_workspace IN
        SELECT h.workspace_id FROM credit_hold h WHERE h.state = 'open' AND h.expires_at <= v_now
        UNION
        SELECT l.workspace_id FROM credit_lot l
        WHERE l.closed_at IS NULL AND l.expires_at <= v_now AND l.remaining > l.held
        ORDER BY 1 LIMIT p_limit
    LOOP
        PERFORM FROM credit_balance b WHERE b.workspace_id = v_workspace AND b.unit = 'credit'
        FOR UPDATE SKIP LOCKED;
        IF NOT FOUND THEN
            skipped := skipped + 1;
            CONTINUE;
        END IF;
        v_holds := 0;
        BEGIN
            FOR v_hold IN
                SELECT h.id FROM credit_hold h
                WHERE h.workspace_id = v_workspace AND h.state = 'open' AND h.expires_at <= v_now ORDER BY h.id
            LOOP
                PERFORM ledger_give_back(v_workspace, v_hold, NULL, 'expired', 'deadline', v_now);
                v_holds := v_holds + 1;
            END LOOP;
            v_lots := ledger_expire_lots(v_workspace, v_now);
        EXCEPTION WHEN integrity_constraint_violation THEN
            failed := failed || v_workspace;
            CONTINUE;
        END;
        workspaces := workspaces + 1;
        holds := holds + v_holds;
        lots := lots + v_lots;
    END LOOP;
END $$;
