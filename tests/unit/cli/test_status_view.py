"""The table of ``marketd status``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from src.cli.health.status_view import age, table

NOW = datetime(2026, 11, 20, 21, 0, 30, tzinfo=UTC)


def daemon(**changes: Any) -> dict[str, Any]:
    """An answer of ``/status``."""
    return {
        "run_id": "5f0c2b7a",
        "version": "0.1.0",
        "since": "2026-11-20T18:00:00Z",
        "runs": ["ws"],
        "pid": 4711,
        "speed": 1.0,
        "ready": True,
        "not_ready_reasons": [],
        "data": {
            "newest_candle_close": "2026-11-20T21:00:00Z",
            "age_seconds": 30.2,
            "database_writable": True,
        },
        "symbols": {"expected": 740, "subscribed": 739, "stale": 1, "quiet": 5},
        "connections": {"live": 4, "waiting": 0},
        "buffer": {"rows": 12, "capacity_rows": 200_000},
        "rows": {"received": 1000.0, "committed": 990.0, "deduped": 9.0, "rejected": 1.0, "dropped": 0.0},
        "gap_minutes_open": 3.0,
        "clock_offset_seconds": -0.012,
        "budget": {"limit": 1800, "used": 35, "in_flight": 0, "waiting": 0, "ban_until": None},
        **changes,
    }


def database(**changes: Any) -> dict[str, Any]:
    """What the inspection of the database gives."""
    return {
        "server": {
            "database": "market",
            "size_bytes": 12_345_678_901,
            "postgresql": "17.6",
            "timescaledb": "2.19.3",
            "edition": "Apache",
        },
        "pending_migrations": [],
        "missing_rights": [],
        "lock_holder": {"pid": 4711, "host": "here", "since": "2026-11-20T18:00:01+00:00"},
        "runs": [
            _run("b", "ws", "2026-11-20T18:00:02+00:00", None),
            _run("b", "api", "2026-11-20T18:00:01+00:00", "2026-11-20T18:30:00+00:00"),
            _run("a", "ws", "2026-11-19T18:00:01+01:00", "2026-11-20T17:00:00+00:00"),
            _run("a", "jobs", "2026-11-19T17:00:02+00:00", "2026-11-20T17:30:00+01:00"),
        ],
        "symbols": 740,
        "newest_minute": "2026-11-20T20:59:00+00:00",
        "stale_symbols": 12,
        "stalest": {"币安人生USDT": "2026-11-20T19:01:00+00:00"},
        "last_24h": {"rejected_rows": 1, "lost_minutes": 0, "overwritten_candles": 25},
        **changes,
    }


def _run(run_id: str, role: str, started: str, stopped: str | None) -> dict[str, Any]:
    pid = {"a": 42, "b": 4711}[run_id]
    return {
        "run_id": run_id, "role": role, "started_at": started, "stopped_at": stopped, "pid": pid, "host": "here"
    }  # fmt: skip


def shown(daemon_report: dict[str, Any], database_report: dict[str, Any]) -> dict[str, str]:
    return dict(table({"daemon": daemon_report, "database": database_report}, NOW))


def test_all_is_well() -> None:
    assert shown(daemon(), database()) == {
        "daemon": "ready",
        "runs": "ws, version 0.1.0, pid 4711",
        "since": "2026-11-20 18:00:00 UTC (3 h 0 min ago)",
        "data": "newest stored minute ended 30 s ago; the database takes writes",
        "symbols": "740 expected, 739 subscribed, 1 stale, 5 quiet",
        "connections": "4 live",
        "buffer": "12 of 200,000 rows",
        "rows": "1,000 received, 990 committed, 9 deduped, 1 rejected, 0 dropped",
        "holes": "3 minutes of the last 25 h known to be missing",
        "clock": "the exchange is -0.012 s from this computer",
        "weight": "35 of 1,800 used in this minute",
        "database": "market, 12,346 MB, PostgreSQL 17.6, TimescaleDB 2.19.3 (Apache edition)",
        "lock": "pid 4711 on here, since 2026-11-20 18:00:01 UTC (3 h 0 min ago)",
        "stored": "728 of 740 symbols up to 2026-11-20 20:59:00 UTC (90 s ago)",
        "stale": "币安人生USDT (19:01) and 11 more",
        "last 24 h": "1 rejected rows, 0 lost minutes, 25 overwritten candles",
        "last runs": "2026-11-20 18:00:01 pid 4711 on here (api, ws), running or killed\n"
        "2026-11-19 17:00:01 pid 42 on here (jobs, ws), ended by itself 2026-11-20 17:00:00",
    }


def test_trouble_is_in_capitals() -> None:
    budget = {"limit": 1800, "used": 1800, "in_flight": 3, "waiting": 7, "ban_until": "2026-11-20T21:05:00Z"}
    data = {"age_seconds": None, "database_writable": False}
    rows = shown(
        daemon(
            ready=False,
            not_ready_reasons=["no candle stored yet", "database not writable"],
            budget=budget,
            data=data,
            connections={},
            speed=20.0,
        ),
        database(
            missing_rights=["candles_1m UPDATE"],
            lock_holder=None,
            newest_minute=None,
            stale_symbols=0,
            last_24h=None,
            runs=[],
        ),
    )
    assert rows["daemon"] == "NOT READY: no candle stored yet; database not writable"
    assert rows["data"] == "no candle stored yet"
    assert rows["connections"] == "none"
    assert rows["clock"].endswith("; venue time runs 20 times as fast")
    assert rows["weight"] == (
        "1,800 of 1,800 used in this minute, 7 requests wait; BANNED until 2026-11-20T21:05:00Z"
    )
    assert rows["rights"] == "MISSING: candles_1m UPDATE"
    assert rows["lock"] == "free: no daemon writes"
    assert rows["stored"] == "no candle in the last 24 h"
    assert rows["last runs"] == "none"
    assert "stale" not in rows


def test_pending_migrations_end_the_list() -> None:
    rows = shown(daemon(budget=None), database(pending_migrations=["migrations/0003_x.sql"]))
    assert rows["tables"] == "PENDING migrations: migrations/0003_x.sql; run `marketd migrate`"
    assert "weight" not in rows and "stored" not in rows


def test_whoever_cannot_be_asked_says_why() -> None:
    rows = shown({"error": "no daemon answers"}, {"error": "connection refused"})
    assert rows == {"daemon": "not asked: no daemon answers", "database": "not asked: connection refused"}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0 s"),
        (119.9, "119 s"),
        (120, "2 min"),
        (7_199, "119 min"),
        (7_260, "2 h 1 min"),
        (172_799, "47 h 59 min"),
        (180_000, "2 d 2 h"),
    ],
)
def test_ages(seconds: float, text: str) -> None:
    assert age(seconds) == text
