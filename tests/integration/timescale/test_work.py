"""What ``marketd status`` asks about tasks and what they work on, from the real tables."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from src.adapters.timescale.reports.work import inspect_work
from src.cli.health.work_view import work_rows
from tests.integration.arbitrage.world import END_MS, SYMBOL, stored_world

from .helpers import fetch

EXCHANGE = "binance_futures_um"


async def test_nothing_there_is_nothing_said(database: str) -> None:
    found = await inspect_work(database, "market_data", EXCHANGE)
    assert found == {
        "tasks": {"states": {}, "workers": 0, "last_failure": None},
        "trades": [],
        "pools": [],
        "bars": [],
        "levels": [],
    }


async def test_every_ledger_says_how_far_it_is(database: str) -> None:
    world = await stored_world(database)
    await fetch(
        database,
        "INSERT INTO trade_gaps (exchange, symbol, first_id, last_id, after_ts, before_ts, state) VALUES"
        " ('binance_spot', %s, 10, 19, now(), now(), 'open'), ('binance_spot', %s, 30, 39, now(), now(), 'left')",
        [SYMBOL, SYMBOL],
    )
    await fetch(
        database,
        "INSERT INTO bar_fronts (exchange, symbol, made_to) VALUES (%s, 'AUSDT', '2026-11-20 20:00Z'),"
        " (%s, 'BUSDT', '2026-11-20 21:00Z'), ('other', 'CUSDT', '2026-11-20 22:00Z')",
        [EXCHANGE, EXCHANGE],
    )
    await fetch(
        database,
        "INSERT INTO analysis_results (exchange, symbol, market_type, timeframe, input_limit, last_price,"
        " support_levels, resistance_levels, details, known_from, known_to) SELECT 'binance', symbol, 'future', '1h',"
        " 100, 1, '[]', '[]', '{}', now(), '2026-11-20 20:00Z'::timestamptz + interval '100 years'"
        " FROM unnest(ARRAY['AUSDT', 'BUSDT']) AS symbol",
    )
    found = json.loads(json.dumps(await inspect_work(database, "market_data", EXCHANGE)))
    [market] = found["trades"]
    newest = datetime.fromisoformat(market["newest"]).timestamp() * 1000
    assert (market["symbol"], market["open_gaps"], market["open_ids"]) == (SYMBOL, 1, 10)
    assert round(newest) == max(trade.ts_ms for trade in world.trades[-1:])
    assert len(found["pools"]) == 2
    assert {round(datetime.fromisoformat(pool["newest"]).timestamp() * 1000) for pool in found["pools"]} == {
        END_MS
    }
    assert found["bars"] == [{"symbols": 2, "made_to": found["bars"][0]["made_to"]}]
    assert datetime.fromisoformat(found["bars"][0]["made_to"]) == datetime(2026, 11, 20, 21, tzinfo=UTC)
    assert [(row["timeframe"], row["symbols"]) for row in found["levels"]] == [("1h", 2)]
    labels = [label for label, _ in work_rows({**found, "next_runs": []}, datetime.now(UTC))]
    assert labels == ["trades", "pools", "bars", "levels"]


async def test_old_tasks_count_only_while_they_are_not_over(database: str) -> None:
    await fetch(
        database,
        "INSERT INTO tasks (task_id, kind, state, error, created_at, finished_at) VALUES"
        " ('a', 'x', 'FAILED', 'first', now() - interval '3 hours', now() - interval '2 hours'),"
        " ('b', 'x', 'FAILED', 'last', now() - interval '4 hours', now() - interval '1 hour'),"
        " ('c', 'x', 'SUCCESS', '', now() - interval '2 days', now() - interval '2 days'),"
        " ('d', 'x', 'PENDING', '', now() - interval '2 days', NULL)",
    )
    tasks = (await inspect_work(database, "market_data", EXCHANGE))["tasks"]
    assert tasks["states"] == {"FAILED": 2, "PENDING": 1}
    assert (tasks["last_failure"]["task_id"], tasks["last_failure"]["error"]) == ("b", "last")
