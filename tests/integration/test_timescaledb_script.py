"""``scripts/timescaledb.sh`` as a person uses it."""

from __future__ import annotations

import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from tests.support.cluster import Cluster
from tests.support.processes import ROOT, clean_environment

Done = subprocess.CompletedProcess[str]


def _script(*arguments: str, **environment: str) -> Done:
    return subprocess.run(
        [str(ROOT / "scripts" / "timescaledb.sh"), *arguments],
        env=clean_environment({"MARKETD_ENV_FILE": os.devnull, **environment}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def var(tmp_path: Path) -> str:
    """An empty state folder, as ``MARKETD_VAR``."""
    return str(tmp_path / "var")


def test_from_nothing_to_a_database_and_back(var: str) -> None:
    assert _script("status", MARKETD_VAR=var).returncode == 3
    assert _script("url", MARKETD_VAR=var).returncode == 1
    try:
        assert _script("up", MARKETD_VAR=var).returncode == 0
        url = _script("url", MARKETD_VAR=var).stdout.strip()
        with psycopg.connect(url, autocommit=True) as session:
            row = session.execute(
                "SELECT current_setting('fsync'), current_database(), current_user"
            ).fetchone()
        assert row == ("on", "marketd", "marketd")
        status = _script("status", MARKETD_VAR=var)
        assert status.returncode == 0 and "running: pid" in status.stdout
        asked = _script("psql", "-X", "-At", "-c", "SELECT 6 * 7", MARKETD_VAR=var)
        assert asked.stdout == "42\n"
        assert _script("down", MARKETD_VAR=var).returncode == 0
        assert _script("status", MARKETD_VAR=var).returncode == 3
        assert _script("up", MARKETD_VAR=var).returncode == 0
        assert _script("url", MARKETD_VAR=var).stdout.strip() == url
    finally:
        assert _script("destroy", MARKETD_VAR=var).returncode == 0
    assert not (Path(var) / "timescaledb").exists()


def test_a_named_database_is_used_and_nothing_is_started(var: str, database: str) -> None:
    named = {"MARKETD_VAR": var, "DATABASE_URL": database}
    assert _script("up", **named).returncode == 0
    assert _script("url", **named).stdout.strip() == database
    answer = _script("psql", "-X", "-At", "-c", "SELECT current_database()", **named).stdout.strip()
    assert database.endswith(f"/{answer}")
    assert _script("destroy", **named).returncode == 0
    assert not Path(var).exists()
    with psycopg.connect(database) as session:
        assert session.execute("SELECT 1").fetchone() == (1,)


@pytest.fixture
def spied(tmp_path: Path) -> str:
    """A PATH whose psql prints its arguments and the password of its environment."""
    psql = tmp_path / "bin" / "psql"
    psql.parent.mkdir()
    psql.write_text('#!/bin/sh\nprintf \'%s\\n\' "$@" "PGPASSWORD=$PGPASSWORD"\n')
    psql.chmod(0o755)
    return f"{psql.parent}:{os.environ['PATH']}"


@pytest.mark.parametrize(
    ("url", "shown", "password"),
    [
        ("postgresql://u:ge%40heim@h/db", "postgresql://u@h/db", "ge@heim"),
        ("postgresql://u:ge\\neim@h/db", "postgresql://u@h/db", "ge\\neim"),
        ("postgresql://u@h:5432/db?password=geheim", "postgresql://u@h:5432/db", "geheim"),
        ("postgresql:///db?host=/run&password=g%26h&user=u", "postgresql:///db?host=/run&user=u", "g&h"),
        ("postgresql://u:other@h?password=ge@heim&dbname=db", "postgresql://u@h?dbname=db", "ge@heim"),
        ("postgresql://u@h/db?sslmode=require", "postgresql://u@h/db?sslmode=require", ""),
    ],
)
def test_the_password_is_not_on_the_command_line_of_psql(
    spied: str, url: str, shown: str, password: str
) -> None:
    answer = _script("psql", "-c", "SELECT 1", DATABASE_URL=url, PATH=spied)
    assert answer.stdout.splitlines() == ["-d", shown, "-c", "SELECT 1", f"PGPASSWORD={password}"]


@pytest.mark.parametrize("password", ["ge/heim", "ge@heim", "ge@he/im", "1/ge@heim"])
def test_a_password_that_psql_would_misread_is_refused(spied: str, password: str) -> None:
    answer = _script("psql", DATABASE_URL=f"postgresql://u:{password}@h/db", PATH=spied)
    assert (answer.returncode, answer.stdout) == (1, "")
    assert "percent-encoded" in answer.stderr and "heim" not in answer.stderr


def test_a_named_folder_is_used_whatever_database_is_named(tmp_path: Path) -> None:
    refused = _script("url", "--data", str(tmp_path / "none"), DATABASE_URL="postgresql://elsewhere/db")
    assert refused.returncode == 1
    assert "elsewhere" not in refused.stdout


def test_parallel_starts_make_one_server(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path / "cluster")
    with ThreadPoolExecutor(8) as pool:
        starts = [pool.submit(cluster.start) for _ in range(8)]
    try:
        assert [start.result() for start in starts] == [None] * 8
        postmasters = {
            pid for pid in cluster.processes() if _parent_is_foreign(pid, set(cluster.processes()))
        }
        assert postmasters == {cluster.postmaster_pid}
    finally:
        cluster.destroy()


def _parent_is_foreign(pid: int, family: set[int]) -> bool:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return int(fields[1]) not in family


def test_a_start_right_after_a_kill_waits_for_the_last_process_of_the_old_server(cluster: Cluster) -> None:
    session = psycopg.connect(cluster.url)
    backend = session.info.backend_pid
    os.kill(backend, signal.SIGSTOP)  # it cannot notice that its postmaster is gone
    os.kill(cluster.postmaster_pid, signal.SIGKILL)
    with ThreadPoolExecutor(1) as pool:
        start = pool.submit(cluster.start)
        with pytest.raises(TimeoutError):
            start.result(timeout=1.0)
        os.kill(backend, signal.SIGCONT)
        start.result()
    session.close()
    with psycopg.connect(cluster.url) as again:
        assert again.execute("SELECT 1").fetchone() == (1,)


def test_a_folder_that_is_no_cluster_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    refused = _script("destroy", "--data", str(tmp_path))
    assert refused.returncode == 1
    assert "left alone" in refused.stderr
    assert (tmp_path / "thesis.txt").exists()


def test_a_broken_download_never_looks_installed(tmp_path: Path) -> None:
    failed = _script(
        "fetch", "--private", XDG_CACHE_HOME=str(tmp_path), MARKETD_DEBIAN_MIRROR="http://127.0.0.1:9/debian"
    )
    if failed.returncode == 0:
        pytest.skip("this machine has its own PostgreSQL with timescaledb; nothing is downloaded")
    assert failed.returncode == 1
    assert "was not fetched" in failed.stderr
    assert [
        path for path in (tmp_path / "marketd").iterdir() if path.suffix not in {".part", ".log", ".apt"}
    ] == []
