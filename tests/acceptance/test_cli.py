"""The command line as whole processes: against the sandbox, a database, a running daemon, and without each."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from src.adapters.rate_limiter.book import LeaseAsk
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.rate_limits import RateLimitBook
from src.sandbox import Sandbox, SandboxOptions
from tests.support.daemon import Daemon
from tests.support.eventually import eventually
from tests.support.processes import ROOT, clean_environment
from tests.support.venue import history_settings

SYMBOLS = 12
TOKEN = "0123456789abcdef"
AWAY = "postgresql://marketd:hunter2hunter2@127.0.0.1:9/market"


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


async def marketd(*arguments: str, **settings: str) -> Result:
    """Run one command with these settings and no other."""
    nothing = {"MARKETD_ENV_FILE": os.devnull, "MARKETD_CONFIG_FILE": os.devnull}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "src",
        *arguments,
        cwd=ROOT,
        env=clean_environment({**nothing, **settings}),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(180):
        out, err = await process.communicate()
    assert process.returncode is not None
    assert b"Traceback" not in err, err.decode()
    return Result(process.returncode, out.decode(), err.decode())


@pytest.fixture
async def exchange() -> AsyncIterator[dict[str, str]]:
    """The settings that point at a sandbox of a few symbols."""
    async with Sandbox(SandboxOptions(symbols=SYMBOLS)) as sandbox:
        yield {
            "BINANCE_REST_URL": sandbox.rest_url,
            "BINANCE_WS_URL": sandbox.ws_url,
            **history_settings(sandbox.rest_url),
        }


@pytest.fixture
async def daemon(exchange: Mapping[str, str], database: str, tmp_path: Path) -> AsyncIterator[Daemon]:
    """A running daemon that wants a token and has the gauge by symbol."""
    settings = {**exchange, "DATABASE_URL": database, "METRICS_TOKEN": TOKEN, "SYMBOL_METRIC": "on"}
    running = Daemon(settings, folder=tmp_path)
    running.start()
    await running.wait_ready()
    yield running
    await running.kill()


async def test_the_manual_loads_nothing_heavy() -> None:
    """What it does not load is what makes it come at once: an interpreter's start, not an exchange library."""
    code = "import sys; from src.cli import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code),
        cwd=ROOT,
        env=clean_environment({}),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, modules = await process.communicate()
    assert b"Exit codes:" in out
    assert {"ccxt", "cryptofeed", "aiohttp", "psycopg", "uvloop"}.isdisjoint(modules.decode().split())


async def test_pending_migrations_keep_the_daemon_from_starting(
    empty_database: str, exchange: Mapping[str, str]
) -> None:
    result = await marketd("--ws", DATABASE_URL=empty_database, METRICS_PORT="0", **exchange)
    assert result.code == 78
    assert "run `marketd migrate`" in result.err
    listed = await marketd("migrate", "--dry-run", DATABASE_URL=empty_database)
    assert (listed.code, "migrations/0001_candles.sql\n" in listed.out) == (0, True)
    first, second = [await marketd("migrate", DATABASE_URL=empty_database) for _ in range(2)]
    assert (first.code, second.code) == (0, 0)
    assert "applied" in first.out and "is up to date" in second.out


