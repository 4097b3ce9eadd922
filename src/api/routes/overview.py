"""What the page with the overview shows: is it healthy, is it complete, is it late."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from math import inf
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from ...model import FIVE_MINUTES_MS, MINUTE_MS, Dataset, TaskState
from ...telemetry.samples import Samples
from ..answers import Json
from ..parts import Given, Parts
from ..problems import encode
from ..security import Scope, needs

_STORAGE_S = 300.0
"""Asking the size of every chunk takes a while, and it changes slowly."""
_COVERAGE_S = 10.0
_MOST_DAYS = 400
_STEP_MS = {Dataset.CANDLES: MINUTE_MS, Dataset.METRICS: FIVE_MINUTES_MS}

router = APIRouter(prefix="/api/v1/overview", tags=["overview"], dependencies=[needs(Scope.READ)])


class Run(BaseModel):
    """The daemon that has a role, else the newest that had it; ``stopped_ms`` is null while it runs, or when it was
    killed."""

    role: str
    host: str
    pid: int
    version: str
    started_ms: int
    stopped_ms: int | None
    alive: bool = Field(description="It has not ended, and has a session of its role in the database.")


class Live(BaseModel):
    """Live collecting as this process sees it; all 0 where another one collects."""

    newest_close_ms: int | None = Field(
        description="End of the newest minute of which a live candle was committed."
    )
    last_commit_ms: int | None
    symbols: dict[str, int] = Field(description="expected, subscribed, stale, quiet")
    connections: dict[str, int] = Field(description="By state: connecting, live, draining, waiting.")
    buffer: dict[str, int] = Field(description="rows, capacity_rows")
    rows: dict[str, int] = Field(
        description="Since the start: received, committed, deduped, rejected, dropped."
    )
    missing_minutes: int = Field(description="Of the last 25 h, all symbols together.")
    clock_offset_s: float


class Histogram(BaseModel):
    """How many observations are up to each bound; the last bound is null and stands for infinity."""

    bounds: list[float | None]
    counts: list[int]


class Budget(BaseModel):
    """Requests of a window: what is used, allowed, and waits. ``limit`` is null where the venue counts nothing."""

    name: str
    used: int
    limit: int | None
    waiting: int
    banned_until_ms: int | None


class Backfill(BaseModel):
    """A filling that was asked for and is not done. ``done`` of ``due`` missing minutes are through, null before it
    was planned."""

    id: int
    symbols: int = Field(description="How many names or patterns of symbols were given.")
    names: list[str] = Field(description="The first three of them; * is all symbols.")
    from_ms: int
    to_ms: int
    state: Literal["waiting", "running"]
    started_ms: int | None
    done: int | None
    due: int | None
    seconds_left: float | None
    note: str = Field(description="Why it stands still; empty while it works.")


class Filling(BaseModel):
    """What the process that answers fills at present: by itself, or for the first of ``backfills`` that runs."""

    tasks_left: int
    minutes_left: int = Field(description="Missing symbol-minutes that these tasks are for.")
    paused: list[str] = Field(description="Why no file is downloaded: folder, disk_low, memory.")


class Table(BaseModel):
    name: str
    bytes: int


class Overview(BaseModel):
    """One look at everything. Times are UTC milliseconds."""

    now_ms: int
    version: str
    ready: bool
    not_ready_reasons: list[str]
    database_writable: bool
    collects: bool = Field(description="Whether live candles are collected by the process that answers.")
    runs: list[Run]
    live: Live
    close_to_commit: Histogram = Field(
        description="Seconds from a minute's end to the commit of its live candle."
    )
    budgets: list[Budget]
    backfills: list[Backfill]
    filling: Filling
    tasks: dict[TaskState, int] = Field(description="Of the last week, by state.")
    storage: list[Table] = Field(description="Every table, the largest first; at most five minutes old.")


class Coverage(BaseModel):
    """What is in the ledger of each symbol, day by day. Rows of today are due five minutes after their period."""

    dataset: Dataset
    first_day: date
    days: int
    as_of_ms: int
    asked_from_ms: int = Field(
        description="What is missing before this is filled on request only: BACKFILL_FROM, or an open request for"
        " all symbols."
    )
    step_ms: int | None = Field(description="From one row to the next; null where rows come irregularly.")
    symbols: dict[str, list[tuple[int, int, int, int, int, int]]] = Field(
        description="Runs of days that are alike: first (counted from first_day), days, expected, have, absent,"
        " expired. A day in no run was not due."
    )


@router.get("")
async def overview(given: Given) -> Overview:
    """Whether marketd is healthy, complete and in time, what it is working at, and what it takes on disk."""
    now = given.clock.now()
    samples = Samples(given.metrics.registry)
    reasons = given.health.not_ready_reasons(now)
    exchange = {"exchange": given.exchange}
    runs = await given.reader.records("api_overview.runs", **exchange)
    fillings = await given.reader.records("api_overview.backfills", **exchange)
    states = dict(await given.reader.rows("api_overview.tasks"))
    return Overview(
        now_ms=int(now * 1000),
        version=given.version,
        ready=not reasons,
        not_ready_reasons=reasons,
        database_writable=given.health.database_writable,
        collects=given.health.expects_candles,
        runs=[Run(**run) for run in runs],
        live=_live(given, samples),
        close_to_commit=_histogram(samples.buckets("close_to_commit_seconds")),
        budgets=_budgets(samples),
        backfills=[_backfill(filling, now * 1000) for filling in fillings],
        filling=_filling(samples),
        tasks={state: states.get(state.value, 0) for state in TaskState},
        storage=await _storage(given),
    )


@router.get("/coverage", response_model=Coverage)
async def coverage(
    given: Given,
    dataset: Dataset = Dataset.CANDLES,
    days: Annotated[int, Query(ge=1, le=_MOST_DAYS, description="How many, up to today.")] = 90,
) -> Json:
    """How much of each day of each symbol is stored: all symbols at once, for a map of them."""
    today = datetime.fromtimestamp(given.clock.now(), UTC).date()

    async def read() -> bytes:
        return await _coverage(given, dataset, days, today)

    return Json(await given.kept.get(("coverage", dataset, days, today), _COVERAGE_S, given.clock, read))


async def _coverage(given: Parts, dataset: Dataset, days: int, today: date) -> bytes:
    """The answer as JSON. The database writes each symbol's part, so that a thousand lists cost the loop nothing."""
    first = today - timedelta(days=days - 1)
    as_of_ms = int(given.clock.now() * 1000)
    rows = await given.reader.rows(
        "api_overview.coverage", exchange=given.exchange, dataset=dataset.value, first=first, last=today
    )
    head = encode(
        {
            "dataset": dataset,
            "first_day": first,
            "days": days,
            "as_of_ms": as_of_ms,
            "asked_from_ms": await _asked_from(given, dataset, as_of_ms),
            "step_ms": _STEP_MS.get(dataset),
        }
    )
    symbols = b",".join(encode(symbol) + b":" + runs.encode() for symbol, runs in rows)
    return head[:-1] + b',"symbols":{' + symbols + b"}}"


