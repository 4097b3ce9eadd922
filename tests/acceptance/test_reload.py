"""F4: SIGHUP takes over what was written anew, costs no candle, and changes nothing where something is wrong."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from src.sandbox import Sandbox, SandboxOptions
from tests.faults.database import ask
from tests.support.daemon import Daemon
from tests.support.eventually import eventually
from tests.support.roles import separate_roles
from tests.support.venue import history_settings

SPEED = 20
_SOON_S = 120.0
_NEWEST = """
SELECT symbol, (extract(epoch FROM max(bucket_ts)) * 1000)::bigint FROM market_data.candles_1m GROUP BY symbol
"""
_HOLES = """
SELECT symbol, bucket_ts FROM (
    SELECT symbol, bucket_ts, bucket_ts - lag(bucket_ts) OVER (PARTITION BY symbol ORDER BY bucket_ts) AS step
    FROM market_data.candles_1m WHERE symbol = ANY(%s)
) AS stored WHERE step > interval '1 minute'
"""
_ASKED = "SELECT DISTINCT kind FROM market_data.tasks WHERE requested_by = 'schedule'"
_MINUTE_MS = 60_000


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(SandboxOptions(symbols=9, speed=SPEED, sleeper_share=0.0)) as venue:
        yield venue


async def test_what_was_written_anew_is_taken_over(sandbox: Sandbox, database: str, tmp_path: Path) -> None:
    symbols = sorted(
        one["symbol"]
        for one in sandbox.venue.listing()
        if one["quote"] == "USDT" and one["periods"] and one["contract_type"] == "PERPETUAL"
    )
    assert len(symbols) >= 6
    left, kept, new = symbols[:2], symbols[2:4], symbols[4:6]
    env = tmp_path / "env"

    def write(**settings: str) -> None:
        env.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))

    write(SYMBOLS=",".join(left + kept), SCHEDULES="Levels=0 0 1 1 *", RATE_LIMIT_PER_MINUTE="1200")
    daemon = Daemon(
        {
            **separate_roles(database),
            "BINANCE_REST_URL": sandbox.rest_url,
            "BINANCE_WS_URL": sandbox.ws_url,
            **history_settings(sandbox.rest_url),
            "MARKETD_ENV_FILE": str(env),
        },
        folder=tmp_path,
        arguments=("--ws", "--jobs", "--api", "--speed", str(SPEED)),
    )
    daemon.start()
    try:
        await daemon.wait_ready()
        await _stored_after(database, left + kept, 0)
        pid, before = daemon.child.pid, await daemon.metrics()

        write(SYMBOLS="two words", LOG_LEVEL="debug", SCHEDULES="Bars=* * * * *", RATE_LIMIT_PER_MINUTE="600")
        await _hang_up(daemon, "reload_refused", 1)
        write(
            SYMBOLS=",".join(new),
            LOG_LEVEL="debug",
            SCHEDULES="Nothing=* * * * *",
            RATE_LIMIT_PER_MINUTE="600",
        )
        await _hang_up(daemon, "reload_refused", 2)
        assert "there is no task called Nothing" in daemon.child.text()
        await _stored_after(database, left + kept, max((await _newest_of_each(database)).values()))
        assert '"level":"debug"' not in daemon.child.text()
        assert (await daemon.metrics()).total("rate_limit_allowed", budget="fapi") == 1200
        assert not set(new) & (await _newest_of_each(database)).keys()

        write(
            SYMBOLS=",".join(kept + new),
            SCHEDULES="Bars=* * * * *",
            LOG_LEVEL="debug",
            RATE_LIMIT_PER_MINUTE="600",
            BUFFER_ROWS="5000",
        )
        await _hang_up(daemon, '"reloaded"', 1)
        assert "reload_needs_restart" in daemon.child.text() and "BUFFER_ROWS" in daemon.child.text()

        async def is_left_out() -> bool:
            removed = "universe_changes_total"
            gone = (await daemon.metrics()).total(removed, change="removed")
            return gone >= before.total(removed, change="removed") + len(left)

        await eventually(is_left_out, timeout=_SOON_S, message=f"{left} are left out")
        changed_ms = sandbox.now_ms()
        await _stored_after(database, kept + new, changed_ms + 2 * _MINUTE_MS)
        await eventually(lambda: _is_asked(database), timeout=_SOON_S, message="the schedule asks for Bars")
        seen = await daemon.metrics()
        assert seen.total("rate_limit_allowed", budget="fapi") == 600
        assert seen.total("ws_reconnects_total") == before.total("ws_reconnects_total"), "it dialled anew"
        assert '"level":"debug"' in daemon.child.text()
        assert (daemon.child.pid, daemon.child.exit_code) == (pid, None)
        await daemon.stop()
    finally:
        await daemon.kill()
    assert await ask(database, _HOLES, kept) == []
    newest = await _newest_of_each(database)
    for symbol in left:
        assert newest[symbol] <= changed_ms + 2 * _MINUTE_MS, "it was left out and is stored on"


async def _hang_up(daemon: Daemon, event: str, times: int) -> None:
    daemon.child.signal(signal.SIGHUP)
    await eventually(lambda: daemon.child.text().count(event) >= times, timeout=_SOON_S, message=event)


async def _stored_after(database: str, symbols: list[str], ms: int) -> None:
    """Wait until each has a candle that opens later."""

    async def condition() -> bool:
        newest = await _newest_of_each(database)
        return all(newest.get(symbol, 0) > ms for symbol in symbols)

    await eventually(condition, timeout=_SOON_S, message=f"{symbols} are stored")


async def _newest_of_each(database: str) -> dict[str, int]:
    return {str(symbol): int(str(ms)) for symbol, ms in await ask(database, _NEWEST)}


async def _is_asked(database: str) -> bool:
    return ("Bars",) in await ask(database, _ASKED)
