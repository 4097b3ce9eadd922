-- The three roles of one database, which is marketd's alone. A superuser runs this once, connected to that database;
-- repeating it is harmless:
--
--     createdb market && psql -d market -v ON_ERROR_STOP=1 -f sql/roles.sql
--     psql -d market -c '\password marketd_owner'    (and marketd_writer, marketd_reader)
--
-- marketd_owner owns the tables and migrates (DATABASE_OWNER_URL); no daemon needs it. marketd_writer is the daemon
-- (DATABASE_URL), marketd_reader who looks (DATABASE_READER_URL): the API's reads, status, people. What these two may do
-- with each table is set by every run of `marketd migrate` (grants/). Without a password nobody logs in where pg_hba.conf
-- demands one.
CREATE EXTENSION IF NOT EXISTS timescaledb;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['marketd_owner', 'marketd_writer', 'marketd_reader'] LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I LOGIN', name);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL; -- roles belong to the whole server; it is there
        END;
        EXECUTE format('ALTER ROLE %I NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS', name);
        EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), name);
    END LOOP;
    -- Everybody may connect to a new database and make temporary tables there; in old releases, tables in public too.
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    REVOKE CREATE ON SCHEMA public FROM PUBLIC;
    EXECUTE format('ALTER DATABASE %I OWNER TO marketd_owner', current_database());
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO marketd_writer', current_database());
    -- A reader that forgot its LIMIT ends by itself. Any session may set these anew: what keeps a reader from writing is
    -- that it has no right to.
    EXECUTE format('ALTER ROLE marketd_reader IN DATABASE %I SET statement_timeout = %L', current_database(), '10s');
    EXECUTE format('ALTER ROLE marketd_reader IN DATABASE %I SET default_transaction_read_only = on', current_database());
    EXECUTE format(
        'ALTER ROLE marketd_reader IN DATABASE %I SET idle_in_transaction_session_timeout = %L', current_database(), '60s'
    );
END
$$;
