"""What a daemon does is what its flags say: all of it in one process, or each role in one of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from src.errors import EXIT_ALREADY_RUNNING
from src.sandbox import Sandbox, SandboxOptions
from tests.faults.database import ask
from tests.support.daemon import Daemon
from tests.support.eventually import eventually
from tests.support.moments import MIDDAY, MIDDAY_MS
from tests.support.roles import READER, WRITER, separate_roles
from tests.support.venue import history_settings

SYMBOLS = 6
_TODAY = datetime.fromtimestamp(MIDDAY, UTC).date()
_SESSIONS = (
    "SELECT DISTINCT split_part(application_name, '/', 2), usename::text FROM pg_stat_activity"
    " WHERE datname = current_database() AND application_name LIKE 'marketd/%'"
)
_ROLES = "SELECT role, clean FROM market_data.daemon_runs ORDER BY role"
_MISSING = (
    "SELECT count(*)::int, coalesce(sum(expected - have - absent), 0)::int FROM market_data.coverage_days"
    " WHERE dataset = 'candles_1m' AND day < %s AND day >= %s"
)
_DUE = (
    "SELECT count(*) FILTER (WHERE expected = 1440 AND day > %s)::int,"
    " sum(have) = (SELECT count(*) FROM market_data.candles_1m) FROM market_data.coverage_days"
    " WHERE dataset = 'candles_1m'"
)
_SERIES = (
    "SELECT (SELECT count(DISTINCT symbol)::int FROM market_data.binance_futures_metrics_5m),"
    " (SELECT count(DISTINCT symbol)::int FROM market_data.funding_rates),"
    " (SELECT count(*)::int FROM market_data.alpha_tokens)"
)


@pytest.fixture
async def settings(database: str, tmp_path: Path) -> AsyncIterator[dict[str, str]]:
    """A venue with six days of history, of which three are to be filled, and a daemon that does not own its tables.

    It is noon there: the last five minutes of a day that is just over are not filled yet, which looks like a hole.
    """
    options = SandboxOptions(symbols=SYMBOLS, history_days=6, sleeper_share=0.0, start_ms=MIDDAY_MS)
    async with Sandbox(options) as sandbox:
        yield {
            **separate_roles(database),
            "BINANCE_REST_URL": sandbox.rest_url,
            "BINANCE_WS_URL": sandbox.ws_url,
            "BACKFILL_FROM": "3d",
            "ARCHIVE_FOLDER": str(tmp_path / "archive"),
            **history_settings(sandbox.rest_url),
        }


async def test_all_of_it_in_one_process(settings: Mapping[str, str], database: str, tmp_path: Path) -> None:
    daemon = Daemon(settings, folder=tmp_path, arguments=("--all",))
    daemon.start()
    try:
        await daemon.wait_ready()
        await eventually(lambda: _history_is_whole(database), timeout=180, message="three days are filled")
        await eventually(lambda: _every_series_came(database), timeout=60, message="metrics, funding, Alpha")
        url = await daemon.api_url()
        await eventually(lambda: _only_the_api_reads_as_the_reader(database, url), timeout=60)
        second = Daemon(settings, folder=tmp_path, arguments=("--metrics",))
        second.start()
        assert await second.child.wait(within=240) == EXIT_ALREADY_RUNNING, second.child.tail()
        assert "metrics" in second.child.text()
        await daemon.stop()
    finally:
        await daemon.kill()
    names = ("api", "backfill", "jobs", "metrics", "ws")
    assert await ask(database, _ROLES) == [(name, True) for name in names]


async def test_each_role_in_a_process_of_its_own(
    settings: Mapping[str, str], database: str, tmp_path: Path
) -> None:
    """Without live candles a daemon is ready when its lock is its own and the database takes writes."""
    daemons = [Daemon(settings, folder=tmp_path, arguments=(flag,)) for flag in ("--metrics", "--backfill")]
    try:
        for daemon in daemons:
            daemon.start()
        for daemon in daemons:
            await daemon.wait_ready()
        await eventually(lambda: _every_series_came(database), timeout=60)
        await eventually(lambda: _history_is_whole(database), timeout=180)
        for daemon in daemons:
            await daemon.stop()
    finally:
        for daemon in daemons:
            await daemon.kill()
    assert await ask(database, _ROLES) == [("backfill", True), ("metrics", True)]


async def test_live_candles_alone_are_accounted_for(
    settings: Mapping[str, str], database: str, tmp_path: Path
) -> None:
    """Whoever collects candles only sees in the ledger what is due since listing, and what is there of it."""
    daemon = Daemon(settings, folder=tmp_path, arguments=("--ws",))
    daemon.start()
    try:
        await daemon.wait_ready()
        await eventually(lambda: _all_is_due(database), timeout=60, message="the last week is due")
        await daemon.stop()
    finally:
        await daemon.kill()


async def _only_the_api_reads_as_the_reader(database: str, url: str) -> bool:
    """Who each open session is at the database, while the API has just answered from it."""
    async with aiohttp.ClientSession() as session, session.get(f"{url}/api/v1/symbols") as answer:
        assert answer.status == 200
        assert len((await answer.json())["data"]) >= SYMBOLS
    found = {str(purpose): role for purpose, role in await ask(database, _SESSIONS)}
    assert found.pop("read", "") == READER
    assert found.keys() >= {"ws", "metrics", "backfill", "jobs", "api", "bans"}, found
    assert set(found.values()) == {WRITER}, found
    return True


async def _all_is_due(database: str) -> bool:
    [(whole_days, counted)] = await ask(database, _DUE, _TODAY - timedelta(days=7))
    assert (whole_days, counted) == (7 * SYMBOLS, True)
    return True


async def _history_is_whole(database: str) -> bool:
    """Every line of the ledger of the days that are over is there and accounted for."""
    [(lines, missing)] = await ask(database, _MISSING, _TODAY, _TODAY - timedelta(days=3))
    assert (lines, missing) == (3 * SYMBOLS, 0)
    return True


async def _every_series_came(database: str) -> bool:
    [(metrics, funding, tokens)] = await ask(database, _SERIES)
    assert (metrics, funding) == (SYMBOLS, SYMBOLS)
    return bool(tokens)
