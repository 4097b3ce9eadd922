"""scripts/start.sh as people and init systems use it (facts: LSB codes, stale pid files, parallel starts)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.eventually import eventually
from tests.support.startscript import StartScript, daemons_of, is_gone, start_time


@pytest.fixture
def script(tmp_path: Path, database: str) -> Iterator[StartScript]:
    """The script on a migrated database, in a state folder whose name has a space."""
    script = StartScript(tmp_path / "state folder", {"DATABASE_URL": database})
    yield script
    script("stop")


@pytest.fixture
def bare(tmp_path: Path) -> StartScript:
    """The script without a database, for what needs none."""
    return StartScript(tmp_path / "state", {})


@pytest.fixture
def zombie() -> Iterator[int]:
    """The pid of a process that has ended and that nobody has waited for."""
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    yield process.pid
    process.wait()


@pytest.fixture
def stubborn() -> Iterator[subprocess.Popen[bytes]]:
    """A process that ignores SIGTERM: a daemon that hangs."""
    with subprocess.Popen(["sh", "-c", "trap '' TERM; exec sleep 600"]) as process:
        yield process
        process.kill()


def test_start_status_psql_logs_stop(script: StartScript) -> None:
    started = script("start", "--ws")
    assert started.returncode == 0, started.stderr
    pid = script.pid()
    assert os.getsid(pid) == pid, "it must outlive the terminal it was started from"

    again = script("start")
    assert (again.returncode, script.pid()) == (0, pid)
    assert "already running" in again.stderr

    status = script("status")
    assert status.returncode == 0
    assert f"pid {pid}, since " in status.stdout
    assert "not_ready" not in status.stdout and "NOT READY" in status.stdout

    rows = script("psql", "-X", "-At", "-c", "select count(*) from candles_1m", "-c", "select 'two words'")
    assert (rows.stdout, rows.returncode) == ("0\ntwo words\n", 0), rows.stderr
    assert str(pid) in script("logs", "-n", "50").stdout
    told = script("run", "config", "--get", "DATABASE_URL")
    assert (told.returncode, told.stdout.strip()) == (0, script.settings["DATABASE_URL"]), told.stderr
    assert script("run").returncode == 2

    stopped = script("stop")
    assert (stopped.returncode, is_gone(pid)) == (0, True), stopped.stderr
    assert '"event":"stopped"' in script.log
    assert script("status").returncode == 3
    assert script("stop").returncode == 0
    assert script("psql").returncode == script("run", "status").returncode == 7


async def test_what_is_written_anew_is_taken_over_at_sighup(script: StartScript, tmp_path: Path) -> None:
    """A setting that the script had put into the daemon's environment would win over the file for ever."""
    written, url = tmp_path / "env", tmp_path / "url"
    written.write_text("LOG_LEVEL=info\n")
    url.write_text(script.settings.pop("DATABASE_URL"))
    script.settings.update(MARKETD_ENV_FILE=str(written), DATABASE_URL_FILE=str(url))
    started = script("start", "--ws")
    assert started.returncode == 0, started.stderr
    written.write_text("LOG_LEVEL=debug\n")
    os.kill(script.pid(), signal.SIGHUP)
    await eventually(lambda: '"changed":["LOG_LEVEL"]' in script.log, timeout=120)


async def test_the_daemon_is_started_again_when_it_dies(script: StartScript) -> None:
    """After pauses that grow while it does not live for long (G7)."""
    assert script("daemon", "--ws").returncode == 0
    keeper, pids = script.pid("keeper"), [script.pid()]

    def is_back() -> bool:
        try:
            return script.pid() != pids[-1] and script("status").returncode == 0
        except (FileNotFoundError, IndexError):
            return False

    for pause in (1, 2):
        os.kill(pids[-1], signal.SIGKILL)
        await eventually(is_back, timeout=120)
        assert f"the daemon ended with 137; starting it again in {pause} s" in script.log
        pids.append(script.pid())
    stopped = script("stop")
    assert stopped.returncode == 0
    assert [is_gone(pid) for pid in (*pids, keeper)] == [True] * 4
    assert script("status").returncode == 3


