"""Coverage and gaps over HTTP: the ledger's own numbers, and the missing minutes exactly."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import pytest

from src.adapters.timescale.ledger.ledger import CoverageStore
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.sessions.shared import SharedSession
from src.model import DAY_MS, FIVE_MINUTES_MS, MINUTE_MS, Dataset, Listing
from tests.integration.timescale.coverage import fill, list_symbol
from tests.integration.timescale.helpers import fetch

from .market_world import EXCHANGE, HOUR_MS, NOW_MS, MarketApi, serving

TODAY_MS = NOW_MS // DAY_MS * DAY_MS
FOREVER_MS = 4_133_404_800_000
DUE = 10 * 60 - 5
"""Minutes of today that are due at 10:00: those over for five minutes."""


@pytest.fixture
async def world(database: str) -> AsyncIterator[MarketApi]:
    """AUSDT lacks nothing, BUSDT an hour of yesterday and what is younger than six minutes; both since five days."""
    listings = [Listing(symbol, TODAY_MS - 5 * DAY_MS, FOREVER_MS) for symbol in ("AUSDT", "BUSDT")]
    listings.append(Listing("GONEUSDT", TODAY_MS - 4 * DAY_MS, TODAY_MS - 2 * DAY_MS - 6 * HOUR_MS))
    await list_symbol(database, *listings)
    hole = TODAY_MS - DAY_MS + 3 * HOUR_MS
    await fill(database, ["AUSDT"], TODAY_MS - 5 * DAY_MS, NOW_MS)
    await fill(database, ["BUSDT"], TODAY_MS - 3 * DAY_MS, hole)
    await fill(database, ["BUSDT"], hole + HOUR_MS, NOW_MS - 6 * MINUTE_MS)
    session = SharedSession(DatabaseOptions(database, exchange=EXCHANGE), purpose="ledger")
    ledger = CoverageStore(session)
    for dataset in (Dataset.CANDLES, Dataset.METRICS):
        await ledger.follow(dataset, listings, NOW_MS)
    await session.close()
    async with serving(database) as world:
        yield world


async def test_the_map_has_a_number_for_each_day(world: MarketApi) -> None:
    body = await world.get("/api/v1/coverage", days=7)
    assert body["first_day"] == "2026-11-15"
    assert (body["dataset"], body["days"], body["as_of_ms"]) == ("candles_1m", 7, NOW_MS)
    rows = {row.pop("symbol"): row for row in body["symbols"]}
    whole = [0, 1440, 1440, 1440, 1440, 1440, 1440]
    none = [0] * 7
    assert list(rows) == ["AUSDT", "BUSDT", "GONEUSDT"]
    assert rows["AUSDT"] == {
        "expected": whole,
        "have": [*whole[:-1], 600],
        "pending": [*none[:-1], 840],
        "absent": none,
        "expired": none,
    }
    # Of the six youngest minutes five are not due yet, one is missing.
    assert rows["BUSDT"]["have"] == [0, 0, 0, 1440, 1440, 1380, 594]
    assert rows["BUSDT"]["pending"] == [*none[:-1], 1440 - DUE]
    assert rows["GONEUSDT"]["expected"] == [0, 0, 1440, 1080, 0, 0, 0]
    assert [row["symbol"] for row in (await world.get("/api/v1/coverage", symbol="BUSDT"))["symbols"]] == [
        "BUSDT"
    ]
    assert (await world.ask("/api/v1/coverage", symbol="NOSUCH"))[0] == 404
    assert (await world.get("/api/v1/coverage", dataset="agg_trades"))["symbols"] == []
    metrics = (await world.get("/api/v1/coverage", dataset="metrics_5m", days=1))["symbols"]
    assert [(row["expected"], row["pending"]) for row in metrics] == [([288], [288 - DUE // 5])] * 2


async def test_what_a_request_fills_is_pending(world: MarketApi) -> None:
    await fetch(
        world.market.url,
        "INSERT INTO backfill_requests (exchange, symbols, from_ts, to_ts, source, force, keep, requested_by)"
        " SELECT %s, ARRAY['B*'], to_timestamp(%s), to_timestamp(%s), 'auto', false, false, 'x'",
        [EXCHANGE, (TODAY_MS - 4 * DAY_MS) // 1000, TODAY_MS // 1000],
    )
    rows = {row["symbol"]: row for row in (await world.get("/api/v1/coverage", days=7))["symbols"]}
    assert rows["BUSDT"]["pending"] == [0, 0, 1440, 0, 0, 60, 1440 - DUE]
    assert set(rows["GONEUSDT"]["pending"]) == {0}
    states = {
        (row["symbol"], row["start_ms"]): row["state"] for row in await world.all("/api/v1/gaps", limit=3)
    }
    assert states["BUSDT", TODAY_MS - 4 * DAY_MS] == "planned"
    assert states["BUSDT", TODAY_MS - 5 * DAY_MS] == "missing"


async def test_gaps_are_told_to_the_minute_in_pieces(world: MarketApi) -> None:
    gone = [
        ("GONEUSDT", TODAY_MS - 4 * DAY_MS, TODAY_MS - 3 * DAY_MS, 1440),
        ("GONEUSDT", TODAY_MS - 3 * DAY_MS, TODAY_MS - 2 * DAY_MS - 6 * HOUR_MS, 1080),
    ]
    expected = [
        ("BUSDT", TODAY_MS - 5 * DAY_MS, TODAY_MS - 4 * DAY_MS, 1440),
        ("BUSDT", TODAY_MS - 4 * DAY_MS, TODAY_MS - 3 * DAY_MS, 1440),
        *gone,
        ("BUSDT", TODAY_MS - DAY_MS + 3 * HOUR_MS, TODAY_MS - DAY_MS + 4 * HOUR_MS, 60),
        ("BUSDT", NOW_MS - 6 * MINUTE_MS, NOW_MS - 5 * MINUTE_MS, 1),
    ]

    def told(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
        return [(row["symbol"], row["start_ms"], row["end_ms"], row["minutes"]) for row in rows]

    for limit in (1, 2, 100):
        assert told(await world.all("/api/v1/gaps", limit=limit)) == expected
    assert told(await world.all("/api/v1/gaps", symbol="GONEUSDT")) == gone
    day = {"start": TODAY_MS - DAY_MS, "end": TODAY_MS}
    assert told((await world.get("/api/v1/gaps", symbol="BUSDT", **day))["data"]) == expected[4:5]
    part = {
        "start": TODAY_MS - DAY_MS + 3 * HOUR_MS + 90_000,
        "end": TODAY_MS - DAY_MS + 3 * HOUR_MS + 300_000,
    }
    assert told((await world.get("/api/v1/gaps", **part))["data"]) == [
        ("BUSDT", part["start"] + 30_000, part["end"], 3)
    ]
    assert (await world.get("/api/v1/gaps", symbol="AUSDT"))["data"] == []
    assert (await world.ask("/api/v1/gaps", symbol="NOSUCH"))[0] == 404
    assert (await world.ask("/api/v1/gaps", start=TODAY_MS, end=TODAY_MS - 1))[0] == 422
    for cursor in ("x", "12", "-AUSDT", "9999999999999999999-"):
        assert (await world.ask("/api/v1/gaps", cursor=cursor))[0] == 422, cursor


async def test_gaps_say_what_is_known_of_why(world: MarketApi) -> None:
    hole = TODAY_MS - DAY_MS + 3 * HOUR_MS
    await fetch(
        world.market.url,
        "UPDATE coverage_days SET attempts = 3, next_look_at = to_timestamp(%s) WHERE symbol = 'BUSDT' AND day = %s",
        [NOW_MS // 1000 + 60, date(2026, 11, 20)],
    )
    await fetch(
        world.market.url,
        "INSERT INTO gap_events (exchange, symbol, from_ts, to_ts, reason)"
        " VALUES (%s, 'BUSDT', to_timestamp(%s), to_timestamp(%s), 'overflow')",
        [EXCHANGE, hole // 1000, hole // 1000 + 120],
    )
    (row,) = (await world.get("/api/v1/gaps", symbol="BUSDT", start=hole, end=TODAY_MS))["data"]
    assert row["reason"] == "lost from the buffer (overflow), asked 3 times"
    assert row["next_look_ms"] == NOW_MS + 60_000


async def test_gaps_name_the_file_that_should_have_brought_them(world: MarketApi) -> None:
    async def noted(
        path: str, symbol: str, span: str, day: str, state: str = "quarantined", dataset: str = "candles_1m"
    ) -> None:
        await fetch(
            world.market.url,
            "INSERT INTO archive_files (exchange, path, dataset, symbol, span, first_day, state, detail)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, 'bad checksum')",
            [EXCHANGE, path, dataset, symbol, span, day, state],
        )

    async def told() -> dict[tuple[str, str], tuple[str | None, str]]:
        rows = await world.all("/api/v1/gaps", limit=3)
        return {
            (row["symbol"], str(21 + (row["start_ms"] - TODAY_MS) // DAY_MS)): (
                row["quarantined"],
                row["reason"],
            )
            for row in rows
        }

    assert {path for path, _ in (await told()).values()} == {None}
    await noted("B-16.zip", "BUSDT", "daily", "2026-11-16")
    await noted("B-20.zip", "BUSDT", "daily", "2026-11-20", "missing")
    await noted("B-21.zip", "BUSDT", "daily", "2026-11-21", dataset="metrics_5m")
    await noted("G-11.zip", "GONEUSDT", "monthly", "2026-11-01")
    await noted("G-18.zip", "GONEUSDT", "daily", "2026-11-18", "imported")
    await noted("other.zip", "AUSDT", "daily", "2026-11-17")
    found = await told()
    assert {key: path for key, (path, _) in found.items()} == {
        ("BUSDT", "16"): "B-16.zip",
        ("BUSDT", "17"): None,
        ("GONEUSDT", "17"): "G-11.zip",
        ("GONEUSDT", "18"): None,
        ("BUSDT", "20"): None,
        ("BUSDT", "21"): None,
    }
    assert found["BUSDT", "16"][1] == "daily file quarantined: bad checksum (B-16.zip), never asked"
    assert found["GONEUSDT", "17"][1] == "monthly file quarantined: bad checksum (G-11.zip), never asked"
    await noted("G-17.zip", "GONEUSDT", "daily", "2026-11-17")
    assert (await told())["GONEUSDT", "17"][0] == "G-17.zip"


async def test_gaps_of_metrics_are_named_by_the_beginning_of_their_periods(world: MarketApi) -> None:
    await fetch(
        world.market.url,
        "INSERT INTO binance_futures_metrics_5m (exchange, symbol, create_time, authority, source)"
        " SELECT %s, 'AUSDT', at, 2, 't' FROM generate_series(to_timestamp(%s), to_timestamp(%s), '5 minutes') AS at"
        " WHERE extract(minute FROM at) <> 20",
        [EXCHANGE, (TODAY_MS + FIVE_MINUTES_MS) // 1000, (TODAY_MS + 2 * HOUR_MS) // 1000],
    )
    await fetch(
        world.market.url,
        "UPDATE coverage_days SET have = 22 WHERE symbol = 'AUSDT' AND dataset = 'metrics_5m' AND day = %s",
        [date(2026, 11, 21)],
    )
    rows = (await world.get("/api/v1/gaps", dataset="metrics_5m", symbol="AUSDT", start=TODAY_MS))["data"]
    assert [((row["start_ms"] - TODAY_MS) // MINUTE_MS, row["minutes"]) for row in rows] == [
        (15, 5),
        (75, 5),
        (120, DUE - 120),
    ]


async def test_gaps_of_trades_lie_between_two_that_are_stored(world: MarketApi) -> None:
    await fetch(
        world.market.url,
        "INSERT INTO trade_gaps (exchange, symbol, first_id, last_id, after_ts, before_ts, state)"
        " SELECT %s, 'AUSDT', n * 10, n * 10 + 4, to_timestamp(%s + n * 3600), to_timestamp(%s + n * 3600 + 90),"
        " CASE n WHEN 1 THEN 'filled' WHEN 2 THEN 'absent' ELSE 'open' END FROM generate_series(0, 4) AS n",
        [EXCHANGE, TODAY_MS // 1000, TODAY_MS // 1000],
    )
    rows = await world.all("/api/v1/gaps", dataset="agg_trades", limit=2)
    assert [((row["start_ms"] - TODAY_MS) // HOUR_MS, row["minutes"], row["state"]) for row in rows] == [
        (0, 2, "missing"),
        (2, 2, "absent"),
        (3, 2, "missing"),
        (4, 2, "missing"),
    ]
    assert rows[0]["reason"] == "5 trades, never asked"
