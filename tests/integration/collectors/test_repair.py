from __future__ import annotations

from src.model import MINUTE_MS, floor_minute
from src.sandbox.options import SandboxOptions
from src.sandbox.server import Sandbox
from tests.integration.timescale.helpers import connect, fetch
from tests.support.eventually import eventually
from tests.support.fakes import total

from .world import SPEED, World

HOUR_MS = 60 * MINUTE_MS


async def stored(database: str) -> dict[tuple[str, int], tuple[float, ...]]:
    rows = await fetch(
        database,
        "SELECT symbol, (extract(epoch FROM bucket_ts) * 1000)::bigint, open, high, low, close, volume, quote_volume,"
        " trade_count, taker_buy_volume, taker_buy_quote_volume FROM candles_1m",
    )
    return {(symbol, open_ms): tuple(values) for symbol, open_ms, *values in rows}


def owed(world: World, from_ms: int, to_ms: int) -> dict[tuple[str, int], tuple[float, ...]]:
    """What the venue says of these minutes for every expected symbol."""
    found = {}
    for symbol in world.universe.symbols:
        for row in world.sandbox.truth(symbol, from_ms, to_ms):
            texts = (*row[1:6], *row[7:11])
            found[symbol, row.open_time] = tuple(float(text) for text in texts)
    return found


async def test_a_silent_stream_and_an_empty_database_are_made_good_over_rest(database: str) -> None:
    async with Sandbox(SandboxOptions(symbols=40, speed=SPEED, seed=3)) as sandbox:
        world = World(sandbox, database, lookback_ms=HOUR_MS)
        first_ms = floor_minute(sandbox.now_ms()) - HOUR_MS + 2 * MINUTE_MS
        async with world.running() as running:
            await eventually(lambda: total(world.metrics, "rows_committed_total") > 1000, timeout=60)
            await eventually(lambda: sandbox.now_ms() > first_ms + HOUR_MS + 2 * MINUTE_MS, timeout=60)
            last_ms = floor_minute(sandbox.now_ms()) - 2 * MINUTE_MS
            must = owed(world, first_ms, last_ms)

            async def complete() -> bool:
                return must.keys() <= (await stored(database)).keys()

            await eventually(complete, timeout=60)
        have = await stored(database)
        assert {key: have[key] for key in must} == must
        assert len(must) > 1000
        assert running.result().rows_left == 0
        assert world.balance() == 0
        assert world.count("roll_call_filled_total", round="first") > 40


async def test_minutes_dropped_by_a_full_buffer_are_noted_and_come_back(database: str) -> None:
    async with Sandbox(SandboxOptions(symbols=100, speed=SPEED, seed=4)) as sandbox:
        world = World(sandbox, database, capacity=200, lookback_ms=10 * MINUTE_MS)
        async with world.running():
            await eventually(lambda: total(world.metrics, "rows_committed_total") > 500, timeout=60)
            async with await connect(database) as other, other.transaction():
                await other.execute("LOCK TABLE candles_1m IN ACCESS EXCLUSIVE MODE")
                await eventually(lambda: world.count("flush_total", result="retried") > 0, timeout=60)
                await eventually(lambda: world.count("rows_dropped_total", reason="full") > 100, timeout=60)
                assert world.balance() == 0
            until_ms = floor_minute(sandbox.now_ms())
            must = owed(world, until_ms - 8 * MINUTE_MS, until_ms)

            async def complete() -> bool:
                return must.keys() <= (await stored(database)).keys()

            await eventually(complete, timeout=60)
        assert world.balance() == 0
        dropped = await fetch(database, "SELECT count(*) FROM gap_events WHERE reason = 'buffer_full'")
        assert dropped[0][0] > 0
