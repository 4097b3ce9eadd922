"""The overview over a real database: what the ledger says of every day, and what is being worked at."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Any, cast

import aiohttp
import pytest

from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.sessions.reader import ReadPool
from src.api.app import make_app
from src.model import DAY_MS
from src.telemetry.metrics import Metrics
from tests.integration.timescale.helpers import connect, fetch
from tests.support.api import Api, StandInReader, served
from tests.support.fakes import StepClock

EXCHANGE = "binance_futures_um"
Line = tuple[int, int, int, int]
"""expected, have, absent, expired"""


@pytest.fixture
def clock() -> StepClock:
    """The routes' time: it stands, so that no test sees another day or another second begin."""
    return StepClock()


@pytest.fixture
async def api(database: str, clock: StepClock) -> AsyncIterator[Api]:
    pool = ReadPool(DatabaseOptions(database, exchange=EXCHANGE), Metrics())
    await pool.open()
    try:
        async with served(
            reader=cast(StandInReader, pool),
            app=lambda parts, access: make_app(
                replace(parts, clock=clock, asked_from=lambda dataset, now_ms: now_ms - 2 * DAY_MS), access
            ),
        ) as api:
            yield api
    finally:
        await pool.close()


async def get(api: Api, path: str) -> Any:
    async with aiohttp.ClientSession() as session, session.get(f"{api.url}{path}") as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def test_an_empty_database_has_an_overview(api: Api) -> None:
    found = await get(api, "/api/v1/overview")
    assert found["ready"] is False and found["not_ready_reasons"]
    assert found["runs"] == found["backfills"] == []
    assert set(found["tasks"].values()) == {0}
    assert found["close_to_commit"]["bounds"][-1] is None
    assert {table["name"] for table in found["storage"]} >= {"candles_1m", "coverage_days", "tasks"}
    assert (await get(api, "/api/v1/overview/coverage"))["symbols"] == {}


async def test_runs_say_of_every_day_what_the_ledger_says(api: Api, database: str, clock: StepClock) -> None:
    chance, days = Random(5), 40
    today = datetime.fromtimestamp(clock.now(), UTC).date()
    first = today - timedelta(days=days - 1)
    ledger = {symbol: _lines(chance, days) for symbol in ("BTCUSDT", "币安人生USDT", 'ODD"USDT')}
    async with await connect(database) as connection:
        for symbol, lines in ledger.items():
            for place, line in lines.items():
                await connection.execute(
                    "INSERT INTO coverage_days (exchange, dataset, symbol, day, expected, have, absent, expired)"
                    " VALUES (%s, 'candles_1m', %s, %s, %s, %s, %s, %s)",
                    [EXCHANGE, symbol, first + timedelta(days=place), *line],
                )
        for exchange, dataset, day in [("other", "candles_1m", today), (EXCHANGE, "funding", today)]:
            await connection.execute(
                "INSERT INTO coverage_days (exchange, dataset, symbol, day, expected)"
                " VALUES (%s, %s, 'NOTUSDT', %s, 3)",
                [exchange, dataset, day],
            )
    found = await get(api, f"/api/v1/overview/coverage?days={days}")
    assert found["first_day"] == str(first) and found["step_ms"] == 60_000
    assert {symbol: _unfolded(runs) for symbol, runs in found["symbols"].items()} == {
        symbol: {place: _cut(line) for place, line in lines.items() if place >= 0}
        for symbol, lines in ledger.items()
    }
    for runs in found["symbols"].values():
        for (one, length, *said), (other, _, *next_said) in pairwise(runs):
            assert one + length < other or said != next_said, "what is alike and side by side is one run"
    assert set((await get(api, "/api/v1/overview/coverage?dataset=funding&days=1"))["symbols"]) == {"NOTUSDT"}


