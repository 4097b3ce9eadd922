"""``start.sh demo`` as a new user meets it: everything on loopback, stopped, started again, nothing missing."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import psycopg
import pytest

from src.model import MINUTE_MS, floor_minute
from tests.support.eventually import eventually
from tests.support.startscript import Result, StartScript

FRESH_S = 180.0
"""Wall seconds after the command returned until every symbol must have a fresh candle."""


class Demo:
    """The demo in a state folder of its own; ``url`` is its database."""

    def __init__(self, state: Path) -> None:
        self.script = StartScript(state, {})

    def start(self) -> Result:
        result = self.script("demo", within=600)
        assert result.returncode == 0, result.stderr
        return result

    @property
    def url(self) -> str:
        folder = self.script.state / "demo" / "timescaledb"
        port, password = ((folder / name).read_text().strip() for name in ("port", "password"))
        return f"postgresql://marketd:{password}@127.0.0.1:{port}/marketd"

    def rows_by_symbol(self, since_ms: int, until_ms: int) -> dict[str, int]:
        """How many candles of [since, until) each symbol has."""
        with psycopg.connect(self.url) as connection:
            rows = connection.execute(
                "SELECT symbol, count(*) FROM market_data.candles_1m"
                " WHERE bucket_ts >= to_timestamp(%s) AND bucket_ts < to_timestamp(%s) GROUP BY symbol",
                (since_ms / 1000, until_ms / 1000),
            )
            return dict(rows.fetchall())


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    demo = Demo(tmp_path / "a state")
    yield demo
    demo.script("stop", within=120)


@pytest.mark.timeout(900)
async def test_demo_stop_demo_leaves_no_minute_missing(demo: Demo) -> None:
    # A setting of the user must not reach the demo, or it would write into a real database.
    demo.script.settings.update(DATABASE_URL="postgresql://127.0.0.1:9/real", SYMBOLS="BTCUSDT")
    first = demo.start()
    began_ms = floor_minute(time.time() * 1000)
    pages = re.search(r"pages +(http://127\.0\.0\.1:\d+/) ", first.stdout)
    assert pages
    async with aiohttp.ClientSession() as http, http.get(f"{pages[1]}api/v1/symbols?limit=1") as answer:
        assert (await answer.json())["data"]
    for part in ("http://127.0.0.1:", "database   127.0.0.1:", "start.sh stop"):
        assert part in first.stdout

    def all_fresh() -> bool:
        now_ms = time.time() * 1000
        recent = demo.rows_by_symbol(floor_minute(now_ms) - 2 * MINUTE_MS, int(now_ms))
        return len(recent) >= 740

    await eventually(all_fresh, timeout=FRESH_S)
    status = demo.script("status")
    assert status.returncode == 0
    assert "marketd (demo) runs: pid " in status.stdout and "740 expected" in status.stdout
    counted = demo.script("psql", "-At", "-c", "select count(distinct symbol) >= 740 from candles_1m")
    assert counted.stdout == "t\n", counted.stderr

    assert demo.script("stop", within=120).returncode == 0
    assert demo.script("status").returncode == 3
    with pytest.raises(psycopg.OperationalError):
        demo.rows_by_symbol(0, 1)
    stopped_ms = floor_minute(time.time() * 1000)

    # At least one whole minute without a daemon, or nothing would have to be repaired.
    await eventually(lambda: time.time() * 1000 > stopped_ms + 2 * MINUTE_MS, timeout=150)
    demo.start()
    restarted_ms = floor_minute(time.time() * 1000)
    minutes = (restarted_ms - began_ms) // MINUTE_MS
    assert minutes >= 2

    def complete() -> bool:
        rows = demo.rows_by_symbol(began_ms, restarted_ms)
        return len(rows) >= 740 and set(rows.values()) == {minutes}

    await eventually(complete, timeout=FRESH_S)
