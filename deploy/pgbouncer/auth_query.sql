-- Lets pgbouncer look up how gesso's roles log in, instead of a file with their passwords.
-- Run it once as a superuser in gesso's database: psql -v password=… -f auth_query.sql
-- Hosted databases without a superuser: use the file (`gesso pooler-users`), or the host's own pooler.

CREATE ROLE gesso_pooler LOGIN PASSWORD :'password';
CREATE SCHEMA gesso_pooler;
REVOKE ALL ON SCHEMA gesso_pooler FROM PUBLIC;
GRANT USAGE ON SCHEMA gesso_pooler TO gesso_pooler;

-- Only the two roles of the application: nobody logs in as the owner through the pooler.
CREATE FUNCTION gesso_pooler.password_of(role_name text, OUT name text, OUT verifier text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT rolname::text, rolpassword FROM pg_authid
    WHERE rolname = role_name AND rolname IN ('gesso_app', 'gesso_elevated')
      AND rolcanlogin AND (rolvaliduntil IS NULL OR rolvaliduntil > now())
$$;
REVOKE ALL ON FUNCTION gesso_pooler.password_of(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gesso_pooler.password_of(text) TO gesso_pooler;
