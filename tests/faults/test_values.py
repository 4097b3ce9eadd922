"""B13, B14: candles of impossible times and values, on the stream and past the parser."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from math import inf, nan
from pathlib import Path
from typing import Any

import pytest

from tests.faults.bench import a_bench, put
from tests.faults.database import ask
from tests.support.world import World

pytestmark = pytest.mark.fault

_EACH = 60
"""Frames of each kind; 200 symbols make 200 a minute."""

_TIMES: list[tuple[str, float, str]] = [
    ("us", 0.0, "time_unit"),
    ("s", 0.0, "bad_time"),
    ("ms", 86_400.0, "future_time"),
    ("ms", -86_400.0, "too_late"),
    ("ms", 0.001, "bad_time"),
]
"""Unit, seconds by which the times are off, and the reason for which such a candle is refused."""

_VALUES = {
    "low_above_high": "bad_price",
    "zero_price": "bad_price",
    "negative_volume": "bad_volume",
    "taker_above_total": "bad_volume",
    "overflow": "bad_number",
    "nan": "bad_number",
}

_IMPOSSIBLE: list[dict[str, Any]] = [
    {"high": 1e-9},
    {"low": 0.0},
    {"low": inf},
    {"volume": -1.0},
    {"volume": inf},
    {"volume": nan},
    {"taker_buy_volume": 1e30},
    {"quote_volume": -inf},
    {"quote_volume": nan},
    {"close": nan},
    {"high": inf},
    {"trade_count": -1},
    {"trade_count": 2**63},
]
"""What a candle with such a value would be: a row that only the database can refuse."""


async def test_b13_wrong_times(world: World) -> None:
    """Closes state times that cannot be: each is refused by its reason, and the truth comes over REST."""
    await world.begin()
    await world.live_rows(1)
    for unit, shift_s, _ in _TIMES:
        await world.venue.control("wrong_time", unit=unit, shift_s=shift_s, count=_EACH)
    await _all_refused(world, "wrong_time", [reason for _, _, reason in _TIMES])


async def test_b14_impossible_values(world: World) -> None:
    """The same with values that no minute can have."""
    await world.begin()
    await world.live_rows(1)
    for mode in _VALUES:
        await world.venue.control("wrong_values", mode=mode, count=_EACH)
    await _all_refused(world, "wrong_values", list(_VALUES.values()))


async def _all_refused(world: World, kind: str, reasons: Sequence[str]) -> None:
    """Every frame that this fault made was refused for its reason, and nothing else was."""
    wanted = {reason: float(_EACH * number) for reason, number in Counter(reasons).items()}
    await world.daemon.wait_metric("rows_rejected_total", sum(wanted.values()))
    await world.live_rows(2)
    seen = await world.daemon.metrics()
    assert seen.labels("rows_rejected_total", "reason") == wanted
    assert await world.venue.fired(kind) == sum(wanted.values())
    assert seen.total("ws_reconnects_total") == 0, "a wrong frame cost its connection"
    await world.finish()


async def test_b14_impossible_values_past_the_parser(tmp_path: Path, database: str) -> None:
    """The table's CHECKs refuse each, it is kept in ``rejected_rows``, and the true row of its minute then comes."""
    async with a_bench(tmp_path, database) as (bench, rows, until_ms):
        good = rows[: len(_IMPOSSIBLE)]
        bad = [replace(row, **value) for row, value in zip(good, _IMPOSSIBLE, strict=True)]
        put(bench, [*bad, *rows[len(bad) :]])
        async with bench.writing():
            seen = await bench.until_empty()
            assert seen.total("rows_rejected_total") == len(bad), "the fault did not fire"
            assert seen.total("rows_committed_total") == len(rows) - len(bad)
            put(bench, good)
            seen = await bench.until_empty()
        assert seen.total("rows_committed_total") == len(rows) > 1000
        assert seen.total("rows_dropped_total") == 0
        verdict = await bench.oracle.compare(until_ms)
        assert verdict.good, str(verdict)
    kept = await ask(database, "SELECT symbol, open_ms::bigint FROM market_data.rejected_rows")
    assert sorted((str(symbol), int(str(open_ms))) for symbol, open_ms in kept) == sorted(
        row.key for row in bad
    )
