"""People, workspaces, sessions, mailed tokens, the audit log and the development outbox."""

from gesso.db.ddl import definer, protect, role, script, share

revision = "0002"
down_revision = "0001"

_TABLES = """
CREATE TABLE app_user (
    id uuid NOT NULL CONSTRAINT pk_app_user PRIMARY KEY,
    email citext NOT NULL CONSTRAINT uq_app_user_email UNIQUE,
    name text NOT NULL CONSTRAINT ck_app_user_name CHECK (char_length(name) BETWEEN 1 AND 80),
    password_hash text,
    email_verified_at timestamptz,
    is_operator boolean NOT NULL DEFAULT false,
    disabled_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE workspace (
    id uuid NOT NULL CONSTRAINT pk_workspace PRIMARY KEY,
    name text NOT NULL CONSTRAINT ck_workspace_name CHECK (char_length(name) BETWEEN 1 AND 120),
    kind text NOT NULL CONSTRAINT ck_workspace_kind CHECK (kind IN ('personal', 'team')),
    plan_key text NOT NULL,
    -- Monthly grants are counted from the anchor, so that 31 January does not drift to the 28th for good.
    plan_anchor_at timestamptz NOT NULL DEFAULT now(),
    plan_renews_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ix_workspace_plan_renews_at ON workspace (plan_renews_at) WHERE plan_renews_at IS NOT NULL;

CREATE TABLE membership (
    workspace_id uuid NOT NULL CONSTRAINT fk_membership_workspace_id
        REFERENCES workspace (id) ON DELETE CASCADE,
    user_id uuid NOT NULL CONSTRAINT fk_membership_user_id REFERENCES app_user (id) ON DELETE CASCADE,
    role text NOT NULL CONSTRAINT ck_membership_role CHECK (role IN ('admin', 'member')),
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_membership PRIMARY KEY (workspace_id, user_id)
);
CREATE INDEX ix_membership_user_id ON membership (user_id);

CREATE TABLE login_session (
    id uuid NOT NULL CONSTRAINT pk_login_session PRIMARY KEY,
    user_id uuid NOT NULL CONSTRAINT fk_login_session_user_id REFERENCES app_user (id) ON DELETE CASCADE,
    workspace_id uuid NOT NULL CONSTRAINT fk_login_session_workspace_id
        REFERENCES workspace (id) ON DELETE CASCADE,
    token_hash bytea NOT NULL CONSTRAINT uq_login_session_token_hash UNIQUE
        CONSTRAINT ck_login_session_token_hash CHECK (octet_length(token_hash) = 32),
    user_agent text NOT NULL DEFAULT '',
    ip inet,
    created_at timestamptz NOT NULL DEFAULT now(),
    last_seen_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz
);
CREATE INDEX ix_login_session_user_id ON login_session (user_id, last_seen_at DESC);
CREATE INDEX ix_login_session_expires_at ON login_session (expires_at);

CREATE TABLE mail_token (
    id uuid NOT NULL CONSTRAINT pk_mail_token PRIMARY KEY,
    purpose text NOT NULL CONSTRAINT ck_mail_token_purpose CHECK (purpose IN ('verify', 'reset')),
    token_hash bytea NOT NULL CONSTRAINT uq_mail_token_token_hash UNIQUE
        CONSTRAINT ck_mail_token_token_hash CHECK (octet_length(token_hash) = 32),
    user_id uuid NOT NULL CONSTRAINT fk_mail_token_user_id REFERENCES app_user (id) ON DELETE CASCADE,
    -- The address the token was sent to: using it proves that address and no other.
    email citext NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ix_mail_token_user_id ON mail_token (user_id);
CREATE INDEX ix_mail_token_expires_at ON mail_token (expires_at);

CREATE TABLE audit_event (
    id uuid NOT NULL CONSTRAINT pk_audit_event PRIMARY KEY,
    workspace_id uuid CONSTRAINT fk_audit_event_workspace_id REFERENCES workspace (id) ON DELETE CASCADE,
    user_id uuid CONSTRAINT fk_audit_event_user_id REFERENCES app_user (id) ON DELETE SET NULL,
    action text NOT NULL,
    detail jsonb NOT NULL DEFAULT '{}',
    ip inet,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ix_audit_event_workspace_id ON audit_event (workspace_id, created_at DESC);
CREATE INDEX ix_audit_event_user_id ON audit_event (user_id);

CREATE TABLE outbox_mail (
    id uuid NOT NULL CONSTRAINT pk_outbox_mail PRIMARY KEY,
    recipient text NOT NULL,
    subject text NOT NULL,
    body_text text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ix_outbox_mail_created_at ON outbox_mail (created_at DESC, id DESC);
"""