def _catches_sigterm(pid: int) -> bool:
    """Before Python has come so far, the kernel's own way of ending a process is the only one there is."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


@pytest.mark.parametrize("delay", [0.0, 0.2, 0.4, 0.6, 0.9])
async def test_told_to_stop_while_it_starts(
    delay: float, exchange: Mapping[str, str], tmp_path: Path
) -> None:
    daemon = Daemon({**exchange, "DATABASE_URL": AWAY}, folder=tmp_path)
    daemon.start()
    await eventually(lambda: _catches_sigterm(daemon.child.pid), timeout=60)
    began = time.monotonic()
    await eventually(lambda: time.monotonic() - began > delay)
    await daemon.stop()


async def test_symbols_are_the_selected_ones(exchange: Mapping[str, str]) -> None:
    all_of_them = await marketd("symbols", "--json", **exchange)
    symbols = all_of_them.json["symbols"]
    assert len(symbols) == SYMBOLS
    assert all_of_them.json["out"]["quoted in another asset than USDT"] > 0
    one = await marketd("--set", f"SYMBOLS={symbols[0]}", "symbols", **exchange)
    assert one.out == f"{symbols[0]}\n"
    assert "marketd: 1 symbols selected\n" in one.err
    assert " out: name not selected (SYMBOLS, EXCLUDE_SYMBOLS)\n" in one.err


async def test_symbols_are_asked_for_out_of_the_budget_of_all_processes(
    exchange: Mapping[str, str], database: str
) -> None:
    settings = {**exchange, "DATABASE_URL": database}
    shared = await marketd("symbols", **settings)
    assert (shared.code, len(shared.out.splitlines())) == (0, SYMBOLS)
    assert "not shared" not in shared.err
    book = RateLimitBook(DatabaseOptions(database), "direct")
    try:
        minute = int(time.time() // 60)
        used = [await book.lease(LeaseAsk("fapi", minute - back, 1, 1800)) for back in (0, 1)]
        assert sum(grant.total for grant in used) > 0, "nothing was booked"
        # Another process of the address was told to wait: this one does not ask, whatever it counted itself.
        await book.ban(["fapi"], 3600.0)
    finally:
        await book.close()
    banned = await marketd("symbols", **settings)
    assert (banned.code, banned.out) == (69, "")
    assert "cannot be asked: no request for " in banned.err


async def test_symbols_do_without_a_database_that_cannot_be_used(
    exchange: Mapping[str, str], empty_database: str
) -> None:
    for url in (AWAY, empty_database):
        result = await marketd("symbols", **exchange, DATABASE_URL=url)
        assert (result.code, len(result.out.splitlines())) == (0, SYMBOLS), result.err
        assert "marketd: the request budget is not shared with other processes: " in result.err
        assert "hunter2" not in result.err


async def test_an_exchange_that_is_away_is_one_line() -> None:
    result = await marketd("symbols", BINANCE_REST_URL="http://127.0.0.1:9")
    assert (result.code, len(result.err.splitlines())) == (69, 1), result.err
    assert result.err.startswith("marketd: http://127.0.0.1:9 cannot be asked: ")


async def test_status_and_health_with_the_daemon_up(daemon: Daemon) -> None:
    report = await marketd("status", "--json", **daemon.settings)
    assert report.code == 0
    assert report.json["daemon"]["symbols"]["expected"] == SYMBOLS
    assert report.json["database"]["lock_holder"]["pid"] == daemon.child.pid
    table = await marketd("status", **daemon.settings)
    assert table.out.startswith("daemon       ready\n")
    for health in ([], ["--live"]):
        assert (await marketd("healthcheck", *health, **daemon.settings)).code == 0
    stranger = await marketd("status", **(daemon.settings | {"METRICS_TOKEN": TOKEN[::-1]}))
    assert (stranger.code, "answers 401" in stranger.out) == (1, True)
    unreachable = await marketd("status", **(daemon.settings | {"DATABASE_URL": AWAY}))
    assert unreachable.code == 0
    assert "database     not asked: " in unreachable.out and "hunter2" not in unreachable.out


async def test_status_with_the_daemon_down_comes_from_the_database(daemon: Daemon) -> None:
    pid = daemon.child.pid
    await daemon.stop()
    report = await marketd("status", **daemon.settings)
    assert report.code == 1
    assert "not asked: no daemon answers on http://127.0.0.1:" in report.out
    assert "free: no daemon writes" in report.out
    assert f"pid {pid}" in report.out and "ended by itself" in report.out
    nothing = await marketd("status", METRICS_PORT="9", DATABASE_URL=AWAY)
    assert (nothing.code, nothing.out.count("not asked")) == (1, 2)


async def test_the_gauge_by_symbol(daemon: Daemon) -> None:
    async def stored() -> int:
        status = await marketd("status", "--json", **daemon.settings)
        return int(status.json["database"]["symbols"])

    await eventually(lambda: _is(stored(), SYMBOLS), timeout=60)
    series = await asyncio.to_thread(_scrape, daemon.port)
    assert series.count("marketd_symbol_last_open_time_seconds{symbol=") == SYMBOLS


async def test_the_doctor_finds_nothing(exchange: Mapping[str, str], database: str) -> None:
    databases = {"DATABASE_URL": database, "DATABASE_READER_URL": database}
    result = await marketd("doctor", "--json", METRICS_PORT="0", **databases, **exchange)
    # The test cluster runs without fsync, and this machine's disk may be nearly full.
    states = {
        item["subject"]: item["state"]
        for item in result.json
        if item["subject"] not in ("writes", "disk", "downloads")
    }
    assert set(states.values()) == {"ok"}, result.out
    assert states.keys() >= {"settings", "database", "tables", "exchange", "symbols", "clock", "port"}
    assert states.keys() >= {"stream", "archive", "limits", "reader"}


async def test_the_doctor_says_what_to_do() -> None:
    away = {
        "BINANCE_REST_URL": "http://127.0.0.1:9",
        "BINANCE_WS_URL": "ws://127.0.0.1:9/market",
        "BINANCE_ARCHIVE_LIST_URL": "http://127.0.0.1:9",
    }
    result = await marketd("doctor", DATABASE_URL=AWAY, METRICS_PORT="0", **away)
    assert result.code == 1
    # Database, exchange, stream; without the archive history comes slowly.
    assert result.out.count("PROBLEM") == 3 and result.out.count("-> see that") == 4
    assert "hunter2" not in result.out + result.err


async def test_the_sandbox_prints_what_to_set_and_ends_on_a_signal() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "src", "sandbox", "--port", "0", "--symbols", "3"),
        cwd=ROOT,
        env=clean_environment({}),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    async with asyncio.timeout(120):
        lines = [(await process.stdout.readline()).decode().strip() for _ in range(5)]
    settings = dict(line.split("=", 1) for line in lines)
    assert len((await marketd("symbols", **settings)).out.splitlines()) == 3
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(120):
        assert await process.wait() == 0


async def test_a_reader_that_goes_away_is_no_error() -> None:
    process = await asyncio.create_subprocess_shell(
        f'"{sys.executable}" -m src config --example env | head -n 1',
        cwd=ROOT,
        env=clean_environment({}),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert (len(out.splitlines()), err) == (1, b"")


async def _is(value: Any, expected: object) -> bool:
    return bool(await value == expected)


def _scrape(port: int) -> str:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics")
    request.add_header("Authorization", f"Bearer {TOKEN}")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=60) as answer:
        return str(answer.read().decode())
