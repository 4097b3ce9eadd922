-- What a new cluster needs before migrations: the role that owns the database, the database, the extension.
-- Run by timescaledb.sh as the superuser; :password is set by it.
SELECT 'CREATE ROLE marketd LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'marketd') \gexec
ALTER ROLE marketd PASSWORD :'password';
SELECT 'CREATE DATABASE marketd OWNER marketd' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'marketd') \gexec
\connect marketd
CREATE EXTENSION IF NOT EXISTS timescaledb;
