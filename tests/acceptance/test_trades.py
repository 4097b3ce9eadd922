"""``--trades`` as a process: stream, REST and archive leave no id out, also over a kill -9."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from src.model import DAY_MS
from src.sandbox import Sandbox, SandboxOptions
from tests.integration.timescale.helpers import fetch
from tests.support.daemon import Daemon
from tests.support.eventually import eventually
from tests.support.venue import history_settings

START_MS = 1_780_000_020_000
"""2026-05-28, the evening: no midnight comes while it runs."""
_REACH = (
    "SELECT exchange, (extract(epoch FROM first_ts) * 1000)::bigint, (extract(epoch FROM last_ts) * 1000)::bigint,"
    " (SELECT count(*)::int FROM trade_gaps AS gap"
    "  WHERE gap.exchange = reach.exchange AND gap.state = 'open')"
    " FROM trade_reach AS reach ORDER BY exchange"
)
_ROWS = (
    "SELECT exchange, trade_id, (extract(epoch FROM ts) * 1000)::bigint, price, quantity, is_buyer_maker"
    " FROM agg_trades ORDER BY exchange, trade_id"
)


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """Yesterday's files are out, so that the archive has a part."""
    options = SandboxOptions(
        symbols=4, history_days=4, sleeper_share=0.0, publish_after_s=0, start_ms=START_MS
    )
    async with Sandbox(options) as venue:
        yield venue


async def test_no_trade_is_left_out_and_none_is_there_twice(
    sandbox: Sandbox, database: str, tmp_path: Path
) -> None:
    since_ms = sandbox.now_ms() // DAY_MS * DAY_MS - DAY_MS
    settings = {
        "DATABASE_URL": database,
        "BINANCE_REST_URL": sandbox.rest_url,
        "BINANCE_WS_URL": sandbox.ws_url,
        "BINANCE_SPOT_REST_URL": sandbox.rest_url,
        "TRADE_SYMBOLS": "BTCUSDT",
        "SPOT_TRADE_SYMBOLS": "BTCUSDT",
        "TRADES_FROM": "1d",
        "ARCHIVE_FOLDER": str(tmp_path / "archive"),
        **history_settings(sandbox.rest_url),
    }
    daemon = Daemon(settings, folder=tmp_path, arguments=("--trades",))

    async def whole() -> bool:
        """Both markets reach from yesterday to the last half minute, without a gap."""
        rows = await fetch(database, _REACH)
        now_ms = sandbox.now_ms()
        assert [row[0] for row in rows] == ["binance_futures_um", "binance_spot"]
        for _, first_ms, last_ms, gaps in rows:
            assert first_ms < since_ms + 60_000
            assert last_ms > now_ms - 30_000
            assert gaps == 0
        return True

    daemon.start()
    try:
        await daemon.wait_ready()
        await eventually(whole, timeout=120, message="two days of trades")
        await daemon.kill()
        daemon.start()
        await daemon.wait_ready()
        await eventually(whole, timeout=60, message="whole again")
        await daemon.stop()
    finally:
        await daemon.kill()
    rows = await fetch(database, _ROWS)
    for exchange, spot in (("binance_futures_um", False), ("binance_spot", True)):
        found = [row[1:] for row in rows if row[0] == exchange]
        truth = sandbox.trades_truth("BTCUSDT", since_ms, found[-1][1] + 1, spot=spot)
        assert found == [
            (one.number, one.time_ms, float(one.price), float(one.quantity), one.is_buyer_maker)
            for one in truth
        ]
    assert await fetch(database, "SELECT role, clean FROM daemon_runs ORDER BY started_at") == [
        ("trades", None),
        ("trades", True),
    ]
