from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from src.adapters.service_manager import SystemdManager
from src.telemetry.metrics import Metrics
from tests.support.fakes import count
from tests.support.notify_socket import NotifySocket


@pytest.mark.parametrize("kind", ["path", "abstract"])
async def test_messages_arrive_at_a_path_and_at_an_abstract_name(kind: str, tmp_path: Path) -> None:
    name = str(tmp_path / "notify") if kind == "path" else f"@marketd-test-{os.getpid()}"
    metrics = Metrics()
    async with NotifySocket.open(name) as heard:
        manager = SystemdManager({"NOTIFY_SOCKET": name}, metrics)
        assert manager.listens
        assert manager.tell("READY=1", "STATUS=two\nlines")
        await heard.wait_for("READY=1")
    assert heard.messages[0][1] == ["READY=1", "STATUS=two lines"], (
        "a line break would begin another variable"
    )
    assert count(metrics, "service_notifications_total", result="sent") == 1


async def test_a_manager_that_is_gone_is_counted_and_heard_again_when_it_is_back(tmp_path: Path) -> None:
    name, metrics = str(tmp_path / "notify"), Metrics()
    manager = SystemdManager({"NOTIFY_SOCKET": name}, metrics)
    assert not manager.tell("WATCHDOG=1")
    assert count(metrics, "service_notifications_total", result="failed") == 1
    async with NotifySocket.open(name) as heard:
        assert manager.tell("WATCHDOG=1")
        await heard.wait_for("WATCHDOG=1")


def test_a_manager_that_does_not_read_never_holds_us_up(tmp_path: Path) -> None:
    name, metrics = str(tmp_path / "notify"), Metrics()
    manager = SystemdManager({"NOTIFY_SOCKET": name}, metrics)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
        deaf.bind(name)
        told = [manager.tell("WATCHDOG=1") for _ in range(2000)]
    assert told[0]
    assert not told[-1], "its queue is full, and we are still here"


def test_variables_are_taken_so_that_other_processes_do_not_speak_for_us(tmp_path: Path) -> None:
    environ = {
        "NOTIFY_SOCKET": str(tmp_path / "n"),
        "WATCHDOG_USEC": "60000000",
        "WATCHDOG_PID": str(os.getpid()),
        "OTHER": "1",
    }
    manager = SystemdManager(environ, Metrics())
    assert manager.watchdog_s == 60.0
    assert environ == {"OTHER": "1"}


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({"WATCHDOG_USEC": "2500000"}, 2.5),
        ({"WATCHDOG_USEC": "2500000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "2500000", "NOTIFY_SOCKET": ""}, None),
        ({"WATCHDOG_USEC": "2500000", "NOTIFY_SOCKET": "tcp:1"}, None),
        ({}, None),
    ],
)
def test_signs_of_life_are_wanted_as_the_variables_say(
    variables: dict[str, str], wanted: float | None
) -> None:
    assert SystemdManager({"NOTIFY_SOCKET": "/run/n", **variables}, Metrics()).watchdog_s == wanted


def test_without_a_manager_nothing_is_said_or_counted() -> None:
    metrics = Metrics()
    manager = SystemdManager({}, metrics)
    assert not manager.listens
    assert not manager.tell("READY=1")
    assert count(metrics, "service_notifications_total", result="failed") == 0
