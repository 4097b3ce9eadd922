"""What fault runs of the filling share: a world with a past, the live path beside it, and the ledger at the end."""

from __future__ import annotations

import io
import zipfile
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import psycopg

from src.model import DAY_MS, MINUTE_MS
from tests.support.oracle import Verdict
from tests.support.venue import VenueOptions
from tests.support.world import SCHEMA, World, open_world

HISTORY = 5000
"""Three and a half days: two of them have daily files, the other rows come over REST."""
_IN_TIME = "60.0"
"""Venue seconds from a close to its commit, 6 s of a computer that is busy importing at speed 10. Closes are pushed;
were one to wait for the history, it would wait longer than that."""


class FileLine(NamedTuple):
    """What ``archive_files`` says of a file."""

    state: str
    attempts: int
    revision: int
    detail: str


@asynccontextmanager
async def open_past(
    folder: Path,
    database: str,
    *,
    symbols: int = 8,
    history: int = HISTORY,
    speed: float = 10.0,
    start_ms: int = VenueOptions().start_ms,
    arguments: Sequence[str] = ("--ws", "--backfill"),
    module: str = "src",
    **settings: str,
) -> AsyncIterator[World]:
    """A world whose symbols were listed ``history`` minutes ago; files are downloaded to ``downloads(folder)``.

    The patrol looks every 30 s of the venue, so that what is to be tried again is tried within seconds.
    """
    own = {
        "BACKFILL_FROM": "45d",
        "BINANCE_WS_GAP_INTERVAL": "30",
        "ARCHIVE_FOLDER": str(downloads(folder)),
    }
    options = VenueOptions(symbols=symbols, speed=speed, history=history, start_ms=start_ms)
    async with open_world(
        folder, database, options=options, settings=own | settings, arguments=arguments, module=module
    ) as world:
        yield world


def downloads(folder: Path) -> Path:
    """Where the daemon of a test's folder puts archive files."""
    return folder / "archive"


def day_before(world: World, days: int) -> date:
    """So many days before the day of the start. From two on a day has its daily file."""
    return _day(world.venue.started_ms) - timedelta(days=days)


def daily(symbol: str, day: date) -> str:
    """The end of the key of a daily file of candles, slash included, so that it is no other symbol's."""
    return f"/{symbol}-1m-{day}.zip"


async def query(world: World, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
    """Rows of the database itself, past the proxy; times are in UTC."""
    async with await psycopg.AsyncConnection.connect(
        world.database_url, autocommit=True, options=f"-c search_path={SCHEMA},public -c TimeZone=UTC"
    ) as connection:
        cursor = await connection.execute(statement.encode(), parameters)
        return await cursor.fetchall() if cursor.description else []


async def file_lines(world: World) -> dict[str, FileLine]:
    """What is written down about each file of candles, by ``daily`` of it."""
    rows = await query(
        world,
        "SELECT path, state, attempts, revision, detail FROM archive_files WHERE dataset = 'candles_1m'",
    )
    return {f"/{path.rpartition('/')[2]}": FileLine(*line) for path, *line in rows}


async def sources(world: World, symbol: str, day: date) -> dict[str, int]:
    """Where the stored rows of a day come from: how many by source."""
    rows = await query(
        world,
        "SELECT source, count(*) FROM candles_1m WHERE symbol = %s AND bucket_ts >= %s AND bucket_ts < %s"
        " GROUP BY source",
        symbol,
        datetime.combine(day, datetime.min.time(), UTC),
        datetime.combine(day + timedelta(days=1), datetime.min.time(), UTC),
    )
    return dict(rows)


async def asked(world: World, file: str) -> Counter[int]:
    """How often a file of the archive was asked for, by the status of the answer."""
    downloads: list[dict[str, Any]] = (await world.venue.stats())["downloads"]
    return Counter(int(one["status"]) for one in downloads if one["key"].endswith(file))


async def served(world: World, path: str) -> list[str]:
    """The lines of an archive file, ``path`` below ``um/``, as it is served now; that counts as firing."""
    url = f"http://127.0.0.1:{world.venue.port}/archive/data/futures/um/{path}"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        content = await answer.read()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.read(archive.namelist()[0]).decode().splitlines()


@asynccontextmanager
async def undisturbed(world: World, *, minutes: float = 2) -> AsyncIterator[None]:
    """The live path inside the block, which is prolonged until live rows of ``minutes`` came: ready all the time,
    rows in time, nothing dropped, no collector restarted, no connection made anew."""
    before = await world.daemon.metrics()
    async with world.daemon.readiness() as readiness:
        live = before.total("close_to_commit_seconds_count")
        yield
        wanted = live + minutes * len(world.venue.symbols)
        seen = await world.daemon.wait_metric("close_to_commit_seconds_count", wanted)
    # An answer that took over 5 s, of a computer that stood still, says nothing of the daemon.
    assert [text for _, ready, text in readiness.changes if not ready and text != repr(TimeoutError())] == []
    came = seen.total("close_to_commit_seconds_count") - live
    bucket = "close_to_commit_seconds_bucket"
    late = came - (seen.total(bucket, le=_IN_TIME) - before.total(bucket, le=_IN_TIME))
    # One in two hundred closes comes up to 24 s late, and on a busy computer that is the longest time of all.
    assert late <= 0.01 * came + 2, f"{late:.0f} of {came:.0f} live rows waited"
    for name in ("rows_dropped_total", "supervisor_restarts_total", "ws_reconnects_total"):
        assert seen.total(name) == before.total(name), name


async def finish(world: World, *, absent: int = 0) -> Verdict:
    """The common pass rule, whose oracle owes all of the past, and then the ledger: it says what is there.

    ``absent`` is how many minutes are proved to exist nowhere.
    """
    verdict = await world.finish()
    await _adds_up(world, absent)
    return verdict


async def _adds_up(world: World, absent: int) -> None:
    """Every day of every symbol has its line, and nothing of a day that is over is unaccounted for."""
    stored: Counter[tuple[str, date]] = Counter(
        (symbol, _day(open_ms)) for symbol, open_ms in await world.oracle.stored()
    )
    rows = await query(
        world,
        "SELECT symbol, day, expected, have, absent, state FROM coverage_days WHERE dataset = 'candles_1m'",
    )
    lines = {(symbol, day): line for symbol, day, *line in rows}
    assert {key for key in stored if key not in lines} == set(), "days without a line"
    assert {key: line[1] for key, line in lines.items()} == {key: stored[key] for key in lines}
    first_ms = world.venue.started_ms - world.venue.options.history * MINUTE_MS
    over_ms = await world.venue.now_ms() // DAY_MS * DAY_MS
    due = {
        (symbol, _day(day_ms)): (min(day_ms + DAY_MS, over_ms) - max(day_ms, first_ms)) // MINUTE_MS
        for symbol in world.venue.symbols
        for day_ms in range(first_ms // DAY_MS * DAY_MS, over_ms, DAY_MS)
    }
    assert {key: lines[key][0] for key in due} == due
    unaccounted = [(key, lines[key]) for key in due if lines[key][1] + lines[key][2] != due[key]]
    assert unaccounted == []
    assert {lines[key][3] for key in due} == {"complete"}
    assert sum(line[2] for line in lines.values()) == absent


def _day(ms: int) -> date:
    return datetime.fromtimestamp(ms / 1000, UTC).date()
