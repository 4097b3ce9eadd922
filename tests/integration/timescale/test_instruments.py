"""Listing intervals in the real table: halts, delistings, relistings, and what only the archive knows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date

import pytest

from src.adapters.timescale.instruments import NEVER_MS, InstrumentStore
from src.adapters.timescale.ledger.days import start_of
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.sessions.shared import SharedSession
from src.model import DAY_MS, MINUTE_MS, ContractStatus, Instrument, Listing

from .coverage import EXCHANGE, fill
from .helpers import fetch

DAY = date(2026, 10, 7)
NOW_MS = start_of(DAY)
OLD_MS = NOW_MS - 90 * DAY_MS
A = Instrument(
    symbol="AUSDT",
    base="A",
    quote="USDT",
    contract_type="PERPETUAL",
    status=ContractStatus.TRADING,
    onboard_ms=OLD_MS,
    delivery_ms=NEVER_MS,
    tick_size="0.10",
    step_size="0.001",
)
B = replace(A, symbol="BUSDT", base="B")


@pytest.fixture
async def store(database: str) -> AsyncIterator[InstrumentStore]:
    session = SharedSession(DatabaseOptions(database), purpose="ledger")
    yield InstrumentStore(session)
    await session.close()


async def record(store: InstrumentStore, *items: Instrument, now_ms: int = NOW_MS) -> list[Listing]:
    await store.record(items, {item.symbol for item in items}, now_ms)
    return await store.listings()


async def test_a_trading_contract_has_an_open_interval(database: str, store: InstrumentStore) -> None:
    for _ in range(2):
        assert await record(store, B, A) == [
            Listing("AUSDT", OLD_MS, NEVER_MS),
            Listing("BUSDT", OLD_MS, NEVER_MS),
        ]
    rows = await fetch(
        database,
        "SELECT exchange, contract_type, status, base, quote, delivery_ts, tick_size, step_size, archive_symbol,"
        " origin, end_ts = 'infinity' FROM instruments WHERE symbol = 'AUSDT'",
    )
    assert rows == [
        (EXCHANGE, "PERPETUAL", "TRADING", "A", "USDT", None, "0.10", "0.001", "AUSDT", "exchange_info", True)
    ]


async def test_reading_the_same_again_writes_nothing(database: str, store: InstrumentStore) -> None:
    await record(store, A, B)
    before = await fetch(database, "SELECT xmin::text, symbol FROM instruments ORDER BY symbol")
    await record(store, A, B)
    assert await fetch(database, "SELECT xmin::text, symbol FROM instruments ORDER BY symbol") == before


async def test_a_halt_keeps_the_interval_and_a_delivery_ends_it(store: InstrumentStore) -> None:
    await record(store, A)
    assert await record(store, replace(A, status=ContractStatus.SETTLING)) == [
        Listing("AUSDT", OLD_MS, NEVER_MS)
    ]
    ended = replace(A, status=ContractStatus.SETTLING, delivery_ms=NOW_MS + 1)
    assert await record(store, ended) == [Listing("AUSDT", OLD_MS, NOW_MS + MINUTE_MS)]
    assert await record(store, now_ms=NOW_MS + DAY_MS) == [Listing("AUSDT", OLD_MS, NOW_MS + MINUTE_MS)]


async def test_what_trades_has_not_ended_whatever_its_delivery_says(store: InstrumentStore) -> None:
    assert await record(store, replace(A, delivery_ms=NOW_MS - 1)) == [Listing("AUSDT", OLD_MS, NEVER_MS)]
    assert await record(store, replace(A, delivery_ms=0)) == [Listing("AUSDT", OLD_MS, NEVER_MS)]


async def test_a_listing_to_come_is_recorded_when_it_trades(store: InstrumentStore) -> None:
    coming = replace(A, status=ContractStatus.PENDING_TRADING, onboard_ms=NOW_MS + 61_000)
    assert await record(store, coming) == []
    assert await record(store, replace(coming, status=ContractStatus.TRADING)) == [
        Listing("AUSDT", NOW_MS + 60_000, NEVER_MS)
    ]


async def test_a_relisting_is_another_interval(store: InstrumentStore) -> None:
    await record(store, A)
    again = replace(A, onboard_ms=NOW_MS)
    assert await record(store, again) == [
        Listing("AUSDT", OLD_MS, NOW_MS),
        Listing("AUSDT", NOW_MS, NEVER_MS),
    ]
    third = replace(A, onboard_ms=NOW_MS + DAY_MS)
    assert [(item.onboard_ms, item.end_ms) for item in await record(store, third)] == [
        (OLD_MS, NOW_MS),
        (NOW_MS, NOW_MS + DAY_MS),
        (NOW_MS + DAY_MS, NEVER_MS),
    ]


async def test_who_vanishes_has_ended_and_comes_back_as_it_was(store: InstrumentStore) -> None:
    await record(store, A, B)
    found = await record(store, A, now_ms=NOW_MS + 1)
    assert found == [Listing("AUSDT", OLD_MS, NEVER_MS), Listing("BUSDT", OLD_MS, NOW_MS + MINUTE_MS)]
    assert await store.gone() == [(Listing("BUSDT", OLD_MS, NOW_MS + MINUTE_MS), "BUSDT")]
    await record(store, A, B, now_ms=NOW_MS + DAY_MS)
    assert await store.gone() == []
    assert (await store.listings())[1].end_ms == NEVER_MS


async def test_who_is_not_followed_any_more_has_not_ended(store: InstrumentStore) -> None:
    await record(store, A, B)
    await store.record([A], {"AUSDT", "BUSDT"}, NOW_MS)
    assert [item.end_ms for item in await store.listings()] == [NEVER_MS, NEVER_MS]


async def test_a_guessed_end_is_brought_forward(store: InstrumentStore) -> None:
    await record(store, B)
    await record(store, A)
    [(guessed, _)] = await store.gone()
    await store.end(guessed, NOW_MS - DAY_MS)
    assert await store.gone() == []
    assert (await store.listings())[1] == Listing("BUSDT", OLD_MS, NOW_MS - DAY_MS)


async def test_a_folder_is_recorded_once(database: str, store: InstrumentStore) -> None:
    await record(store, A)
    early = Listing("AUSDT", OLD_MS - 9 * DAY_MS, OLD_MS)
    for listing in (early, replace(early, onboard_ms=OLD_MS - 20 * DAY_MS)):
        await store.record_archived([(listing, "AUSDTSETTLED"), (Listing("CUSDT", 0, DAY_MS), "CUSDT")])
    assert await store.listings() == [early, Listing("AUSDT", OLD_MS, NEVER_MS), Listing("CUSDT", 0, DAY_MS)]
    assert await store.folders() == {"AUSDT", "AUSDTSETTLED", "CUSDT"}
    assert await fetch(
        database,
        "SELECT base, quote, origin, archive_symbol FROM instruments WHERE onboard_ts < %s",
        [date(2026, 7, 8)],
    ) == [("A", "USDT", "archive", "AUSDTSETTLED"), ("C", "USDT", "archive", "CUSDT")]


async def test_an_interval_gets_the_folder_that_its_files_were_moved_to(
    database: str, store: InstrumentStore
) -> None:
    await record(store, A)
    found = await record(store, replace(A, onboard_ms=NOW_MS))
    await store.record_archived([(found[0], "AUSDTSETTLED")])
    assert await store.listings() == found
    rows = await fetch(database, "SELECT archive_symbol, origin FROM instruments ORDER BY onboard_ts")
    assert rows == [("AUSDTSETTLED", "exchange_info"), ("AUSDT", "exchange_info")]
    # A reading of the venue's list says nothing of folders.
    await record(store, replace(A, onboard_ms=NOW_MS, tick_size="1"))
    assert await store.folders() == {"AUSDT", "AUSDTSETTLED"}


async def test_an_archived_interval_is_trimmed_to_its_rows_once_its_files_are_imported(
    database: str, store: InstrumentStore
) -> None:
    first, last = NOW_MS - 3 * DAY_MS, NOW_MS
    await store.record_archived([(Listing("AUSDT", first, last), "AUSDT")])
    begun, ended = first + 300 * MINUTE_MS, last - 200 * MINUTE_MS
    await fill(database, ["AUSDT"], begun, ended)
    assert await store.trim() == 0
    await imported(database, date(2026, 10, 4))
    assert await store.trim() == 1
    assert await store.listings() == [Listing("AUSDT", begun, last)]
    await imported(database, date(2026, 10, 1), span="monthly")
    assert await store.trim() == 1
    assert await store.trim() == 0
    assert await store.listings() == [Listing("AUSDT", begun, ended)]


async def test_a_living_interval_is_never_trimmed(database: str, store: InstrumentStore) -> None:
    await record(store, replace(A, onboard_ms=NOW_MS))
    await fill(database, ["AUSDT"], NOW_MS + 300 * MINUTE_MS, NOW_MS + 301 * MINUTE_MS)
    await imported(database, DAY)
    assert await store.trim() == 0


async def imported(url: str, day: date, span: str = "daily") -> None:
    await fetch(
        url,
        "INSERT INTO archive_files (exchange, path, dataset, symbol, span, first_day, state)"
        " VALUES (%s, %s, 'candles_1m', 'AUSDT', %s, %s, 'imported')",
        [EXCHANGE, f"{span}/{day}", span, day],
    )
