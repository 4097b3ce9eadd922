"""What signals do while the daemon still loads what it needs, which takes a second."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import pytest

from src.cli import daemon
from src.cli.app import application


@pytest.fixture
def signals() -> Iterator[None]:
    """This process's own come back."""
    numbers = (signal.SIGHUP, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.usefixtures("signals")
def test_a_reload_that_comes_early_does_not_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """logrotate and `systemctl reload` do not wait until it is up."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    found: list[Any] = []

    def run_daemon(*_: object, **__: object) -> int:
        found.append(signal.getsignal(signal.SIGHUP))
        return 0

    monkeypatch.setattr(daemon, "run_daemon", run_daemon)
    with pytest.raises(SystemExit) as ended:
        application()(args=["--ws"], prog_name="marketd")
    assert ended.value.code == 0
    assert found == [signal.SIG_IGN]
