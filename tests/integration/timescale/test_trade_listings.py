"""A symbol that is listed again is another contract: its ids begin anew, and are accounted for by themselves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.sessions.shared import SharedSession
from src.adapters.timescale.trades.store import TradeStore
from src.model import DAY_MS, FIRST_LISTING_MS, MINUTE_MS, Trade, TradeResult

from .helpers import fetch, listed

START_MS = int(datetime(2026, 3, 1, tzinfo=UTC).timestamp()) * 1000
CUT_MS = START_MS + DAY_MS


@pytest.fixture
async def store(database: str) -> AsyncIterator[TradeStore]:
    store = TradeStore(SharedSession(DatabaseOptions(database), purpose="trades"))
    yield store
    await store.close()


def trade(number: int, from_ms: int = START_MS, symbol: str = "X") -> Trade:
    """One trade a second, number 0 at ``from_ms``."""
    return Trade(symbol, number, from_ms + number * 1000 + 7, 100.0 + number, 0.5, number % 2 == 0)


def trades(*numbers: int, from_ms: int = START_MS) -> list[Trade]:
    return [trade(number, from_ms) for number in numbers]


async def stored(url: str) -> list[Trade]:
    rows = await fetch(
        url,
        "SELECT symbol, trade_id, (extract(epoch FROM ts) * 1000)::bigint, price, quantity, is_buyer_maker"
        " FROM agg_trades ORDER BY symbol, ts, trade_id",
    )
    return [Trade(*row) for row in rows]


async def reaches(url: str) -> list[tuple[Any, ...]]:
    """Every line with trades: start of the listing, and both ends with their times."""
    return await fetch(
        url,
        "SELECT (extract(epoch FROM listing_ts) * 1000)::bigint, first_id, last_id,"
        " (extract(epoch FROM first_ts) * 1000)::bigint, (extract(epoch FROM last_ts) * 1000)::bigint"
        " FROM trade_reach WHERE first_id IS NOT NULL ORDER BY 1",
    )


async def gaps(url: str) -> list[tuple[Any, ...]]:
    """Every gap that is not filled: start of the listing, ids, and the times of the trades on both sides."""
    return await fetch(
        url,
        "SELECT (extract(epoch FROM listing_ts) * 1000)::bigint, first_id, last_id,"
        " (extract(epoch FROM after_ts) * 1000)::bigint, (extract(epoch FROM before_ts) * 1000)::bigint"
        " FROM trade_gaps WHERE state IN ('open', 'left', 'absent') ORDER BY 1, 2",
    )


async def delete(url: str, ids: Sequence[int], from_ms: int, to_ms: int) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(
            "DELETE FROM market_data.agg_trades WHERE trade_id = ANY(%s)"
            " AND ts >= to_timestamp(%s) AND ts < to_timestamp(%s)",
            [list(ids), from_ms / 1000, to_ms / 1000],
        )


async def test_trades_of_both_listings_live_side_by_side(store: TradeStore, database: str) -> None:
    await listed(database, "X", START_MS, CUT_MS)
    first, second = trades(1, 2, 3, 7), trades(1, 2, 5, 6, from_ms=CUT_MS)
    assert await store.write(first) == TradeResult(4, 0, gaps=3)
    assert await store.write(second) == TradeResult(4, 0, gaps=2)
    assert await store.write([*second, *first]) == TradeResult(0, 8)
    assert await stored(database) == [*first, *second]
    assert await reaches(database) == [
        (FIRST_LISTING_MS, 1, 7, first[0].ts_ms, first[-1].ts_ms),
        (CUT_MS, 1, 6, second[0].ts_ms, second[-1].ts_ms),
    ]
    found = await store.open_gaps(["X"], CUT_MS + DAY_MS, 10)
    assert [(gap.listing_ms, gap.first_id, gap.last_id) for gap in found] == [(CUT_MS, 3, 4), (0, 4, 6)]
    assert await fetch(database, "SELECT 1 FROM rejected_rows") == []


async def test_the_watermark_waits_for_the_earlier_listing(store: TradeStore, database: str) -> None:
    await listed(database, "X", START_MS, CUT_MS)
    await store.write([*trades(1, 2, 5), *trades(1, 2, 3, from_ms=CUT_MS)])
    assert await store.watermark(0) == {"X": (2, trade(2).ts_ms)}
    assert await store.watermark(CUT_MS) == {"X": (3, trade(3, CUT_MS).ts_ms)}
    await store.write(trades(3, 4))
    assert await store.watermark(0) == {"X": (3, trade(3, CUT_MS).ts_ms)}


async def test_a_listing_that_becomes_known_late_takes_its_trades_with_it(
    store: TradeStore, database: str
) -> None:
    """What its ids hid of the earlier one, and of itself, is missing then, and taken in."""
    await listed(database, "X", START_MS)
    first, second = trades(100, 101, 102, 105), trades(1, 2, 101, 104, from_ms=CUT_MS)
    await store.write(first)
    assert (await store.write(second)).differing == (second[2],), "id 101 is taken"
    await listed(database, "X", CUT_MS)
    await store.settle(["X"], 0)
    assert await reaches(database) == [
        (FIRST_LISTING_MS, 100, 105, first[0].ts_ms, first[-1].ts_ms),
        (CUT_MS, 1, 104, second[0].ts_ms, second[-1].ts_ms),
    ]
    assert [row[:3] for row in await gaps(database)] == [(0, 103, 104), (CUT_MS, 3, 103)]
    assert (await store.write([*second, trade(103), trade(104)])).inserted == 3
    assert [row[:3] for row in await gaps(database)] == [(CUT_MS, 3, 100), (CUT_MS, 102, 103)]


async def test_an_earlier_listing_that_becomes_known_leaves_the_gaps_as_they_were(
    store: TradeStore, database: str
) -> None:
    await listed(database, "X", CUT_MS)
    await store.write(trades(5, 6, 9, from_ms=CUT_MS))
    (gap,) = await store.open_gaps(["X"], CUT_MS, 10)
    await store.asked(gap, CUT_MS)
    await listed(database, "X", START_MS)
    assert (await store.write(trades(7, 8))).inserted == 2
    assert [row[:3] for row in await reaches(database)] == [(FIRST_LISTING_MS, 7, 8), (CUT_MS, 5, 9)]
    (moved,) = await store.open_gaps(["X"], CUT_MS + DAY_MS, 10)
    assert (moved.gap_id, moved.listing_ms, moved.attempts) == (gap.gap_id, CUT_MS, 1)


async def test_a_listing_that_moves_takes_its_trades_with_it(store: TradeStore, database: str) -> None:
    await listed(database, "X", START_MS, CUT_MS)
    second = trades(5, 6, 9, from_ms=CUT_MS + 600_000)
    await store.write([*trades(7, 8), *second])
    await fetch(
        database,
        "UPDATE instruments SET onboard_ts = onboard_ts + interval '5 minutes' WHERE onboard_ts = to_timestamp(%s)",
        [CUT_MS / 1000],
    )
    await store.settle(["X"], 0)
    moved = CUT_MS + 5 * MINUTE_MS
    assert [row[:3] for row in await reaches(database)] == [(FIRST_LISTING_MS, 7, 8), (moved, 5, 9)]
    assert [row[:3] for row in await gaps(database)] == [(moved, 7, 8)]
    assert await fetch(database, "SELECT count(*)::int FROM trade_reach") == [(2,)]


async def test_lines_of_the_release_before_are_cut_too(store: TradeStore, database: str) -> None:
    """They do not say how old and how new their trades are; what is at both ends has to do."""
    await listed(database, "X", START_MS)
    first, second = trades(100, 101, 105), trades(1, 2, 99, from_ms=CUT_MS)
    await store.write([*first, *second])
    await fetch(database, "UPDATE trade_reach SET oldest_ts = NULL, newest_ts = NULL")
    await listed(database, "X", CUT_MS)
    assert (await store.write([*first, *second])) == TradeResult(0, 6)
    assert [row[:3] for row in await reaches(database)] == [(FIRST_LISTING_MS, 100, 105), (CUT_MS, 1, 99)]
    assert [row[:3] for row in await gaps(database)] == [(0, 102, 104), (CUT_MS, 3, 98)]


async def test_a_listing_may_become_known_while_several_write(database: str) -> None:
    stores = [TradeStore(SharedSession(DatabaseOptions(database), purpose="trades")) for _ in range(3)]
    await listed(database, "X", START_MS)
    rows = [*trades(*range(100, 160)), *trades(*range(1, 60), from_ms=CUT_MS)]
    batches = [rows[at : at + 15] for at in range(0, len(rows), 10)]
    writing = [stores[at % 3].write(batch) for at, batch in enumerate(batches)]
    await asyncio.gather(*writing[::2], listed(database, "X", CUT_MS), *writing[1::2])
    for one in stores:
        await one.settle(["X"], 0)
        await one.close()
    assert await stored(database) == sorted(rows, key=lambda one: one.ts_ms)
    assert [row[:3] for row in await reaches(database)] == [(FIRST_LISTING_MS, 100, 159), (CUT_MS, 1, 59)]
    assert await gaps(database) == []


async def test_listings_have_their_folders_and_their_times(store: TradeStore, database: str) -> None:
    await listed(database, "X", START_MS, CUT_MS)
    await fetch(
        database,
        "UPDATE instruments SET archive_symbol = 'XSETTLED', end_ts = onboard_ts + interval '1 hour'"
        " WHERE onboard_ts = to_timestamp(%s)",
        [START_MS / 1000],
    )
    found = await store.listings(["X", "Y"])
    assert [(one.start_ms, one.folder) for one in found["X"]] == [
        (FIRST_LISTING_MS, "XSETTLED"),
        (CUT_MS, "X"),
    ]
    assert found["X"][0].end_ms == START_MS + 3_600_000
    assert [(one.start_ms, one.folder) for one in found["Y"]] == [(FIRST_LISTING_MS, "Y")]


async def test_files_of_the_other_listing_prove_nothing(store: TradeStore, database: str) -> None:
    """The month that holds both has two files, in two folders."""
    await listed(database, "X", START_MS, CUT_MS)
    await fetch(
        database,
        "UPDATE instruments SET archive_symbol = 'XSETTLED', end_ts = onboard_ts + interval '1 hour'"
        " WHERE onboard_ts = to_timestamp(%s)",
        [START_MS / 1000],
    )
    await store.write([*trades(1, 4), *trades(1, 4, from_ms=CUT_MS)])
    for folder, left in (("X", [FIRST_LISTING_MS]), ("XSETTLED", [])):
        for span, label, state in (
            ("monthly", "2026-03", "imported"),
            ("daily", "2026-03-01", "missing"),
            ("daily", "2026-03-02", "missing"),
        ):
            await fetch(
                database,
                "INSERT INTO archive_files (exchange, path, dataset, symbol, span, first_day, state)"
                " VALUES ('binance_futures_um', %s, 'agg_trades', 'X', %s, %s, %s)",
                [
                    f"data/futures/um/{span}/aggTrades/{folder}/{folder}-aggTrades-{label}.zip",
                    span,
                    f"{label}-01"[:10],
                    state,
                ],
            )
        assert await store.settle(["X"], 0) == 1
        assert [gap.listing_ms for gap in await store.open_gaps(["X"], CUT_MS + DAY_MS, 10)] == left


async def test_what_was_deleted_is_a_gap_and_its_file_is_to_be_imported_again(
    store: TradeStore, database: str
) -> None:
    await store.write(trades(*range(1, 21)))
    await fetch(
        database,
        "INSERT INTO archive_files (exchange, path, dataset, symbol, span, first_day, state)"
        " VALUES ('binance_futures_um', 'a/X/1', 'agg_trades', 'X', 'daily', '2026-03-01', 'imported'),"
        " ('binance_futures_um', 'a/X/2', 'agg_trades', 'X', 'monthly', '2026-03-01', 'imported'),"
        " ('binance_futures_um', 'a/X/3', 'agg_trades', 'X', 'daily', '2026-03-02', 'imported'),"
        " ('binance_futures_um', 'a/Y/4', 'agg_trades', 'Y', 'daily', '2026-03-01', 'imported')",
    )
    await delete(database, [5, 6, 7, 12], 0, CUT_MS)
    assert await gaps(database) == [
        (FIRST_LISTING_MS, 5, 7, trade(4).ts_ms, trade(8).ts_ms),
        (FIRST_LISTING_MS, 12, 12, trade(11).ts_ms, trade(13).ts_ms),
    ]
    assert await store.settle(["X"], 0) == 0, "files that were imported before prove nothing"
    assert await fetch(database, "SELECT path FROM archive_files WHERE state = 'listed' ORDER BY 1") == [
        ("a/X/1",),
        ("a/X/2",),
    ]
    await delete(database, [8, 9, 20], 0, CUT_MS)
    assert [row[1:3] for row in await gaps(database)] == [(5, 9), (12, 12)]
    assert [row[1:3] for row in await reaches(database)] == [(1, 19)]
    assert (await store.write(trades(*range(1, 21)))).inserted == 7
    assert await gaps(database) == []
    assert [row[1:3] for row in await reaches(database)] == [(1, 20)]


async def test_when_all_is_deleted_nothing_is_believed(store: TradeStore, database: str) -> None:
    await listed(database, "X", START_MS, CUT_MS)
    both = [*trades(1, 2, 5), *trades(1, 2, 5, from_ms=CUT_MS)]
    await store.write(both)
    await delete(database, range(10), START_MS, CUT_MS)
    assert [row[:3] for row in await reaches(database)] == [(CUT_MS, 1, 5)]
    assert [row[:3] for row in await gaps(database)] == [(CUT_MS, 3, 4)]
    await fetch(database, "TRUNCATE agg_trades")
    assert (await reaches(database), await gaps(database)) == ([], [])
    assert (await store.write(both)).inserted == 6