async def test_the_log_is_bounded_and_followed_when_it_is_moved(script: StartScript) -> None:
    """G10: by its size while the daemon runs, and by logrotate, without a signal."""
    script.settings.update(MARKETD_LOG_BYTES="4000", LOG_LEVEL="debug")
    assert script("daemon", "--ws").returncode == 0
    log = script.state / "log" / "marketd.log"
    old = log.with_name("marketd.log.1")
    # Between the two there is a moment without a log.
    await eventually(lambda: old.exists() and log.exists(), timeout=120, message="it becomes the old one")
    moved = log.with_name("moved")
    log.rename(moved)
    await eventually(log.exists, timeout=120, message="a new one is begun")
    pid = script.pid()
    os.kill(pid, signal.SIGKILL)
    await eventually(lambda: "starting it again" in script.log, timeout=120, message="the keeper follows")
    assert script("stop").returncode == 0
    for line in moved.read_text().splitlines():
        json.loads(line)


def test_restart_keeps_the_way_it_was_started(script: StartScript) -> None:
    assert script("daemon", "--ws").returncode == 0
    first, keeper = script.pid(), script.pid("keeper")
    assert script("restart").returncode == 0
    assert script.pid() != first and script.pid("keeper") != keeper
    assert is_gone(first) and is_gone(keeper)
    assert (script.state / "run" / "flags").read_text() == "--ws\n"


def test_a_restart_with_a_wrong_setting_leaves_what_runs_alone(tmp_path: Path) -> None:
    script = StartScript(tmp_path / "state", {})
    try:
        assert script("start", "--ws").returncode == 0
        pid = script.pid()
        script.settings["BUFFER_ROWS"] = "1"
        refused = script("restart")
        assert refused.returncode == 6
        assert "BUFFER_ROWS=1 (" in refused.stderr and "nothing was stopped" in refused.stderr
        assert script("status").returncode == 0 and script.pid() == pid
        assert script("psql", "-X", "-At", "-c", "select 1").stdout == "1\n"
    finally:
        assert script("stop").returncode == 0
    postmaster = script.state / "timescaledb" / "data" / "postmaster.pid"
    assert not postmaster.exists(), "the private database is left running"


def test_the_private_database_stops_when_another_one_is_named(tmp_path: Path, database: str) -> None:
    script = StartScript(tmp_path / "state", {})
    postmaster = script.state / "timescaledb" / "data" / "postmaster.pid"
    try:
        assert script("start", "--ws").returncode == 0
        assert postmaster.exists()
        script.settings["DATABASE_URL"] = database
        assert script("restart").returncode == 0
        assert not postmaster.exists()
    finally:
        assert script("stop").returncode == 0


def test_a_restart_does_not_start_marketd_because_the_demo_runs(bare: StartScript) -> None:
    with subprocess.Popen(["sleep", "600"]) as demo:
        folder = bare.state / "demo" / "run"
        folder.mkdir(parents=True)
        (folder / "marketd.pid").write_text(f"{demo.pid} {start_time(demo.pid)}")
        refused = bare("restart")
        assert refused.returncode == 7
        assert "only the demo runs" in refused.stderr
        assert demo.poll() is None and not (bare.state / "run").exists()
        demo.kill()


def test_eight_starts_at_once_make_one_process(script: StartScript) -> None:
    starts = [script.popen("start", "--ws") for _ in range(8)]
    errors = [process.communicate(timeout=240)[1] for process in starts]
    assert [process.returncode for process in starts] == [0] * 8, errors
    assert sum("already running" in text for text in errors) == 7
    assert daemons_of(script.state) == [script.pid()]


@pytest.mark.parametrize(
    "content", ["", "\n", "garbage", "1", "-1 5", "1 x", "0 0", "99999999 1", "\x00\xff"]
)
def test_a_garbled_pid_file_is_a_dead_daemon(bare: StartScript, content: str) -> None:
    bare.write_pid(content)
    assert bare("status").returncode == 1
    assert bare("stop").returncode == 0
    assert bare("status").returncode == 3


def test_a_pid_that_another_program_has_by_now_is_left_alone(bare: StartScript) -> None:
    with subprocess.Popen(["sleep", "600"]) as stranger:
        bare.write_pid(f"{stranger.pid} {start_time(stranger.pid) - 1}")
        assert bare("status").returncode == 1
        assert bare("stop").returncode == 0
        assert stranger.poll() is None
        stranger.kill()


