"""The ledger: accounts, lots, holds, the journal, and the functions that move credits.

What the tables mean stands in `gesso/credits/README.md`.
"""

from pathlib import Path

from gesso.db import ddl

revision = "0003"
down_revision = "0002"

TABLES = """
-- What everything else refers to. It never changes, so references to it never wait for anybody.
CREATE TABLE credit_account (
    workspace_id uuid NOT NULL CONSTRAINT fk_credit_account_workspace_id REFERENCES workspace (id),
    unit text NOT NULL CONSTRAINT ck_credit_account_unit
        CHECK (unit IN ('credit', 'image', 'video', 'chat', 'prompt')),
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_credit_account PRIMARY KEY (workspace_id, unit)
);

-- The journal's sums, cached. Nothing refers to this table. The row of unit 'credit' is the workspace's mutex.
CREATE TABLE credit_balance (
    workspace_id uuid NOT NULL,
    unit text NOT NULL,
    available bigint NOT NULL DEFAULT 0 CONSTRAINT ck_credit_balance_available CHECK (available >= 0),
    held bigint NOT NULL DEFAULT 0 CONSTRAINT ck_credit_balance_held CHECK (held >= 0),
    spent bigint NOT NULL DEFAULT 0 CONSTRAINT ck_credit_balance_spent CHECK (spent >= 0),
    expired bigint NOT NULL DEFAULT 0 CONSTRAINT ck_credit_balance_expired CHECK (expired >= 0),
    issued bigint NOT NULL DEFAULT 0 CONSTRAINT ck_credit_balance_issued CHECK (issued >= 0),
    debt bigint NOT NULL DEFAULT 0 CONSTRAINT ck_credit_balance_debt CHECK (debt >= 0),
    CONSTRAINT pk_credit_balance PRIMARY KEY (workspace_id, unit),
    CONSTRAINT fk_credit_balance_account FOREIGN KEY (workspace_id, unit) REFERENCES credit_account,
    CONSTRAINT ck_credit_balance_zero_sum CHECK (available + held + spent + expired = issued + debt)
) WITH (fillfactor = 50);

CREATE TABLE credit_lot (
    id uuid CONSTRAINT pk_credit_lot PRIMARY KEY,
    workspace_id uuid NOT NULL,
    unit text NOT NULL,
    source text NOT NULL CONSTRAINT ck_credit_lot_source
        CHECK (source IN ('sign_up', 'plan', 'pack', 'operator', 'admin')),
    scope text,
    amount bigint NOT NULL CONSTRAINT ck_credit_lot_amount CHECK (amount BETWEEN 1 AND 1000000000000000),
    remaining bigint NOT NULL,
    held bigint NOT NULL DEFAULT 0,
    refunded bigint NOT NULL DEFAULT 0,
    reclaim bigint NOT NULL DEFAULT 0,
    expires_at timestamptz,
    key text NOT NULL,
    reason text,
    created_by uuid,
    created_at timestamptz NOT NULL,
    closed_at timestamptz,
    CONSTRAINT uq_credit_lot_workspace_id_key UNIQUE (workspace_id, key),
    CONSTRAINT fk_credit_lot_account FOREIGN KEY (workspace_id, unit) REFERENCES credit_account,
    CONSTRAINT ck_credit_lot_remaining CHECK (remaining BETWEEN 0 AND amount),
    CONSTRAINT ck_credit_lot_held CHECK (held BETWEEN 0 AND remaining),
    CONSTRAINT ck_credit_lot_refunded CHECK (refunded BETWEEN 0 AND amount),
    CONSTRAINT ck_credit_lot_reclaim CHECK (reclaim BETWEEN 0 AND held),
    CONSTRAINT ck_credit_lot_expires_at CHECK (expires_at > created_at),
    CONSTRAINT ck_credit_lot_closed_at CHECK ((closed_at IS NULL) = (remaining > 0))
) WITH (fillfactor = 70);
-- The predicate is `closed_at`, which changes once, not `remaining`, which changes with every capture:
-- so captures stay heap-only updates.
CREATE INDEX ix_credit_lot_open ON credit_lot (workspace_id) WHERE closed_at IS NULL;
CREATE INDEX ix_credit_lot_expires_at ON credit_lot (expires_at) WHERE closed_at IS NULL AND expires_at IS NOT NULL;

CREATE TABLE credit_hold (
    id uuid CONSTRAINT pk_credit_hold PRIMARY KEY,
    workspace_id uuid NOT NULL,
    subject_id uuid NOT NULL,
    user_id uuid,
    state text NOT NULL DEFAULT 'open' CONSTRAINT ck_credit_hold_state CHECK (state IN ('open', 'closed')),
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    closed_at timestamptz,
    CONSTRAINT ck_credit_hold_expires_at CHECK (expires_at > created_at),
    CONSTRAINT ck_credit_hold_closed_at CHECK ((state = 'open') = (closed_at IS NULL))
) WITH (fillfactor = 80);
CREATE INDEX ix_credit_hold_open ON credit_hold (workspace_id, expires_at) WHERE state = 'open';

CREATE TABLE credit_hold_part (
    workspace_id uuid NOT NULL,
    hold_id uuid NOT NULL CONSTRAINT fk_credit_hold_part_hold_id REFERENCES credit_hold (id),
    output_index integer NOT NULL CONSTRAINT ck_credit_hold_part_output_index CHECK (output_index >= 0),
    part_number integer NOT NULL,
    lot_id uuid CONSTRAINT fk_credit_hold_part_lot_id REFERENCES credit_lot (id),
    unit text NOT NULL,
    amount bigint NOT NULL CONSTRAINT ck_credit_hold_part_amount CHECK (amount >= 0),
    state text NOT NULL DEFAULT 'held' CONSTRAINT ck_credit_hold_part_state
        CHECK (state IN ('held', 'captured', 'released', 'expired')),
    CONSTRAINT pk_credit_hold_part PRIMARY KEY (hold_id, output_index, part_number),
    CONSTRAINT ck_credit_hold_part_lot_id CHECK ((lot_id IS NULL) = (amount = 0))
) WITH (fillfactor = 70);

-- One row is one movement with its two legs: `amount` leaves debit_account and arrives in credit_account.
-- hold_id, lot_id and user_id carry no foreign keys: nothing they name is ever deleted while it matters, the
-- journal outlives people, and each key would lock a row per movement. `gesso ledger verify` reconciles them.
CREATE TABLE credit_journal (
    workspace_id uuid NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    unit text NOT NULL,
    kind text NOT NULL,
    debit_account text NOT NULL,
    credit_account text NOT NULL,
    amount bigint NOT NULL CONSTRAINT ck_credit_journal_amount CHECK (amount > 0),
    hold_id uuid,
    output_index integer,
    lot_id uuid NOT NULL,
    user_id uuid,
    reason text,
    idempotency_key text,
    created_at timestamptz NOT NULL,
    CONSTRAINT pk_credit_journal PRIMARY KEY (workspace_id, id),
    CONSTRAINT fk_credit_journal_account FOREIGN KEY (workspace_id, unit) REFERENCES credit_account,
    CONSTRAINT ck_credit_journal_kind CHECK ((kind, debit_account, credit_account) IN (
        ('grant', 'issued', 'available'),
        ('hold', 'available', 'held'),
        ('capture', 'held', 'spent'),
        ('release', 'held', 'available'),
        ('expire', 'available', 'expired'),
        ('refund', 'available', 'issued'),
        ('debt', 'debt', 'issued'),
        ('repay', 'available', 'debt')
    )),
    CONSTRAINT ck_credit_journal_hold_id CHECK ((kind IN ('hold', 'capture', 'release')) = (hold_id IS NOT NULL)),
    CONSTRAINT ck_credit_journal_output_index CHECK ((kind = 'capture') = (output_index IS NOT NULL)),
    CONSTRAINT ck_credit_journal_idempotency_key
        CHECK ((kind IN ('grant', 'refund', 'debt')) = (idempotency_key IS NOT NULL))
);
CREATE UNIQUE INDEX uq_credit_journal_idempotency_key ON credit_journal (workspace_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
-- An output is captured at most once from a lot, whatever the functions do; also finds a hold's captures.
CREATE UNIQUE INDEX uq_credit_journal_capture ON credit_journal (hold_id, output_index, lot_id)
    WHERE kind = 'capture';

CREATE VIEW credit_leg WITH (security_invoker = true) AS
    SELECT workspace_id, unit, id AS movement_id, debit_account AS account, -amount AS amount FROM credit_journal
    UNION ALL
    SELECT workspace_id, unit, id, credit_account, amount FROM credit_journal;

-- Grants keep the application from changing the journal; this keeps everybody else from it, the owner
-- included. The one thing that may change is that a person is forgotten.
CREATE FUNCTION credit_journal_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.user_id IS NULL
       AND to_jsonb(NEW) - 'user_id' = to_jsonb(OLD) - 'user_id' THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'credit_journal is append-only; correct a movement with another one'
        USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER credit_journal_append_only BEFORE UPDATE OR DELETE ON credit_journal
    FOR EACH ROW EXECUTE FUNCTION credit_journal_refuse();
CREATE TRIGGER credit_journal_no_truncate BEFORE TRUNCATE ON credit_journal
    FOR EACH STATEMENT EXECUTE FUNCTION credit_journal_refuse();
"""


def upgrade() -> None:
    """Create the ledger. Nobody may delete from it; the journal nobody may even update."""
    ddl.script(TABLES)
    ddl.script((Path(__file__).parent / "0003_ledger.sql").read_text(encoding="utf-8"))
    ddl.protect("credit_account", app="SELECT, INSERT", elevated="SELECT, INSERT")
    for table in ("credit_balance", "credit_lot", "credit_hold", "credit_hold_part"):
        ddl.protect(table, app="SELECT, INSERT, UPDATE", elevated="SELECT, INSERT, UPDATE")
    ddl.protect("credit_journal", app="SELECT, INSERT", elevated="SELECT, INSERT, UPDATE (user_id)")
    ddl.share("credit_leg", app="SELECT", elevated="SELECT")
