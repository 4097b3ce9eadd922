"""Filling for real: sandbox exchange, its archive, the importer's processes, TimescaleDB."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

from src.collectors.backfill.cheapest import cheapest, weight
from src.collectors.backfill.plan import minutes_of
from src.collectors.backfill.progress import Progress
from src.model import MINUTE_MS, Gap
from tests.support.moments import MIDDAY_MS

from .past import Past, open_past


async def _is_whole(past: Past) -> None:
    truth, stored = past.truth(), await past.stored()
    assert len(truth) > 50_000
    assert sorted(truth.keys() - stored.keys())[:5] == []
    assert sorted(stored.keys() - truth.keys())[:5] == []
    assert [(key, truth[key], stored[key]) for key in truth if truth[key] != stored[key]][:3] == []
    assert await past.unaccounted() == []


async def test_everything_is_filled_and_a_second_time_costs_nothing(database: str, tmp_path: Path) -> None:
    async with open_past(database, tmp_path, start_ms=MIDDAY_MS) as past:
        result = await past.fill()
        assert (result.left, result.unanswered, result.trouble) == (0, 0, None)
        await _is_whole(past)
        spent = past.requests()
        again = await past.fill()
        assert again.tasks == 0
        assert past.requests() == spent
        assert [path for path in await asyncio.to_thread(_names, tmp_path) if path.endswith(".zip")] == []


async def test_given_up_at_any_moment_it_goes_on(database: str, tmp_path: Path) -> None:
    async with open_past(database, tmp_path, start_ms=MIDDAY_MS) as past:
        for seconds in (0.4, 1.5):
            filling = asyncio.create_task(past.fill(), name="filling")
            await asyncio.wait({filling}, timeout=seconds)
            filling.cancel()
            await asyncio.gather(filling, return_exceptions=True)
        await past.fill()
        await _is_whole(past)


async def test_random_holes_are_found_exactly_and_refilled_at_the_least_weight(
    database: str, tmp_path: Path
) -> None:
    async with open_past(database, tmp_path, start_ms=MIDDAY_MS) as past:
        await past.fill()
        stored = sorted(await past.stored())
        lost = random.Random(5).sample(stored, 400)
        await past.sql(
            "DELETE FROM candles_1m USING unnest(%s::text[], %s::bigint[]) AS lost (symbol, ms)"
            " WHERE candles_1m.symbol = lost.symbol AND bucket_ts = to_timestamp(ms / 1000)",
            [[symbol for symbol, _ in lost], [ms for _, ms in lost]],
        )
        gaps = [Gap(symbol, ms, ms + MINUTE_MS, "lost") for symbol, ms in lost]
        least = sum(weight(minutes_of(request)) for request in cheapest(gaps))
        requests, spent = past.requests(), past.weight()
        past.progress = Progress()
        await past.fill()
        await _is_whole(past)
        assert past.progress.rows_inserted == len(lost)
        changed = {name for name, count in past.requests().items() if count != requests.get(name, 0)}
        assert changed == {"/fapi/v1/klines 200"}
        assert past.weight() - spent == least


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
