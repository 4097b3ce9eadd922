"""The tests' own ground: a database each, and a server that may be stopped, killed and restarted."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psycopg
import pytest

from tests.support.cluster import Cluster
from tests.support.eventually import eventually
from tests.support.templates import PREFIX, Templates


def _one(url: str, query: str) -> object:
    with psycopg.connect(url, autocommit=True) as session:
        row = session.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_has_a_database_of_its_own(database: str, turn: int) -> None:
    # Whichever turn comes second would find the table of the first.
    with psycopg.connect(database) as session:
        session.execute("CREATE TABLE mine (turn int)")
    assert str(_one(database, "SELECT current_database()")).startswith(PREFIX)


def test_the_database_is_migrated_and_owned_by_an_ordinary_role(database: str) -> None:
    applied = _one(database, "SELECT count(*) FROM market_data.schema_migration")
    assert isinstance(applied, int) and applied > 0
    if "MARKETD_TEST_DATABASE_URL" not in os.environ:  # there the owner is whoever the URL names
        assert _one(database, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is False


def test_the_empty_database_has_the_extension_and_no_tables_of_ours(empty_database: str) -> None:
    assert _one(empty_database, "SELECT count(*) FROM pg_extension WHERE extname = 'timescaledb'") == 1
    assert _one(empty_database, "SELECT count(*) FROM pg_namespace WHERE nspname = 'market_data'") == 0


def test_a_clone_goes_even_while_a_session_is_open(database_templates: Templates) -> None:
    with database_templates.clone(database_templates.empty()) as url:
        session = psycopg.connect(url)
    with pytest.raises(psycopg.OperationalError):
        session.execute("SELECT 1")
    session.close()
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(url)


def test_a_server_keeps_what_was_committed_through_kill_9(cluster: Cluster) -> None:
    with psycopg.connect(cluster.url, autocommit=True) as session:
        session.execute("CREATE TABLE kept AS SELECT 42 AS value")
        before = cluster.postmaster_pid
        cluster.kill()
        assert list(cluster.processes()) == []
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")
    url = cluster.url
    cluster.start()
    assert cluster.url == url
    assert cluster.postmaster_pid != before
    assert _one(url, "SELECT value FROM kept") == 42


async def test_one_backend_can_be_killed_from_outside(cluster: Cluster) -> None:
    with psycopg.connect(cluster.url) as victim:
        os.kill(victim.info.backend_pid, signal.SIGKILL)
        with pytest.raises(psycopg.OperationalError):
            victim.execute("SELECT 1")

    def recovered() -> bool:
        try:
            return _one(cluster.url, "SELECT 1") == 1
        except psycopg.OperationalError:
            return False

    await eventually(recovered, message="the server recovers by itself")


def test_settings_of_a_server_change_with_a_restart(cluster: Cluster) -> None:
    cluster.restart({"max_connections": "12", "default_transaction_read_only": "on"})
    assert _one(cluster.url, "SHOW max_connections") == "12"
    with psycopg.connect(cluster.url) as session, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        session.execute("CREATE TABLE refused ()")


def test_a_server_runs_as_the_design_asks(cluster: Cluster) -> None:
    wanted = {
        "jit": "off",
        "listen_addresses": "127.0.0.1",
        "max_locks_per_transaction": "512",
        "shared_preload_libraries": "timescaledb",
        "timescaledb.telemetry_level": "off",
    }
    assert {name: _one(cluster.admin_url, f"SHOW {name}") for name in wanted} == wanted
    locale = "SELECT datlocale FROM pg_database WHERE datname = 'marketd'"
    version = _one(cluster.url, "SELECT current_setting('server_version_num')::int")
    assert isinstance(version, int)
    if version >= 170000:  # older ones know no locale of their own
        assert _one(cluster.url, locale) == "C.UTF-8"


def test_passwords_are_readable_by_the_owner_alone(cluster: Cluster) -> None:
    for name in ("password", "admin-password"):
        path: Path = cluster.folder / name
        assert path.stat().st_mode & 0o777 == 0o600
        assert len(path.read_text(encoding="ascii")) == 32
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(cluster.url, password="wrong")