def test_a_zombie_is_dead(bare: StartScript, zombie: int) -> None:
    bare.write_pid(f"{zombie} {start_time(zombie)}")
    status = bare("status")
    assert (status.returncode, "is dead" in status.stdout) == (1, True)


def test_start_over_a_dead_pid_file(script: StartScript, zombie: int) -> None:
    script.write_pid(f"{zombie} {start_time(zombie)}")
    assert script("start", "--ws").returncode == 0
    assert script.pid() != zombie


@pytest.mark.parametrize("arguments", [(), ("fly",), ("stop", "now"), ("status", "--json")])
def test_wrong_arguments(bare: StartScript, arguments: tuple[str, ...]) -> None:
    result = bare(*arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert "scripts/start.sh start" in result.stderr


def test_a_state_folder_that_is_none(bare: StartScript) -> None:
    bare.state.mkdir()
    (bare.state / "run").touch()
    assert bare("status").returncode == 4
    assert bare("start").returncode == 4


def test_a_wrong_setting_starts_nothing(bare: StartScript) -> None:
    bare.settings.update(
        RATE_LIMIT_PER_MINUTE="99999", CHUNK_DAYS="0", DATABASE_URL="postgresql://127.0.0.1:9/x"
    )
    result = bare("start")
    assert result.returncode == 6
    assert "RATE_LIMIT_PER_MINUTE=99999" in result.stderr
    assert "CHUNK_DAYS=0" in result.stderr
    assert not daemons_of(bare.state)


def test_a_database_that_is_away_does_not_keep_it_from_starting(bare: StartScript) -> None:
    bare.settings["DATABASE_URL"] = "postgresql://marketd@127.0.0.1:9/market"
    started = bare("start", "--ws")
    assert started.returncode == 0, started.stderr
    assert "the database is away" in started.stderr
    status = bare("status")
    assert status.returncode == 0
    assert "database not writable" in status.stdout
    assert bare("stop").returncode == 0
    assert "rows left" in bare.log


def test_the_second_on_one_database_is_told_who_is_first(script: StartScript, tmp_path: Path) -> None:
    assert script("start", "--ws").returncode == 0
    other = StartScript(tmp_path / "other", script.settings | {"MARKETD_VAR": str(tmp_path / "other")})
    result = other("daemon", "--ws")
    assert result.returncode == 1
    assert f"pid {script.pid()}" in result.stderr
    assert other("status").returncode == 3


async def test_a_standby_is_up_and_takes_over(script: StartScript, tmp_path: Path) -> None:
    assert script("start", "--ws").returncode == 0
    other = StartScript(tmp_path / "other", script.settings | {"MARKETD_VAR": str(tmp_path / "other")})
    started = other("start", "--ws", "--standby")
    try:
        assert started.returncode == 0, started.stderr
        holder = f"lock         pid {script.pid()} on "
        assert holder in other("status").stdout
        os.kill(script.pid(), signal.SIGKILL)
        await eventually(
            lambda: f"lock         pid {other.pid()} on " in other("status").stdout,
            timeout=60,
            message=other.log,
        )
        assert script("status").returncode == 1
    finally:
        assert other("stop").returncode == 0


async def test_what_does_not_stop_is_killed_and_said_so(
    bare: StartScript, stubborn: subprocess.Popen[bytes]
) -> None:
    bare.settings["MARKETD_STOP_SECONDS"] = "1"
    await eventually(lambda: ignores(stubborn.pid, signal.SIGTERM), timeout=60)
    bare.write_pid(f"{stubborn.pid} {start_time(stubborn.pid)}")
    result = bare("stop")
    assert (result.returncode, "killing it" in result.stderr) == (0, True), result.stderr
    assert stubborn.wait(60) == -signal.SIGKILL


def ignores(pid: int, number: signal.Signals) -> bool:
    """Whatever else it ignores: a run under nohup hands SIGHUP down."""
    status = Path(f"/proc/{pid}/status").read_text()
    mask = next(line.split()[1] for line in status.splitlines() if line.startswith("SigIgn:"))
    return bool(int(mask, 16) >> (number - 1) & 1)
