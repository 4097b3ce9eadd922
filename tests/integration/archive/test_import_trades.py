"""Files of trades into a real database: one row an id, whatever came before, and nothing that is not accounted for."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from src.adapters.binance.archive.paths import SPOT_ROOT, BinanceLayout, file_name, member_name
from src.adapters.timescale.importing.importer import ArchiveImports, ImporterOptions
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.sessions.shared import SharedSession
from src.adapters.timescale.trades.store import TradeStore
from src.errors import BadData
from src.model import DAY_MS, FIRST_LISTING_MS, ArchiveFile, Dataset, Span, Trade, WriteResult
from src.telemetry.metrics import Metrics
from tests.integration.timescale.helpers import fetch, listed
from tests.support.trade_files import FIRST_MS, futures_text, sample, spot_text
from tests.support.zips import zipped

from .files import importer

DAY = date(2026, 2, 1)
TRADES = [sample(number) for number in range(1000)]


@pytest.fixture
async def store(database: str) -> AsyncIterator[TradeStore]:
    store = TradeStore(SharedSession(DatabaseOptions(database), purpose="trades"))
    yield store
    await store.close()


def published(folder: Path, text: bytes, *, root: str | None = None) -> tuple[ArchiveFile, Path, str]:
    layout = BinanceLayout() if root is None else BinanceLayout(root)
    file = layout.file(Dataset.TRADES, Span.DAILY, "BTCUSDT", "BTCUSDT", DAY)
    data = zipped({member_name(file): text})
    path = folder / file_name(file)
    path.write_bytes(data)
    return file, path, hashlib.sha256(data).hexdigest()


async def stored(url: str, symbol: str = "BTCUSDT") -> list[Trade]:
    rows = await fetch(
        url,
        "SELECT symbol, trade_id, (extract(epoch FROM ts) * 1000)::bigint, price, quantity, is_buyer_maker"
        " FROM agg_trades WHERE symbol = %s ORDER BY trade_id",
        [symbol],
    )
    return [Trade(*row) for row in rows]


async def known(url: str) -> list[tuple[Any, ...]]:
    return await fetch(url, "SELECT state, file_rows, revision FROM archive_files")


def count(metrics: Metrics, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(f"marketd_{name}_total", labels) or 0.0


async def test_a_day_in_pieces_is_stored_to_the_digit_and_once(
    database: str, tmp_path: Path, store: TradeStore
) -> None:
    file = published(tmp_path, futures_text(TRADES))
    metrics = Metrics()
    async with importer(database, metrics) as imports:
        assert await imports.import_trades(*file, piece_rows=150) == WriteResult(1000, 0, 0)
        assert await imports.import_trades(*file) == WriteResult(0, 0, 1000)
    assert await stored(database) == TRADES
    assert await known(database) == [("imported", 1000, 0)]
    assert count(metrics, "archive_imports", kind="same") == 1
    reach = (await store.reach())["BTCUSDT", FIRST_LISTING_MS]
    assert (reach.first_id, reach.last_id, reach.last_ms) == (5000, 5999, TRADES[-1].ts_ms)
    assert await fetch(database, "SELECT 1 FROM trade_gaps") == []


async def test_what_is_stored_is_compared_and_gaps_are_filled(
    database: str, tmp_path: Path, store: TradeStore
) -> None:
    other = replace(TRADES[300], price=1.0)
    await store.write([*TRADES[250:300], other, *TRADES[400:410], *TRADES[990:]])
    file = published(tmp_path, futures_text(TRADES))
    metrics = Metrics()
    async with importer(database, metrics) as imports:
        result = await imports.import_trades(*file, piece_rows=333)
    assert result == WriteResult(929, 0, 71)
    assert await stored(database) == [*TRADES[:300], other, *TRADES[301:]]
    assert await store.open_gaps(["BTCUSDT"], TRADES[-1].ts_ms, 10) == []
    assert count(metrics, "trades_rejected", reason="trade_differs") == 1
    assert await fetch(database, "SELECT reason, raw_row FROM rejected_rows") == [
        ("trade_differs", f"5300,{TRADES[300].price},{TRADES[300].quantity},{TRADES[300].ts_ms},True")
    ]


async def test_ids_that_the_file_lacks_are_absent_once_it_is_imported(
    database: str, tmp_path: Path, store: TradeStore
) -> None:
    file = published(tmp_path, futures_text([*TRADES[:100], *TRADES[120:]]))
    async with importer(database) as imports:
        await imports.import_trades(*file, percentage=50)
        assert await known(database) == [], "half of a file proves nothing"
        assert await store.settle(["BTCUSDT"], 0) == 0
        await imports.import_trades(*file)
    assert await store.settle(["BTCUSDT"], 0) == 1
    assert await fetch(database, "SELECT first_id, last_id, state FROM trade_gaps") == [
        (5100, 5119, "absent")
    ]
    assert (await store.watermark(0))["BTCUSDT"] == (5999, TRADES[-1].ts_ms)


async def test_a_file_of_a_person_is_taken_as_it_is_named_and_not_noted(
    database: str, tmp_path: Path
) -> None:
    path = tmp_path / "my trades.csv"
    path.write_bytes(futures_text(TRADES, header=False))
    file = ArchiveFile(path.name, Dataset.TRADES, "BTCUSDT", Span.DAILY, DAY)
    async with importer(database) as imports:
        result = await imports.import_trades(file, path, "", percentage=25, piece_rows=100)
    assert 240 <= result.inserted <= 260
    assert await stored(database) == TRADES[: result.inserted]
    assert await known(database) == []


async def test_spot_is_another_exchange_and_floored_to_milliseconds(database: str, tmp_path: Path) -> None:
    file = published(tmp_path, spot_text(TRADES), root=SPOT_ROOT)
    options = DatabaseOptions(database, exchange="binance_spot")
    imports = ArchiveImports(options, ImporterOptions(workers=1), Metrics())
    try:
        assert (await imports.import_trades(*file)).inserted == 1000
    finally:
        await imports.close()
    assert await stored(database) == TRADES
    assert await fetch(database, "SELECT DISTINCT exchange FROM agg_trades") == [("binance_spot",)]


async def test_a_damaged_end_leaves_what_came_before_accounted_for(
    database: str, tmp_path: Path, store: TradeStore
) -> None:
    path = tmp_path / "cut.csv"
    path.write_bytes(
        futures_text(TRADES[:500]) + b"one line,without\n" + futures_text(TRADES[500:], header=False)
    )
    whole, zip_path, sha256 = published(tmp_path, path.read_bytes())
    zip_path.write_bytes(zip_path.read_bytes()[:-30])
    async with importer(database) as imports:
        with pytest.raises(BadData) as caught:
            await imports.import_trades(whole, zip_path, sha256, piece_rows=100)
        assert caught.value.reason == "bad_zip"
        assert await stored(database) == []
        file = replace(whole, path=path.name)
        assert (await imports.import_trades(file, path, "", piece_rows=100)).inserted == 1000
    assert await fetch(database, "SELECT reason FROM rejected_rows") == [("columns",)]
    assert (await store.reach())["BTCUSDT", FIRST_LISTING_MS].last_id == 5999


async def test_real_trades_are_stored_as_they_were(
    database: str, tmp_path: Path, market_data: Path, store: TradeStore
) -> None:
    rows = json.loads(gzip.decompress((market_data / "trades" / "XRPETH-aggTrades.json.gz").read_bytes()))
    wanted = {
        int(row[1]): Trade("XRPETH", int(row[1]), row[0], row[4], row[5], row[3] == "sell") for row in rows
    }
    path = tmp_path / "XRPETH-aggTrades-2019-10.csv"
    path.write_bytes(futures_text(wanted.values(), header=False))
    file = ArchiveFile(path.name, Dataset.TRADES, "XRPETH", Span.MONTHLY, date(2019, 10, 1))
    async with importer(database) as imports:
        result = await imports.import_trades(file, path, "", piece_rows=1000)
    assert result.inserted == len(wanted) > 12_000
    assert await stored(database, "XRPETH") == [wanted[number] for number in sorted(wanted)]
    missing = await fetch(
        database, "SELECT coalesce(sum(last_id - first_id + 1), 0) FROM trade_gaps WHERE state = 'open'"
    )
    assert int(missing[0][0]) == max(wanted) - min(wanted) + 1 - len(wanted)


async def test_a_month_that_holds_two_listings_is_split_where_the_later_one_begins(
    database: str, tmp_path: Path, store: TradeStore
) -> None:
    """Both contracts have the ids 5000 to 5099; the file is in order of ids, as nobody promises that it is of time."""
    cut_ms = FIRST_MS + 10 * DAY_MS
    await listed(database, "BTCUSDT", FIRST_MS - DAY_MS, cut_ms)
    first = TRADES[:100]
    second = [
        replace(trade, ts_ms=trade.ts_ms + 10 * DAY_MS, price=trade.price + 1)
        for trade in [*first[:40], *first[45:]]
    ]
    wrong = replace(second[7], quantity=9.0)
    await store.write([*first[50:60], wrong])
    rows = sorted([*first, *second, second[3]], key=lambda trade: trade.trade_id)
    layout = BinanceLayout()
    file = layout.file(Dataset.TRADES, Span.MONTHLY, "BTCUSDT", "BTCUSDT", DAY)
    data = zipped({member_name(file): futures_text(rows)})
    path = tmp_path / file_name(file)
    path.write_bytes(data)
    metrics = Metrics()
    async with importer(database, metrics) as imports:
        result = await imports.import_trades(file, path, hashlib.sha256(data).hexdigest(), piece_rows=30)
    assert result.inserted == 100 + 95 - 11
    expected = sorted([*first, *(wrong if one is second[7] else one for one in second)], key=_by_time)
    assert sorted(await stored(database), key=_by_time) == expected
    reach = await store.reach()
    assert [(key[1], one.first_id, one.last_id) for key, one in reach.items()] == [
        (FIRST_LISTING_MS, 5000, 5099),
        (cut_ms, 5000, 5099),
    ]
    (gap,) = await store.open_gaps(["BTCUSDT"], cut_ms + DAY_MS, 10)
    assert (gap.listing_ms, gap.first_id, gap.last_id) == (cut_ms, 5040, 5044)
    assert count(metrics, "trades_rejected", reason="trade_differs") == 1
    assert count(metrics, "trades_repeated", source="archive") == 11


async def test_a_file_whose_trades_were_deleted_is_imported_again(
    database: str, tmp_path: Path, store: TradeStore
) -> None:
    file = published(tmp_path, futures_text(TRADES))
    async with importer(database) as imports:
        await imports.import_trades(*file)
        await fetch(
            database, "DELETE FROM agg_trades WHERE trade_id BETWEEN 5100 AND 5199 OR trade_id > 5990"
        )
        assert await store.settle(["BTCUSDT"], 0) == 0, "the file has them: they are not absent"
        assert await imports.import_trades(*file) == WriteResult(109, 0, 891)
    assert await stored(database) == TRADES
    assert await store.open_gaps(["BTCUSDT"], TRADES[-1].ts_ms, 10) == []
    assert await known(database) == [("imported", 1000, 0)]


def _by_time(trade: Trade) -> tuple[int, int]:
    return (trade.ts_ms, trade.trade_id)