# `app_user`, `login_session` and `mail_token` belong to a person, `workspace` is its own scope: their
# policies are written out. The columns are granted one by one, so that a stray SELECT * cannot carry a
# password's or a token's hash out of the database, and the application cannot make an operator.
_PERSONAL = """
ALTER TABLE app_user ENABLE ROW LEVEL SECURITY;
CREATE POLICY app_user_self ON app_user FOR ALL TO {app}
    USING (id = gesso_user()) WITH CHECK (id = gesso_user());
CREATE POLICY app_user_fellow ON app_user FOR SELECT TO {app}
    USING (EXISTS (SELECT FROM membership m
                   WHERE m.user_id = app_user.id AND m.workspace_id = gesso_workspace()));
CREATE POLICY app_user_elevated ON app_user FOR ALL TO {elevated} USING (true) WITH CHECK (true);
GRANT SELECT (id, email, name, email_verified_at, is_operator, disabled_at, created_at, updated_at)
    ON app_user TO {app}, {elevated};
GRANT INSERT (id, email, name, password_hash, email_verified_at, created_at, updated_at)
    ON app_user TO {app};
GRANT UPDATE (email, name, password_hash, email_verified_at, updated_at) ON app_user TO {app};
GRANT UPDATE (email, name, email_verified_at, is_operator, disabled_at, updated_at)
    ON app_user TO {elevated};

ALTER TABLE workspace ENABLE ROW LEVEL SECURITY;
CREATE POLICY workspace_workspace ON workspace FOR ALL TO {app}
    USING (id = gesso_workspace()) WITH CHECK (id = gesso_workspace());
CREATE POLICY workspace_elevated ON workspace FOR ALL TO {elevated} USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE ON workspace TO {app};
GRANT SELECT, INSERT, UPDATE, DELETE ON workspace TO {elevated};

ALTER TABLE login_session ENABLE ROW LEVEL SECURITY;
CREATE POLICY login_session_self ON login_session FOR ALL TO {app}
    USING (user_id = gesso_user())
    WITH CHECK (user_id = gesso_user() AND workspace_id = gesso_workspace());
CREATE POLICY login_session_elevated ON login_session FOR ALL TO {elevated}
    USING (true) WITH CHECK (true);
GRANT SELECT (id, user_id, workspace_id, user_agent, ip, created_at, last_seen_at, expires_at, revoked_at)
    ON login_session TO {app}, {elevated};
GRANT INSERT, UPDATE (revoked_at) ON login_session TO {app};
GRANT UPDATE (revoked_at), DELETE ON login_session TO {elevated};

ALTER TABLE mail_token ENABLE ROW LEVEL SECURITY;
CREATE POLICY mail_token_self ON mail_token FOR ALL TO {app}
    USING (user_id = gesso_user()) WITH CHECK (user_id = gesso_user());
CREATE POLICY mail_token_elevated ON mail_token FOR ALL TO {elevated} USING (true) WITH CHECK (true);
GRANT SELECT (id, purpose, user_id, email, expires_at, used_at, created_at)
    ON mail_token TO {app}, {elevated};
GRANT INSERT, UPDATE (used_at) ON mail_token TO {app};
GRANT DELETE ON mail_token TO {elevated};
"""

