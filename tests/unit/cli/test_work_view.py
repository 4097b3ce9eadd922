"""What ``marketd status`` says of tasks, trades, swaps, bars and levels."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from src.cli.health.status import next_runs
from src.cli.health.work_view import work_rows
from src.config import Settings

NOW = datetime(2026, 11, 20, 21, 0, 30, tzinfo=UTC)


def work(**changes: Any) -> dict[str, Any]:
    return {
        "tasks": {"states": {}, "workers": 0, "last_failure": None},
        "trades": [],
        "pools": [],
        "bars": [],
        "levels": [],
        "next_runs": next_runs(Settings(), NOW),
        **changes,
    }


def _trade(symbol: str, second: int, gaps: int = 0) -> dict[str, Any]:
    newest = f"2026-11-20T21:00:{second:02}+00:00"
    return {
        "exchange": "binance_spot",
        "symbol": symbol,
        "newest": newest,
        "open_gaps": gaps,
        "open_ids": 1500 * gaps,
    }


def test_nothing_is_said_of_what_there_is_not() -> None:
    assert work_rows(work(), NOW) == []
    assert work_rows({"error": "migrations are pending"}, NOW) == []


def test_tasks_by_state_the_last_failure_and_what_comes_next() -> None:
    failure = {
        "task_id": "Levels@x",
        "error": "no such symbol\ntraceback",
        "finished_at": "2026-11-20T20:58:30+00:00",
    }
    tasks = {"states": {"SUCCESS": 1288, "FAILED": 1}, "workers": 0, "last_failure": failure}
    rows = dict(work_rows(work(tasks=tasks), NOW))
    assert rows["tasks"] == "1,288 SUCCESS, 1 FAILED in the last 24 h; NOBODY works at them"
    assert rows["failed"] == "Levels@x, 2026-11-20 20:58:30 UTC (2 min ago)\nno such symbol"
    assert rows["next tasks"] == "Levels in 90 s (2 * * * *)\nBars in 4 min (*/5 * * * * 20)"


def test_the_next_run_is_the_soonest_schedule() -> None:
    settings = Settings(schedules="Levels=2 * * * *,Levels(timeframe=15m)=1 * * * *")
    assert [(run["schedule"], run["at"]) for run in next_runs(settings, NOW)] == [
        ("Levels(timeframe=15m)", "2026-11-20T21:01:00+00:00"),
        ("Levels", "2026-11-20T21:02:00+00:00"),
    ]


def test_the_oldest_trades_come_first_with_their_holes() -> None:
    markets = [_trade("AUSDT", 0, gaps=2), *(_trade(f"B{second}USDT", second) for second in range(1, 7))]
    lines = dict(work_rows(work(trades=markets), NOW))["trades"].split("\n")
    assert lines[0] == (
        "AUSDT of binance_spot up to 2026-11-20 21:00:00 UTC (30 s ago), 3,000 ids missing in 2 gaps"
    )
    assert lines[-1] == "2 more that are newer, 0 ids missing in 0 gaps"
    assert len(lines) == 6


def test_pools_bars_and_levels() -> None:
    pool = {
        "chain": "ethereum",
        "pool": "0x88e6a0c2ddd26feeb64f039a2c41296fcb3f5640",
        "symbol0": "USDC",
        "symbol1": "WETH",
    }
    rows = dict(
        work_rows(
            work(
                pools=[
                    {**pool, "block": 21_000_000, "newest": "2026-11-20T21:00:18+00:00"},
                    {**pool, "block": None, "newest": None},
                ],
                bars=[{"symbols": 740, "made_to": "2026-11-20T21:00:00+00:00"}],
                levels=[
                    {
                        "market_type": "future",
                        "timeframe": "1h",
                        "symbols": 740,
                        "known_to": "2026-11-20T20:00:00+00:00",
                        "updated_at": "2026-11-20T20:02:30+00:00",
                    }
                ],
            ),
            NOW,
        )
    )
    assert rows["pools"].split("\n") == [
        "USDC/WETH 0x88e6a0c2… on ethereum up to block 21,000,000, 2026-11-20 21:00:18 UTC (12 s ago)",
        "USDC/WETH 0x88e6a0c2… on ethereum: no swaps yet",
    ]
    assert rows["bars"].startswith("740 symbols, newest made 30 s ago; newest closes: 5m 11-20 21:00")
    assert rows["bars"].endswith("4h 11-20 20:00, 1d 11-20 00:00")
    assert rows["levels"] == "future 1h: 740 symbols, known up to 11-20 20:00, run 58 min ago"
