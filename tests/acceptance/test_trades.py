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
from tests.support.roles import separate_roles
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


_LISTINGS = (
    "SELECT first_id, last_id, (extract(epoch FROM last_ts) * 1000)::bigint,"
    " ARRAY(SELECT ARRAY[gap.first_id, gap.last_id] FROM trade_gaps AS gap"
    "  WHERE gap.listing_ts = reach.listing_ts AND gap.state = 'open')"
    " FROM trade_reach AS reach WHERE first_id IS NOT NULL ORDER BY listing_ts"
)


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """Yesterday's files are out, so that the archive has a part."""
    options = SandboxOptions(
        symbols=4, history_days=4, sleeper_share=0.0, publish_after_s=0, start_ms=START_MS
    )
    async with Sandbox(options) as venue:
        yield venue


async def test_a_symbol_that_is_listed_again_while_it_runs_is_two_contracts(
    database: str, tmp_path: Path
) -> None:
    """Its ids begin anew, and nobody waits for the listing to be known before they come.

    What is not stored when it is stopped is a gap, or lies behind the last id: what the stream of a slow machine lacked
    of the earlier contract when the later one began, REST had no more.
    """
    options = SandboxOptions(symbols=4, history_days=4, sleeper_share=0.0, start_ms=START_MS, speed=20)
    async with Sandbox(options) as sandbox:
        since_ms = sandbox.now_ms() // DAY_MS * DAY_MS
        settings = {
            **separate_roles(database),
            "BINANCE_REST_URL": sandbox.rest_url,
            "BINANCE_WS_URL": sandbox.ws_url,
            "SPEED": "20",
            "TRADE_SYMBOLS": "BTCUSDT",
            "TRADES_FROM": "2026-05-28",
            "ARCHIVE_FOLDER": str(tmp_path / "archive"),
            **history_settings(sandbox.rest_url),
        }
        daemon = Daemon(settings, folder=tmp_path, arguments=("--ws", "--trades"))

        async def whole(first_id: int | None, listings: int) -> bool:
            """The newest listing is there from its first trade to the last minutes, without a gap."""
            rows = await fetch(database, _LISTINGS)
            assert len(rows) == listings
            found_id, _, last_ms, gaps = rows[-1]
            assert first_id in (None, found_id)
            assert last_ms > sandbox.now_ms() - 180_000
            assert gaps == []
            return True

        daemon.start()
        try:
            await daemon.wait_ready()
            await eventually(lambda: whole(None, 1), timeout=120, message="the first contract")
            sandbox.control.delist("BTCUSDT")
            ended_ms = sandbox.now_ms()
            await eventually(lambda: sandbox.now_ms() > ended_ms + 240_000, timeout=60, message="its end")
            cut_ms = sandbox.control.list_symbol("BTCUSDT")["onboardDate"] // 60_000 * 60_000
            await eventually(lambda: whole(1, 2), timeout=120, message="the second contract")
            await daemon.stop()
        finally:
            await daemon.kill()
        rows = await fetch(database, _ROWS.replace("ORDER BY exchange, trade_id", "ORDER BY ts, trade_id"))
        truth = [
            (one.number, one.time_ms, float(one.price), float(one.quantity), one.is_buyer_maker)
            for one in sandbox.trades_truth("BTCUSDT", since_ms, rows[-1][2] + 1)
        ]
    found = [row[1:] for row in rows]
    kept = set(found)
    assert found == [row for row in truth if row in kept]
    for later, (_, last_id, _, gaps) in enumerate(await fetch(database, _LISTINGS)):
        for row in truth:
            if row not in kept and (row[1] >= cut_ms) == bool(later):
                assert row[0] > last_id or any(low <= row[0] <= high for low, high in gaps)


async def test_no_trade_is_left_out_and_none_is_there_twice(
    sandbox: Sandbox, database: str, tmp_path: Path
) -> None:
    since_ms = sandbox.now_ms() // DAY_MS * DAY_MS - DAY_MS
    settings = {
        **separate_roles(database),
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