def _lines(chance: Random, days: int) -> dict[int, Line]:
    """By place, from before the days that are asked for; some days have no line."""
    whole: Line = (1440, 1440, 0, 0)
    some: list[Line] = [
        whole, whole, whole, (1440, 1000, 40, 0), (1440, 0, 0, 1440), (1440, 0, 0, 0), (720, 720, 0, 0),
        (1440, 1445, 3, 0), (1440, 1430, 30, 5), (0, 7, 0, 0),
    ]  # fmt: skip
    return {place: chance.choice(some) for place in range(-5, days) if chance.random() < 0.9}


def _cut(line: Line) -> Line:
    expected, have, absent, expired = line
    have = min(have, expected)
    absent = min(absent, expected - have)
    return expected, have, absent, min(expired, expected - have - absent)


def _unfolded(runs: list[tuple[int, ...]]) -> dict[int, tuple[int, ...]]:
    return {place: tuple(said) for first, days, *said in runs for place in range(first, first + days)}


@pytest.mark.parametrize("query", ["days=0", "days=401", "days=x", "dataset=secrets", "dataset='"])
async def test_what_cannot_be_asked_is_refused_by_field(api: Api, query: str) -> None:
    url = f"{api.url}/api/v1/overview/coverage?{query}"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        assert answer.status == 422
        assert (await answer.json())["errors"][0]["field"] == f"query.{query.partition('=')[0]}"


async def test_it_says_what_runs_and_what_is_worked_at(api: Api, database: str, clock: StepClock) -> None:
    await fetch(
        database,
        "INSERT INTO daemon_runs (run_id, role, exchange, host, pid, version, started_at, stopped_at) VALUES"
        " ('a', 'ws', %s, 'here', 1, '0.1', now() - interval '2 hours', now() - interval '1 hour'),"
        " ('b', 'ws', %s, 'here', 2, '0.1', now() - interval '30 min', NULL),"
        " ('b', 'ws', 'other', 'there', 3, '0.1', now(), NULL)",
        [EXCHANGE, EXCHANGE],
    )
    await fetch(
        database,
        "INSERT INTO backfill_requests (exchange, symbols, from_ts, to_ts, source, force, keep, requested_by, state,"
        " started_at, progress) VALUES (%s, '{BTCUSDT,*}', now() - interval '9 days', now(), 'auto', false,"
        " false, 't', 'running', to_timestamp(%s), '{\"minutes_done\": 100, \"minutes_planned\": 300}'),"
        " (%s, '{X}', now() - interval '9 days', now(), 'auto', false, false, 't', 'done', NULL, '{}'),"
        " (%s, '{Y}', now() - interval '9 days', now(), 'auto', false, false, 't', 'waiting', NULL, '{}')",
        [EXCHANGE, clock.now() - 100, EXCHANGE, EXCHANGE],
    )
    await fetch(
        database,
        "INSERT INTO tasks (task_id, kind, state, finished_at, created_at) VALUES ('1', 'k', 'FAILED', now(), now()),"
        " ('2', 'k', 'PENDING', NULL, now()), ('3', 'k', 'PENDING', NULL, now() - interval '8 days')",
    )
    metrics = api.parts.metrics
    metrics.rate_limit_allowed.labels("fapi").set(1800)
    metrics.rate_limit_used.labels("fapi").set(412)
    metrics.rate_limit_used.labels("archive").set(3)
    metrics.backfill_tasks_left.set(4)
    metrics.backfill_candles_left.set(5760)
    for reason in ("folder", "disk_low"):
        metrics.backfill_paused.labels(reason).set(reason == "disk_low")
    for priority in ("repair", "history"):
        metrics.rate_limit_waiting.labels("fapi", priority).set(2)
    found = await get(api, "/api/v1/overview")
    assert [(run["pid"], run["stopped_ms"]) for run in found["runs"]] == [(2, None)]
    running, waiting = found["backfills"]
    assert (running["symbols"], running["done"], running["due"]) == (2, 100, 300)
    assert (running["names"], waiting["names"]) == (["BTCUSDT", "*"], ["Y"])
    assert running["seconds_left"] == 200
    assert (waiting["state"], waiting["done"], waiting["seconds_left"]) == ("waiting", None, None)
    assert (found["tasks"]["PENDING"], found["tasks"]["FAILED"], found["tasks"]["SUCCESS"]) == (1, 1, 0)
    assert found["budgets"] == [
        {"name": "fapi", "used": 412, "limit": 1800, "waiting": 4, "banned_until_ms": None},
        {"name": "archive", "used": 3, "limit": None, "waiting": 0, "banned_until_ms": None},
    ]
    assert found["filling"] == {"tasks_left": 4, "minutes_left": 5760, "paused": ["disk_low"]}


