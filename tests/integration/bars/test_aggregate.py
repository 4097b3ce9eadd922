"""``marketd aggregate`` as it is called: in a process of its own, with progress, against the real database."""

from __future__ import annotations

import asyncio
import json

import pytest

from src.cli import main
from src.errors import EXIT_OK
from src.model import Trade
from tests.integration.timescale.helpers import fetch

from .world import Market, plain

START_MS = 1_760_054_400_000  # midnight


@pytest.fixture
def market(database: str, monkeypatch: pytest.MonkeyPatch) -> Market:
    monkeypatch.setenv("DATABASE_URL", database)
    market = Market(database, "binance_futures_um")
    trades = [Trade("XUSDT", n, START_MS + n * 1000, 2.0, 0.5, n % 2 == 0) for n in range(100)]

    async def fill() -> None:
        await market.listed("XUSDT", START_MS)
        await market.store(plain("XUSDT", START_MS, 40))
        await market.trade(trades)

    asyncio.run(fill())
    return market


def test_any_interval_of_candles_and_any_kind_of_trades(
    market: Market, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["aggregate", "XUSDT", "7m"]) == EXIT_OK
    said = capsys.readouterr()
    assert "6 time bars of 7 min, XUSDT, up to 2025-10-10 00:37:00 UTC" in said.out
    assert "100%" in said.err
    assert main(["aggregate", "XUSDT", "20", "--kind", "dollar", "--json"]) == EXIT_OK
    made = json.loads(capsys.readouterr().out)
    assert (made["kind"], made["bars"], made["trades"]) == ("dollar", 5, 100)
    assert made["to_ms"] == START_MS + 99_000
    counted = asyncio.run(
        fetch(market.url, "SELECT kind, count(*) FROM bars WHERE size NOT IN (300000, 900000) GROUP BY 1")
    )
    assert dict(counted) == {"time": 6, "dollar": 5}


def test_what_cannot_be_ends_with_one_line(market: Market, capsys: pytest.CaptureFixture[str]) -> None:
    for line, expected in (
        (["aggregate", "XUSDT", "seven"], "'seven' is not an interval"),
        (["aggregate", "YUSDT", "7m"], "no candles of YUSDT"),
        (["aggregate", "XUSDT", "10", "--kind", "tick", "--exchange", "binance_spot"], "no trades of XUSDT"),
    ):
        assert main(line) == 1
        said = capsys.readouterr()
        assert expected in said.err.splitlines()[-1]
        assert said.out == ""