async def _asked_from(given: Parts, dataset: Dataset, now_ms: int) -> int:
    since = given.asked_from(dataset, now_ms)
    if dataset is not Dataset.CANDLES:  # requests are for candles
        return since
    [asked] = await given.reader.records("api_overview.asked_from", exchange=given.exchange)
    return since if asked["since_ms"] is None else min(since, int(asked["since_ms"]))


async def _storage(given: Parts) -> list[Table]:
    async def read() -> list[Table]:
        return [Table(**row) for row in await given.reader.records("api_overview.storage")]

    return await given.kept.get("storage", _STORAGE_S, given.clock, read)


def _live(given: Parts, samples: Samples) -> Live:
    rows = ("received", "committed", "deduped", "rejected", "dropped")
    health = given.health
    return Live(
        newest_close_ms=_ms(health.newest_candle_close),
        last_commit_ms=_ms(health.last_commit),
        symbols=samples.plain("symbols_", "expected", "subscribed", "stale", "quiet"),
        connections={
            state: int(count) for state, count in samples.by_label("ws_connections", "state").items()
        },
        buffer=samples.plain("buffer_", "rows", "capacity_rows"),
        rows={name: int(samples.total(f"rows_{name}_total")) for name in rows},
        missing_minutes=int(samples.total("missing_candles")),
        clock_offset_s=round(samples.total("exchange_clock_offset_seconds"), 3),
    )


def _histogram(buckets: list[tuple[float, int]]) -> Histogram:
    return Histogram(
        bounds=[None if bound == inf else bound for bound, _ in buckets],
        counts=[count for _, count in buckets],
    )


def _budgets(samples: Samples) -> list[Budget]:
    used = samples.by_label("rate_limit_used", "budget")
    waiting = samples.by_label("rate_limit_waiting_requests", "budget")
    until = samples.by_label("rate_limit_ban_until_timestamp_seconds", "budget")
    allowed = samples.by_label("rate_limit_allowed", "budget")
    return [
        Budget(
            name=name,
            used=int(used.get(name, 0)),
            limit=int(allowed[name]) if name in allowed else None,
            waiting=int(waiting.get(name, 0)),
            banned_until_ms=_ms(until.get(name, 0.0)),
        )
        for name in dict.fromkeys([*allowed, *used])
    ]


def _filling(samples: Samples) -> Filling:
    paused = samples.by_label("backfill_paused", "reason")
    return Filling(
        tasks_left=int(samples.total("backfill_tasks_left")),
        minutes_left=int(samples.total("backfill_candles_left")),
        paused=sorted(reason for reason, is_so in paused.items() if is_so),
    )


def _backfill(row: dict[str, Any], now_ms: float) -> Backfill:
    return Backfill(**row, seconds_left=seconds_left(row["started_ms"], row["done"], row["due"], now_ms))


def seconds_left(started_ms: int | None, done: int | None, due: int | None, now_ms: float) -> float | None:
    """At the pace so far; None where there is none yet."""
    if not started_ms or not done or due is None or now_ms <= started_ms:
        return None
    return round((now_ms - started_ms) / 1000 / done * max(due - done, 0), 1)


def _ms(seconds: float) -> int | None:
    return int(seconds * 1000) if seconds else None
