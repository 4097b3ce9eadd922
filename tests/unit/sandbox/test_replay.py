"""Real months come back digit for digit, shifted by whole days."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from src.sandbox.market.candles import MINUTE_MS
from src.sandbox.market.replay import DAY_MS, load
from src.sandbox.options import SandboxOptions
from src.sandbox.venue import Venue

NOW_MS = 1_795_207_268_495
PATTERN = "*-2026-02.csv.gz"
HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,"
    "taker_buy_quote_volume,ignore\n"
)


def rows_of(path: Path) -> list[list[str]]:
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    return [line.split(",") for line in lines if line[0].isdigit()]


def test_every_row_of_the_real_months_is_passed_through(market_data: Path) -> None:
    folder = market_data / "klines_1m"
    replay = load(folder, pattern=PATTERN, start_ms=NOW_MS, offset_s=None)
    assert len(replay.months) == 7
    compared = 0
    for path in sorted(folder.glob(PATTERN)):
        symbol = path.name.split("-")[0]
        for cells in rows_of(path):
            minute = (int(cells[0]) + replay.shift_ms) // MINUTE_MS
            row = replay.kline(symbol, minute)
            assert row is not None
            shifted = [str(int(cells[0]) + replay.shift_ms), *cells[1:6]]
            shifted += [str(int(cells[6]) + replay.shift_ms), *cells[7:]]
            assert list(map(str, row)) == shifted
            compared += 1
    assert compared == 282_240


def test_the_default_shift_leaves_8_to_32_hours(market_data: Path) -> None:
    folder = market_data / "klines_1m"
    for hours in range(0, 48, 5):
        start = NOW_MS + hours * 3_600_000
        replay = load(folder, pattern="ALGO*2026-02*", start_ms=start, offset_s=None)
        _, end = replay.bounds("ALGOUSDT")
        assert replay.shift_ms % DAY_MS == 0
        assert 8 <= (end * MINUTE_MS - start) / 3_600_000 <= 32


def test_an_offset_chooses_the_shift(market_data: Path) -> None:
    first = 1_769_904_000_000  # 2026-02-01
    offset = 27 * 86_400 + 18 * 3_600
    replay = load(market_data / "klines_1m", pattern=PATTERN, start_ms=first + offset * 1000, offset_s=offset)
    assert replay.shift_ms == 0
    assert replay.bounds("LTCUSDT") == (first // MINUTE_MS, first // MINUTE_MS + 40_320)


def write(folder: Path, name: str, first: int, minutes: list[int], *, header: bool = True) -> None:
    lines = [
        f"{(first + minute) * MINUTE_MS},1.50,2.0,1.0,1.75,10,{(first + minute + 1) * MINUTE_MS - 1},15.5,"
        f"{3 if minute else 0},4,6.5,0\n"
        for minute in minutes
    ]
    (folder / name).write_text((HEADER if header else "") + "".join(lines), encoding="ascii")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, "AUSDT-1m-2024-01.csv", 29_000_160, [0, 1, 2, 4, 5], header=False)
    write(tmp_path, "AUSDT-1m-2024-03.csv", 29_086_560, [0, 1])
    return tmp_path


def test_minutes_outside_the_files_have_no_rows(folder: Path) -> None:
    start_ms = 29_086_560 * MINUTE_MS
    venue = Venue(SandboxOptions(symbols=2, data_dir=folder, replay_offset_s=0, start_ms=start_ms, speed=1))
    assert venue.replay.shift_ms == 0
    ours = venue.universe.find("AUSDT")
    assert ours.info["status"] == "TRADING"
    assert ours.info["onboardDate"] == 29_000_160 * MINUTE_MS
    assert ours.info["filters"][0]["tickSize"] == "0.01"
    there = [minute for minute in range(29_000_150, 29_086_570) if venue.kline(ours, minute)]
    assert there == [*(29_000_160 + one for one in (0, 1, 2, 4, 5)), 29_086_560, 29_086_561]
    assert [row.open_time // MINUTE_MS for row in venue.truth("AUSDT", 0, start_ms)] == there[:5]


def test_a_minute_without_trades_is_not_pushed_but_is_a_row(folder: Path) -> None:
    venue = Venue(
        SandboxOptions(symbols=0, data_dir=folder, replay_offset_s=0, start_ms=29_086_600 * MINUTE_MS)
    )
    ours = venue.universe.find("AUSDT")
    assert venue.frames(ours, 29_086_560) is None
    assert venue.frames(ours, 29_086_561) is not None
    row = venue.kline(ours, 29_086_560)
    assert row is not None
    assert row.open == "1.50"
    assert row.trade_count == 0


def test_what_cannot_be_replayed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no file matches \*\.csv"):
        load(tmp_path, pattern="*.csv", start_ms=NOW_MS, offset_s=None)
    (tmp_path / "AUSDT-1m-2024-01.csv").write_text("1704067200000,1,2,3\n")
    with pytest.raises(ValueError, match="not twelve columns"):
        load(tmp_path, pattern="*.csv", start_ms=NOW_MS, offset_s=None)


def test_a_month_that_is_over_is_there_at_its_true_dates_too(folder: Path) -> None:
    first = 29_000_160
    replay = load(folder, pattern="*.csv", start_ms=(first + 100) * MINUTE_MS, offset_s=86_400)
    shift = replay.shift_ms // MINUTE_MS
    assert shift < 0, "the newer month is moved back, to before the start"
    assert [month.first for month in replay.true["AUSDT"]] == [first]
    spans = replay.all_spans("AUSDT")
    assert (first, first + 6) in spans
    assert (first + shift, first + shift + 6) in spans
    row = replay.kline("AUSDT", first)
    assert row is not None
    assert row.open_time == first * MINUTE_MS


def test_the_true_row_stands_where_a_shifted_one_lies_over_it(folder: Path) -> None:
    first = 29_000_160
    replay = load(folder, pattern="*.csv", start_ms=(first + 100) * MINUTE_MS, offset_s=86_400)
    replay.shift_ms = 3 * MINUTE_MS
    assert replay.all_spans("AUSDT")[:2] == [(first, first + 6), (first + 6, first + 9)]
    found = [replay.kline("AUSDT", first + minute) for minute in range(9)]
    assert [row and row.trade_count for row in found] == [0, 3, 3, 0, 3, 3, None, 3, 3]
