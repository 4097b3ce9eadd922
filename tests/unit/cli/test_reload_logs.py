"""SIGHUP configures the logs anew; the file they go to stays the one that is kept."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from src.cli import daemon
from src.cli.context import Context
from src.config import Settings
from src.telemetry import log


class _Enough(Exception):
    """The rest of the daemon is not wanted."""


def test_a_reload_keeps_the_file_it_began_with(monkeypatch: pytest.MonkeyPatch) -> None:
    """One made anew right after logrotate has renamed the old one would not know it for ours, and keep nothing."""
    files: list[object] = []

    def application(settings: Settings, *_: Any, configure_logs: Any, **__: Any) -> None:
        configure_logs(settings)
        raise _Enough

    monkeypatch.setattr(daemon, "_open_logs", lambda *given: files.append(given[-1]))
    monkeypatch.setattr("src.cli.daemon.LogFile.told", object)
    monkeypatch.setattr(daemon, "Application", application)
    context = cast(Context, SimpleNamespace(settings=lambda *_: Settings()))
    with pytest.raises(_Enough):
        daemon.run_daemon(context, roles=["ws"], standby=False)
    first, second = files
    assert first is second


def test_a_name_that_was_typed_wrong_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def application(*_: Any, **__: Any) -> Any:
        def prepare() -> None:
            raise _Enough

        return SimpleNamespace(prepare=prepare)

    monkeypatch.setattr(daemon, "Application", application)
    settings = Settings(log_levels={"writer": "debug", "wirter": "debug"}, log_format="json")
    context = cast(Context, SimpleNamespace(settings=lambda *_: settings))
    try:
        with pytest.raises(_Enough):
            daemon.run_daemon(context, roles=["ws"], standby=False)
    finally:
        log.reset()
    assert 'no part of this process is called wirter"' in capsys.readouterr().err
