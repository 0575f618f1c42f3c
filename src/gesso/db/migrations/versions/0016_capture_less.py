"""A delivered output may be charged less than what is held for it; the rest of its part goes back at once."""

from gesso.db.ddl import script

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

# As in 0003, and with p_amount: at most so much of the output is charged (NULL: all of it), from its first parts on,
# which are those that expire first. A part that is charged in part is split. What is left goes back to its lots.
# An output that is charged nothing keeps a part of 0, so that it has ended exactly once like any other.
_CAPTURE = """
DROP FUNCTION ledger_capture(uuid, uuid, integer, timestamptz);
CREATE FUNCTION ledger_capture(
    p_workspace uuid, p_hold uuid, p_output integer, p_now timestamptz DEFAULT NULL, p_amount bigint DEFAULT NULL,
    OUT outcome text, OUT unit text, OUT amount bigint
) LANGUAGE plpgsql AS $$
DECLARE
    v_now timestamptz := coalesce(p_now, now());
    v_part record;
    v_take bigint;
    v_left bigint := p_amount;
    v_number integer;
    v_cut boolean := false;
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
        unit := v_part.unit;
        v_number := v_part.part_number;
        IF v_part.state <> 'held' THEN  -- one that was charged less is captured, though some of it was released
            outcome := CASE WHEN outcome = 'captured' THEN outcome ELSE v_part.state END;
            amount := amount + CASE WHEN v_part.state = 'captured' THEN v_part.amount ELSE 0 END;
            CONTINUE;
        END IF;
        outcome := 'captured';
        v_take := least(v_part.amount, coalesce(v_left, v_part.amount));
        v_left := v_left - v_take;
        IF v_take < v_part.amount THEN
            v_cut := true;
            CONTINUE WHEN v_take = 0;
            UPDATE credit_hold_part SET amount = v_take
            WHERE hold_id = p_hold AND output_index = p_output AND part_number = v_part.part_number;
            INSERT INTO credit_hold_part (workspace_id, hold_id, output_index, part_number, lot_id, unit, amount)
            SELECT p_workspace, p_hold, p_output, max(p.part_number) + 1, v_part.lot_id, v_part.unit,
                   v_part.amount - v_take
            FROM credit_hold_part p WHERE p.hold_id = p_hold AND p.output_index = p_output;
        END IF;
        amount := amount + v_take;
        UPDATE credit_hold_part SET state = 'captured'
        WHERE hold_id = p_hold AND output_index = p_output AND part_number = v_part.part_number;
        CONTINUE WHEN v_part.lot_id IS NULL;
        UPDATE credit_lot l SET
            remaining = l.remaining - v_take,
            held = l.held - v_take,
            reclaim = least(l.reclaim, l.held - v_take),
            closed_at = CASE WHEN l.remaining = v_take THEN v_now END
        WHERE l.id = v_part.lot_id;
        PERFORM ledger_move('capture', p_workspace, v_part.unit, v_take, v_part.lot_id, v_now,
                            p_hold => p_hold, p_output => p_output, p_user => v_part.user_id);
    END LOOP;
    IF v_cut THEN
        IF amount = 0 THEN
            INSERT INTO credit_hold_part (workspace_id, hold_id, output_index, part_number, unit, amount, state)
            VALUES (p_workspace, p_hold, p_output, v_number + 1, unit, 0, 'captured');
        END IF;
        PERFORM ledger_give_back(p_workspace, p_hold, ARRAY[p_output], 'released', 'charged less', v_now);
    END IF;
    PERFORM ledger_close(p_hold, v_now);
END $$;
"""


def upgrade() -> None:
    script(_CAPTURE)