async def test_a_daemon_that_was_killed_does_not_run(api: Api, database: str) -> None:
    await fetch(
        database,
        "INSERT INTO daemon_runs (run_id, role, exchange, host, pid, version, started_at) VALUES"
        " ('killed', 'ws', %s, 'here', 1, '0.1', now() - interval '90 days'),"
        " ('works', 'metrics', %s, 'here', 2, '0.1', now() - interval '1 hour')",
        [EXCHANGE, EXCHANGE],
    )
    async with await connect(database) as session:
        await session.execute("SET application_name = 'marketd/metrics/works'")
        found = await get(api, "/api/v1/overview")
    assert {run["role"]: run["alive"] for run in found["runs"]} == {"metrics": True, "ws": False}


async def test_who_took_over_again_runs_and_not_who_stands_by(api: Api, database: str) -> None:
    """Its run began before that of the other one, which still has sessions for tasks."""
    await fetch(
        database,
        "INSERT INTO daemon_runs (run_id, role, exchange, host, pid, version, started_at) VALUES"
        " ('first', 'ws', %s, 'here', 1, '0.1', now() - interval '2 hours'),"
        " ('other', 'ws', %s, 'there', 2, '0.1', now() - interval '1 hour'),"
        " ('other', 'jobs', %s, 'there', 2, '0.1', now() - interval '1 hour')",
        [EXCHANGE, EXCHANGE, EXCHANGE],
    )
    async with await connect(database) as leads, await connect(database) as works:
        await leads.execute("SET application_name = 'marketd/ws/first'")
        await works.execute("SET application_name = 'marketd/jobs/other'")
        found = await get(api, "/api/v1/overview")
    assert {(run["role"], run["pid"], run["alive"]) for run in found["runs"]} == {
        ("ws", 1, True),
        ("jobs", 2, True),
    }


async def test_it_says_since_when_history_is_asked_for(api: Api, database: str, clock: StepClock) -> None:
    own = clock.now_ms() - 2 * DAY_MS
    assert await _asked_from(api, 40) == own
    assert await _asked_from(api, 41, dataset="funding") == own
    for symbols, days in (["BTCUSDT"], 30), (["*"], 9):
        assert await _asked_from(api, 50 - days) == own, "what is asked for one symbol is not for all"
        await fetch(
            database,
            "INSERT INTO backfill_requests"
            " (exchange, symbols, from_ts, to_ts, source, force, keep, requested_by, state)"
            " VALUES (%s, %s, to_timestamp(%s), to_timestamp(%s), 'auto', false, false, 't', 'waiting')",
            [EXCHANGE, symbols, clock.now() - days * 86_400, clock.now()],
        )
    assert await _asked_from(api, 43) == clock.now_ms() - 9 * DAY_MS, "an open request asks for more"
    assert await _asked_from(api, 44, dataset="funding") == own, "which is for candles only"


async def _asked_from(api: Api, days: int, dataset: str = "candles_1m") -> int:
    """An answer is kept for a while, so each question is for another number of days."""
    found = await get(api, f"/api/v1/overview/coverage?days={days}&dataset={dataset}")
    return int(found["asked_from_ms"])
