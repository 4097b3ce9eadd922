"""The unit: hardened, free of mistakes, in step with the program's exit codes, deadlines and settings."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from src.cli.daemon import STOP_WITHIN_S
from src.config.load import known_names
from src.errors import EXIT_CONFIG
from src.sandbox import Sandbox, SandboxOptions
from tests.integration.deploy.unit_file import UnitFile
from tests.support.daemon import Daemon
from tests.support.notify_socket import NotifySocket
from tests.support.processes import ROOT
from tests.support.venue import history_settings

_PATH = ROOT / "deploy" / "systemd" / "marketd.service"
_UNIT = UnitFile.read(_PATH)
_MOST_EXPOSED = "20"
"""2.0 in tenths, as --threshold takes it."""
_FOREIGN = {"MARKETD_ENV_FILE", "MARKETD_CONFIG_FILE", "NUMBA_CACHE_DIR", "MPLCONFIGDIR"}

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing: apt-get install systemd"
)


def _analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "SYSTEMD_PAGER": "cat"},
    )


@needs_systemd
def test_it_may_do_little() -> None:
    told = _analyze("security", "--offline=true", f"--threshold={_MOST_EXPOSED}", str(_PATH))
    assert told.returncode == 0, told.stdout[-300:] + told.stderr


@needs_systemd
def test_systemd_finds_no_mistake_in_it(tmp_path: Path) -> None:
    text = _PATH.read_text(encoding="utf-8")
    program = _UNIT.one("ExecStart").split()[0]
    assert text.count(program) == 1
    # What it starts is not installed here.
    (tmp_path / "marketd.service").write_text(text.replace(program, "/bin/true"), encoding="utf-8")
    told = _analyze("verify", str(tmp_path / "marketd.service"))
    assert (told.returncode, told.stdout, told.stderr) == (0, "", "")


def test_only_a_wrong_setting_is_not_started_again() -> None:
    assert _UNIT.one("Restart") == "always"
    assert _UNIT.one("RestartPreventExitStatus") == str(EXIT_CONFIG)
    assert _UNIT.one("SuccessExitStatus") == str(128 + signal.SIGTERM)


def test_a_crash_loop_comes_to_an_end() -> None:
    """G7: so many starts within the interval can be reached with the pause between them, and then it is left alone."""
    burst, interval = int(_UNIT.one("StartLimitBurst")), float(_UNIT.one("StartLimitIntervalSec"))
    pause = float(_UNIT.one("RestartSec"))
    assert pause >= 1
    assert 1 < burst < interval / pause, "started again for ever"


def test_it_waits_longer_than_the_daemon_takes_to_stop() -> None:
    assert float(_UNIT.one("TimeoutStopSec")) > STOP_WITHIN_S
    assert float(_UNIT.one("WatchdogSec")) > STOP_WITHIN_S, "draining may be quiet for a while"


def test_it_keeps_what_would_blind_metrics_or_stop_numba() -> None:
    assert "ProcSubset" not in _UNIT.values
    assert "MemoryDenyWriteExecute" not in _UNIT.values


def test_every_setting_and_credential_it_names_exists() -> None:
    environment = _UNIT.environment()
    assert environment.keys() - _FOREIGN <= set(known_names())
    loaded = {value.partition(":")[0] for value in _UNIT.values["LoadCredential"]}
    used = {value.removeprefix("%d/") for value in environment.values() if value.startswith("%d/")}
    assert used == loaded


async def test_a_daemon_started_as_the_unit_says_is_ready_reloads_and_stops(
    database: str, tmp_path: Path
) -> None:
    """With its arguments and its environment; the secret comes as a file, and systemd's socket is a real one."""
    credentials, settings_file = tmp_path / "credentials", tmp_path / "marketd.env"
    credentials.mkdir()
    (credentials / "database-url").write_text(database + "\n", encoding="utf-8")
    async with (
        NotifySocket.open(str(tmp_path / "notify")) as heard,
        Sandbox(SandboxOptions(symbols=4, history_days=1, sleeper_share=0.0)) as sandbox,
    ):
        settings = {
            "BINANCE_REST_URL": sandbox.rest_url,
            "BINANCE_WS_URL": sandbox.ws_url,
            "ARCHIVE_FOLDER": str(tmp_path / "archive"),
            **history_settings(sandbox.rest_url),
        }
        lines = [f"{name}={value}\n" for name, value in settings.items()]
        settings_file.write_text("".join(lines), encoding="utf-8")
        environment = {
            **_UNIT.environment(d=str(credentials), C=str(tmp_path)),
            "MARKETD_ENV_FILE": str(settings_file),
            "NOTIFY_SOCKET": heard.name,
            "WATCHDOG_USEC": str(int(float(_UNIT.one("WatchdogSec")) * 1e6)),
        }
        daemon = Daemon(environment, folder=tmp_path, arguments=_UNIT.one("ExecStart").split()[1:])
        daemon.start()
        try:
            await heard.wait_for("READY=1")
            await heard.wait_for("WATCHDOG=1")
            assert _UNIT.one("ExecReload") == "/bin/kill -HUP $MAINPID"
            daemon.child.signal(signal.SIGHUP)
            await daemon.wait_ready()
            assert "process_open_fds" in (await daemon.get("/metrics"))[1]
            await daemon.stop()
            await heard.wait_for("STOPPING=1")
        finally:
            await daemon.kill()
