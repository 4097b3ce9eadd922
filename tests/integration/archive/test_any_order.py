"""Files over whatever was stored before leave what the rank says (docs/adr/0003), and a ledger that counts it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from src.adapters.timescale.rows import winners
from src.model import DAY_MS, MINUTE_MS, Authority, Candle, Span
from tests.integration.timescale.helpers import as_tuple, fetch, opened, stored
from tests.support.zips import FIRST_MS

from .files import importer, list_symbol, local_file

_DAYS = 6
_MINUTES = range(0, _DAYS * 1440, 37)


def some(chance: random.Random, authority: Authority, share: float) -> Iterator[Candle]:
    """Candles of some minutes, with few different values, so that ranks are often equal."""
    source = {Authority.ARCHIVE: "binance_archive", Authority.FOREIGN: "other"}.get(authority, "binance_rest")
    for minute in _MINUTES:
        if chance.random() > share:
            continue
        trades = chance.choice([0, 0, 3, 4])
        yield Candle(
            symbol="BTCUSDT",
            open_ms=FIRST_MS + minute * MINUTE_MS,
            open=100.0,
            high=102.0,
            low=99.0,
            close=chance.choice([100.5, 101.0]),
            volume=float(trades),
            quote_volume=chance.choice([float(trades * 100), float(trades * 100), None]),
            trade_count=chance.choice([trades, trades, None]),
            taker_buy_volume=trades / 2,
            taker_buy_quote_volume=trades * 50.0,
            source=source,
            authority=authority,
        )


def as_csv(candles: list[Candle]) -> bytes:
    def cell(value: float | None) -> str:
        return "" if value is None else f"{value}"

    return "".join(
        f"{c.open_ms},{c.open},{c.high},{c.low},{c.close},{c.volume},{c.close_ms - 1},{cell(c.quote_volume)},"
        f"{cell(c.trade_count)},{cell(c.taker_buy_volume)},{cell(c.taker_buy_quote_volume)},0\n"
        for c in candles
    ).encode()


async def test_files_over_rows_and_rows_over_files(database: str, tmp_path: Path) -> None:
    chance = random.Random(7)
    await list_symbol(database, "BTCUSDT")
    before = [
        row for authority in (Authority.FOREIGN, Authority.STREAM) for row in some(chance, authority, 0.4)
    ]
    before = [row for row in before if row.open_ms < FIRST_MS + 3 * DAY_MS]  # three days are empty
    month = list(some(chance, Authority.ARCHIVE, 0.8))
    republished = list(some(chance, Authority.ARCHIVE, 0.8))
    after = list(some(chance, Authority.REST, 0.5))
    async with opened(database) as store, importer(database) as imports:
        await store.write(before, [])
        for content in (month, republished, republished):
            file = local_file(tmp_path, as_csv(content), span=Span.MONTHLY)
            await imports.import_file(file.file, file.path, file.sha256, force=True)
        await store.write(after, [])
    wanted = winners([*before, *month, *(replace(row, revision=1) for row in republished), *after])
    assert await stored(database) == [as_tuple(row) for row in wanted]
    counted = await fetch(database, "SELECT day, have FROM coverage_days WHERE have > 0 ORDER BY day")
    there = await fetch(
        database,
        "SELECT (bucket_ts AT TIME ZONE 'UTC')::date AS day, count(*) FROM candles_1m GROUP BY day ORDER BY day",
    )
    assert counted == there
