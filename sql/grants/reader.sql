-- What the role of DATABASE_READER_URL may do: look. Filled in like writer.sql, when it is neither owner nor writer.
REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {role};
GRANT USAGE ON SCHEMA {schema} TO {role};
GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role};
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA {schema} FROM {role};
