"""Bars that somebody else made of the same rows and published."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from src.analysis.bars.advance import advance
from src.analysis.bars.dtypes import CANDLE, TRADE, Recipe, Records, new_state, records

_FIELDS = ("open", "high", "low", "close", "volume")


def _published(path: Path) -> Records:
    frame = pl.read_ipc(path)
    columns = {name: frame[name].to_numpy() for name in _FIELDS}
    return records(CANDLE, open_ts=frame["date"].dt.epoch("ms").to_numpy(), **columns)


def _rounded(bars: Records, places: int) -> list[tuple[float, ...]]:
    """Volumes as published: rounded to the contract's step, which float sums miss by a billionth at most."""
    assert all(abs(volume - round(volume, places)) < 1e-9 * volume for volume in bars["volume"].tolist())
    volumes = [round(volume, places) for volume in bars["volume"].tolist()]
    return list(
        zip(bars["open_ts"].tolist(), *(bars[name].tolist() for name in _FIELDS[:4]), volumes, strict=True)
    )


def _exactly(rows: Records) -> list[tuple[float, ...]]:
    return list(zip(rows["open_ts"].tolist(), *(rows[name].tolist() for name in _FIELDS), strict=True))


@pytest.mark.parametrize("minutes", [1, 5])
def test_bars_of_real_trades_are_those_that_were_published(market_data: Path, minutes: int) -> None:
    folder = market_data / "trades"
    told = json.loads(gzip.decompress((folder / "XRPETH-aggTrades.json.gz").read_bytes()))
    trades = np.array([(row[0], int(row[1]), row[4], row[5], row[3] == "sell") for row in told], TRADE)
    wanted = _published(folder / f"XRPETH-{minutes}m-expected.feather")
    state = new_state(Recipe.TIME_OF_TRADES, minutes * 60_000)
    bars, state = advance(state, trades, until_ms=int(trades["ts"][-1]) + 300_000)
    # Whole coins: their sums are exact.
    assert _exactly(bars) == _exactly(wanted)
    assert int(bars["trade_count"].sum()) == len(trades) == 12_477
    assert (state["backward_trades"][0], state["skipped_ids"][0]) == (0, 0)


def test_five_minutes_of_real_minutes_are_those_that_were_published(market_data: Path) -> None:
    minutes = _published(market_data / "ohlcv_1m" / "BTCUSDT-1m.feather")
    wanted = _published(market_data / "ohlcv_1m" / "BTCUSDT-5m.feather")
    bars, _ = advance(new_state(Recipe.TIME_OF_CANDLES, 300_000), minutes)
    # The minutes begin in the middle of a bar, and the published bars with the next one.
    bars = bars[bars["open_ts"] >= wanted["open_ts"][0]]
    assert _rounded(bars, 3) == _exactly(wanted)
    assert np.isnan(bars["quote_volume"]).all()
    assert set(bars["trade_count"].tolist()) == {-1}
