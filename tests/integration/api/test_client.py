"""``marketd.client`` against the served API: frames equal what is stored, errors say what to do."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone

import polars
import pytest

from src.api.security import Tokens
from src.client import Market
from src.errors import BadData, ConfigError, Unavailable, UnknownSymbol
from src.model import MINUTE_MS
from tests.integration.bars.world import plain
from tests.support.api import StandInReader, served
from tests.support.processes import ROOT, free_port
from tests.support.raw_http import raw_http

from .market_world import HOUR_MS, START_MS, MarketApi, serving

NOTEBOOK = ROOT / "docs" / "notebooks" / "candles.ipynb"
_COLUMNS = [
    "open_time",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "quote_volume",
    "trade_count",
    "taker_buy_volume",
    "missing_minutes",
]


@pytest.fixture
async def world(database: str) -> AsyncIterator[MarketApi]:
    async with serving(database) as world:
        yield world


async def test_a_frame_has_what_json_has(world: MarketApi) -> None:
    rows = plain("AUSDT", START_MS, 3000, leave=range(100, 120))
    rows[65] = replace(rows[65], quote_volume=None, trade_count=None, taker_buy_volume=None)
    await world.market.store(rows)
    world.market.keep()
    market = Market(world.api.url)
    for interval in ("1m", "3m", "15m", "30m", "1h", "1d"):
        frame = await asyncio.to_thread(market.candles, "AUSDT", interval, "2026-11-01")
        told = await world.all("/api/v1/klines", symbol="AUSDT", interval=interval, start=0)
        assert frame.columns == _COLUMNS
        times = frame["open_time"].dt.epoch("ms")
        assert frame.with_columns(times).to_dicts() == told
        assert frame["open_time"].dtype == polars.Datetime("ms", "UTC")
        if interval == "1m":
            assert frame["trade_count"].null_count() == frame["quote_volume"].null_count() == 1


async def test_a_range_of_many_pieces_is_one_frame(world: MarketApi) -> None:
    await world.market.store(plain("AUSDT", START_MS, 20_500))
    market = Market(world.api.url + "/")
    whole = await asyncio.to_thread(market.candles, "AUSDT", "1m", START_MS)
    expected = [START_MS + n * MINUTE_MS for n in range(20_500)]
    assert whole["open_time"].dt.epoch("ms").to_list() == expected
    newest = await asyncio.to_thread(market.candles, "AUSDT")
    assert newest["open_time"].dt.epoch("ms").to_list() == expected[-10_000:]


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (START_MS + HOUR_MS, START_MS + 2 * HOUR_MS),
        ("2026-11-01T01:00:00Z", "2026-11-01T10:00:00+08:00"),
        (
            datetime(2026, 11, 1, 1, tzinfo=UTC),
            datetime(2026, 11, 1, 10, tzinfo=timezone(timedelta(hours=8))),
        ),
    ],
    ids=["ms", "text", "datetime"],
)
async def test_moments_are_taken_as_people_write_them(
    world: MarketApi, start: int | str | datetime, end: int | str | datetime
) -> None:
    await world.market.store(plain("AUSDT", START_MS, 180))
    frame = await asyncio.to_thread(Market(world.api.url).candles, "AUSDT", "1m", start, end)
    assert frame["open_time"].dt.epoch("ms").to_list() == [START_MS + n * MINUTE_MS for n in range(60, 120)]
    days = await asyncio.to_thread(
        Market(world.api.url).candles, "AUSDT", "1m", date(2026, 11, 2), date(2026, 11, 3)
    )
    assert days.columns == _COLUMNS
    assert days.height == 0
    with pytest.raises(BadData, match="no time zone"):
        Market(world.api.url).candles("AUSDT", "1m", datetime(2026, 11, 1))  # noqa: DTZ001 - what is refused


async def test_pandas_gets_the_same(world: MarketApi) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    await world.market.store(plain("AUSDT", START_MS, 90))
    market = Market(world.api.url)
    frame = await asyncio.to_thread(lambda: market.candles("AUSDT", "1m", frame="pandas"))
    assert list(frame.columns) == _COLUMNS
    assert frame["open_time"].dt.tz is not None
    assert frame["open_time"].iloc[0] == pandas.Timestamp("2026-11-01T00:00:00Z")
    assert frame["trade_count"].sum() == sum(range(1, 91))


async def test_errors_say_what_is_wrong(world: MarketApi) -> None:
    await world.market.listed("AUSDT", START_MS)
    market = Market(world.api.url)
    with pytest.raises(UnknownSymbol, match="NOSUCH"):
        await asyncio.to_thread(market.candles, "NOSUCH")
    with pytest.raises(BadData, match="Input should be"):
        await asyncio.to_thread(lambda: market.candles("AUSDT", "7m"))  # type: ignore[call-overload]
    wrong = (
        "127.0.0.1:8000",
        "ftp://127.0.0.1",
        "http://",
        "http://127.0.0.1/?a=b",
        "http://a:99999",
        "http://[::1",
    )
    for url in wrong:
        with pytest.raises(ConfigError, match="give the address"):
            Market(url)


async def test_a_token_is_given_where_one_is_demanded(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("tokens") / "tokens"
    path.write_text(f"me read {'m' * 64}\n")
    tokens = Tokens(str(path))
    tokens.load()
    reader = StandInReader({"api_market.series": [(False, [], None, None, None)]})
    async with served(tokens=tokens, reader=reader) as api:
        with pytest.raises(ConfigError, match="token"):
            await asyncio.to_thread(Market(api.url).candles, "AUSDT")
        with pytest.raises(ConfigError, match="token"):
            await asyncio.to_thread(Market(api.url, "x" * 64).candles, "AUSDT")
        with pytest.raises(UnknownSymbol):
            await asyncio.to_thread(Market(api.url, "m" * 64 + "\n").candles, "AUSDT")  # as a file has it
        with pytest.raises(ConfigError, match=r"^token: (?!.*mm)"):
            Market(api.url, "m" * 32 + "\n" + "m" * 32)


def test_a_server_that_is_away_is_asked_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("src.client.asking.time.sleep", waits.append)
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1"):
        Market(f"http://127.0.0.1:{free_port()}").candles("AUSDT")
    assert waits == [0.5, 1.0, 2.0, 4.0]


async def test_another_server_is_told_from_an_api() -> None:
    async with raw_http() as other:
        with pytest.raises(ConfigError, match="not marketd's API"):
            await asyncio.to_thread(Market(f"http://127.0.0.1:{other.port}").candles, "AUSDT")


async def test_the_notebook_runs(world: MarketApi) -> None:
    """Its cells one after the other, in a process of their own, as a person would run them."""
    pytest.importorskip("pandas", reason="pandas is not installed")
    await world.market.store(plain("BTCUSDT", START_MS, 3 * 1440 + 60))
    world.market.keep()
    cells = [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] for cell in cells)
    code = "\n".join("".join(cell["source"]) for cell in cells)
    # A checkout is not installed: its package goes by the name that people import.
    alias = "import sys, src; sys.modules['marketd'] = src\n"
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        alias + code,
        cwd=ROOT,
        env={**os.environ, "MARKETD_URL": world.api.url, "POLARS_MAX_THREADS": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await asyncio.wait_for(child.communicate(), 120)
    assert child.returncode == 0, out.decode()
    assert "0 of 72 bars lack minutes" in out.decode()
    assert f"{3 * 1440 + 60}" in out.decode()


def test_the_client_needs_nothing_of_the_daemon() -> None:
    code = (
        "import sys, src.client;"
        "print(*sorted({name.split('.')[1] for name in sys.modules if name.startswith('src.')}));"
        "print(*(name for name in ('polars', 'fastapi', 'psycopg', 'pydantic') if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["client errors", ""]