# Everything a request needs to know about its session, and the note that it was seen (at most every five
# minutes), in one call.
_AUTH_SESSION = """
CREATE FUNCTION auth_session(p_token_hash bytea, p_at timestamptz)
RETURNS TABLE (session_id uuid, user_id uuid, email citext, name text, is_operator boolean,
               email_verified boolean, workspace_id uuid, workspace_name text, role text, plan_key text)
LANGUAGE sql VOLATILE AS $$
    WITH live AS (
        SELECT s.id AS session_id, u.id AS user_id, u.email, u.name, u.is_operator,
               u.email_verified_at IS NOT NULL AS email_verified,
               w.id AS workspace_id, w.name AS workspace_name, m.role, w.plan_key, s.last_seen_at
        FROM login_session s
        JOIN app_user u ON u.id = s.user_id AND u.disabled_at IS NULL
        JOIN membership m ON m.workspace_id = s.workspace_id AND m.user_id = s.user_id
        JOIN workspace w ON w.id = s.workspace_id
        WHERE s.token_hash = p_token_hash AND s.revoked_at IS NULL AND s.expires_at > p_at
    ), seen AS (
        UPDATE login_session s SET last_seen_at = p_at
        FROM live WHERE s.id = live.session_id AND live.last_seen_at <= p_at - interval '5 minutes'
    )
    SELECT session_id, user_id, email, name, is_operator, email_verified,
           workspace_id, workspace_name, role, plan_key
    FROM live
$$
"""

# The one place where a password's hash leaves the database: one row, for one address.
_AUTH_LOGIN = """
CREATE FUNCTION auth_login(p_email citext)
RETURNS TABLE (user_id uuid, workspace_id uuid, password_hash text)
LANGUAGE sql STABLE AS $$
    SELECT u.id, w.id, u.password_hash
    FROM app_user u
    JOIN membership m ON m.user_id = u.id
    JOIN workspace w ON w.id = m.workspace_id
    WHERE u.email = p_email AND u.disabled_at IS NULL AND u.password_hash IS NOT NULL
    ORDER BY (w.kind = 'personal') DESC, m.created_at
    LIMIT 1
$$
"""

_AUTH_OWN_HASH = """
CREATE FUNCTION auth_own_password() RETURNS text
LANGUAGE sql STABLE AS $$ SELECT u.password_hash FROM app_user u WHERE u.id = gesso_user() $$
"""

# Says to whom a reset belongs, or nothing: the caller answers the same either way.
_AUTH_RESET_REQUEST = """
CREATE FUNCTION auth_reset_request(p_email citext, p_id uuid, p_token_hash bytea,
                                   p_at timestamptz, p_expires_at timestamptz)
RETURNS TABLE (email citext, name text)
LANGUAGE sql VOLATILE AS $$
    WITH person AS (
        SELECT u.id, u.email, u.name FROM app_user u WHERE u.email = p_email AND u.disabled_at IS NULL
    ), token AS (
        INSERT INTO mail_token (id, purpose, token_hash, user_id, email, created_at, expires_at)
        SELECT p_id, 'reset', p_token_hash, person.id, person.email, p_at, p_expires_at FROM person
    )
    SELECT person.email, person.name FROM person
$$
"""

_AUTH_MAILED = """
CREATE FUNCTION auth_mail_token(p_purpose text, p_token_hash bytea, p_at timestamptz)
RETURNS TABLE (id uuid, user_id uuid, workspace_id uuid, email citext)
LANGUAGE sql STABLE AS $$
    SELECT t.id, u.id, w.id, t.email
    FROM mail_token t
    JOIN app_user u ON u.id = t.user_id AND u.disabled_at IS NULL
    JOIN membership m ON m.user_id = u.id
    JOIN workspace w ON w.id = m.workspace_id
    WHERE t.token_hash = p_token_hash AND t.purpose = p_purpose
      AND t.used_at IS NULL AND t.expires_at > p_at
    ORDER BY (w.kind = 'personal') DESC, m.created_at
    LIMIT 1
$$
"""


def upgrade() -> None:
    """Create the tables, who may touch them, and the look-ups made before a workspace is known."""
    script(_TABLES)
    script(_PERSONAL.format(app=role("app"), elevated=role("elevated")))
    protect("membership", app="SELECT, INSERT, UPDATE, DELETE")
    protect("audit_event", app="SELECT, INSERT")
    # The application drops mail in; only an operator's page reads it.
    share("outbox_mail", app="INSERT", elevated="SELECT, INSERT, DELETE")
    definer(_AUTH_SESSION, "auth_session(bytea, timestamptz)")
    definer(_AUTH_LOGIN, "auth_login(citext)")
    definer(_AUTH_OWN_HASH, "auth_own_password()")
    definer(_AUTH_RESET_REQUEST, "auth_reset_request(citext, uuid, bytea, timestamptz, timestamptz)")
    definer(_AUTH_MAILED, "auth_mail_token(text, bytea, timestamptz)")
