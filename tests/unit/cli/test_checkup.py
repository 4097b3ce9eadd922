"""What ``marketd doctor`` makes of what it finds."""

from __future__ import annotations

import socket
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from src.adapters.http_guard import SERVER_NAME
from src.adapters.timescale.reports.inspection import Inspection, Server
from src.cli.health.checkup import check_disk, check_port, judge_reader, judge_server
from src.config import Settings

GOOD = Server(
    postgresql="17.6",
    timescaledb="2.19.3",
    edition="Apache",
    max_locks_per_transaction=512,
    max_connections=100,
    synchronous_commit="on",
    fsync="on",
    read_only=False,
    role="marketd",
    database="market",
    size_bytes=1,
)


def test_a_good_server_has_no_advice() -> None:
    findings = judge_server(Inspection(GOOD, []))
    assert [(finding.subject, finding.state) for finding in findings] == [
        ("database", "ok"),
        ("tables", "ok"),
    ]


@pytest.mark.parametrize(
    ("change", "state", "advice"),
    [
        ({"timescaledb": None}, "bad", "install the timescaledb package"),
        ({"read_only": True}, "bad", "primary"),
        ({"synchronous_commit": "off"}, "bad", "ALTER ROLE marketd SET synchronous_commit = on"),
        ({"fsync": "off"}, "warning", "fsync = on"),
        ({"max_locks_per_transaction": 64}, "warning", "512"),
        ({"max_connections": 10}, "bad", "20"),
    ],
)
def test_a_bad_server_has_advice(change: dict[str, object], state: str, advice: str) -> None:
    findings = judge_server(Inspection(replace(GOOD, **change), []))  # type: ignore[arg-type]
    (problem,) = [finding for finding in findings if finding.state != "ok"]
    assert (problem.state, advice in problem.advice) == (state, True)


def test_migrations_and_rights() -> None:
    (pending,) = judge_server(Inspection(GOOD, ["migrations/0002_x.sql"]))[1:]
    (rights,) = judge_server(Inspection(GOOD, [], missing_rights=["candles_1m UPDATE"]))[1:]
    assert (pending.state, rights.state) == ("bad", "bad")
    assert "marketd migrate" in pending.advice
    assert "candles_1m UPDATE" in rights.text


def test_a_port_that_another_program_has() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        taken = check_port(Settings(metrics_port=port))
    assert (taken.state, "METRICS_PORT" in taken.advice) == ("bad", True)
    assert check_port(Settings(metrics_port=port)).state == "ok"


@pytest.mark.parametrize(("server", "state"), [("nginx", "bad"), (SERVER_NAME, "ok")])
def test_a_port_where_something_answers(server: str, state: str) -> None:
    """Many programs are healthy under /healthz; only a marketd is one of ours."""

    class Program(BaseHTTPRequestHandler):
        def version_string(self) -> str:
            return server

        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Program) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        found = check_port(Settings(metrics_port=other.server_port))
        other.shutdown()
    assert found.state == state, found


def test_a_reader_that_sees_nothing() -> None:
    reader = replace(GOOD, role="reader")
    (good,) = judge_reader(Inspection(reader, []))
    (blind,) = judge_reader(Inspection(reader, ["0001_candles"]))
    assert (good.state, blind.state) == ("ok", "bad")
    assert "marketd migrate" in blind.advice


def test_disk(tmp_path: Path) -> None:
    assert str(tmp_path) in check_disk(tmp_path).text
