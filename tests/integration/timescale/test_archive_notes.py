"""What is written down about archive files, and which days count as compared."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date

import pytest

from src.adapters.timescale.history.archive_notes import ArchiveNoteStore
from src.adapters.timescale.ledger.days import start_of
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.sessions.shared import SharedSession
from src.model import ArchiveFile, Dataset, FileState, KnownFile, Span
from tests.support.archive_layout import PlainLayout

from .helpers import fetch

DAY = date(2026, 3, 12)
NOW_MS = 1_773_700_000_000
LAYOUT = PlainLayout()


@pytest.fixture
async def notes(database: str) -> AsyncIterator[ArchiveNoteStore]:
    session = SharedSession(DatabaseOptions(database), purpose="history")
    yield ArchiveNoteStore(session)
    await session.close()


def _file(day: date = DAY, span: Span = Span.DAILY, symbol: str = "BTCUSDT") -> ArchiveFile:
    return LAYOUT.file(Dataset.CANDLES, span, symbol, symbol, day)


async def _imported(url: str, file: ArchiveFile, sha256: str = "abc") -> None:
    await fetch(
        url,
        "INSERT INTO archive_files (exchange, path, dataset, symbol, span, first_day, state, sha256, imported_at)"
        " VALUES ('binance_futures_um', %s, 'candles_1m', %s, %s, %s, 'imported', %s, now())"
        " ON CONFLICT (exchange, path) DO UPDATE SET state = 'imported', sha256 = excluded.sha256",
        [file.path, file.symbol, file.span.value, file.first_day, sha256],
    )


async def _days(url: str, *days: tuple[str, date, int]) -> None:
    for symbol, day, have in days:
        await fetch(
            url,
            "INSERT INTO coverage_days (exchange, dataset, symbol, day, expected, have)"
            " VALUES ('binance_futures_um', 'candles_1m', %s, %s, 1440, %s)",
            [symbol, day, have],
        )


async def test_what_became_of_a_file_is_remembered(notes: ArchiveNoteStore) -> None:
    file = _file()
    await notes.note(file, FileState.MISSING, detail="404", now_ms=NOW_MS)
    assert await notes.known(Dataset.CANDLES, DAY, DAY) == [KnownFile(file, FileState.MISSING, "", NOW_MS)]
    await notes.note(file, FileState.QUARANTINED, detail="checksum\0", now_ms=NOW_MS + 1)
    assert await notes.known(Dataset.CANDLES, DAY, DAY) == [
        KnownFile(file, FileState.QUARANTINED, "", NOW_MS + 1)
    ]
    assert await notes.known(Dataset.CANDLES, date(2026, 3, 13), date(2026, 4, 1)) == []
    assert await notes.known(Dataset.METRICS, DAY, DAY) == []


async def test_an_imported_file_stays_imported(database: str, notes: ArchiveNoteStore) -> None:
    file = _file()
    await _imported(database, file)
    await notes.note(file, FileState.QUARANTINED, detail="a bad copy", now_ms=NOW_MS)
    [known] = await notes.known(Dataset.CANDLES, DAY, DAY)
    assert (known.state, known.sha256, known.published_ms) == (FileState.IMPORTED, "abc", None)


async def test_folders_of_another_name_are_told(database: str, notes: ArchiveNoteStore) -> None:
    for symbol, folder, onboard in (
        ("A", "A", 1),
        ("CTKUSDT", "CTKUSDTSETTLED", 2),
        ("CTKUSDT", "CTKUSDT", 3),
    ):
        await fetch(
            database,
            "INSERT INTO instruments (exchange, symbol, onboard_ts, contract_type, status, base, quote, archive_symbol,"
            " origin) VALUES ('binance_futures_um', %s, to_timestamp(%s), 'PERPETUAL', 'TRADING', '', 'USDT', %s,"
            " 'archive')",
            [symbol, onboard, folder],
        )
    assert await notes.folders() == {("CTKUSDT", 2000): "CTKUSDTSETTLED"}


async def test_complete_days_are_verified_newest_first_and_once(
    database: str, notes: ArchiveNoteStore
) -> None:
    older = date(2026, 3, 11)
    await _days(
        database,
        ("BTCUSDT", DAY, 1440),
        ("BTCUSDT", older, 1440),
        ("ETHUSDT", DAY, 1440),
        ("ETHUSDT", older, 1439),
        ("BTCUSDT", date(2026, 3, 13), 1440),
    )
    found = await notes.unverified(Dataset.CANDLES, DAY, 10)
    assert found == [("BTCUSDT", DAY), ("ETHUSDT", DAY), ("BTCUSDT", older)]
    assert await notes.unverified(Dataset.CANDLES, DAY, 1) == found[:1]
    await notes.verified([_file(), _file(older)])
    assert await notes.unverified(Dataset.CANDLES, DAY, 10) == [("ETHUSDT", DAY)]
    await notes.verified([])


async def test_days_whose_file_a_filling_imported_need_no_second_reading(
    database: str, notes: ArchiveNoteStore
) -> None:
    february = date(2026, 2, 10)
    await _days(database, ("BTCUSDT", DAY, 1440), ("BTCUSDT", february, 1440), ("ETHUSDT", february, 1440))
    await _imported(database, _file())
    await _imported(database, _file(february, Span.MONTHLY))
    assert await notes.unverified(Dataset.CANDLES, DAY, 10) == [("ETHUSDT", february)]


async def test_days_that_are_not_noted_yet_need_no_second_reading_either(
    database: str, notes: ArchiveNoteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A market's first filling imports more files than are noted at a time."""
    monkeypatch.setattr("src.adapters.timescale.history.archive_notes._ADOPT_AT_ONCE", 1)
    days = [date(2026, 3, number) for number in (8, 9, 10)]
    await _days(database, *(("BTCUSDT", day, 1440) for day in days), ("ETHUSDT", days[0], 1440))
    for day in days:
        await _imported(database, _file(day))
    for noted in (1, 2, 3):
        assert await notes.unverified(Dataset.CANDLES, DAY, 10) == [("ETHUSDT", days[0])]
        assert await fetch(database, "SELECT count(verified_at) FROM coverage_days") == [(noted,)]


@pytest.mark.parametrize("state", [FileState.MISSING, FileState.QUARANTINED])
async def test_days_without_a_usable_file_do_not_stand_in_the_way(
    database: str, notes: ArchiveNoteStore, state: FileState
) -> None:
    await _days(database, ("BTCUSDT", DAY, 1440))
    await notes.note(_file(), state, detail="", now_ms=NOW_MS)
    assert await notes.unverified(Dataset.CANDLES, DAY, 10) == []
    later = date(2026, 3, 20)
    again = await notes.unverified(Dataset.CANDLES, later, 10)
    assert again == ([("BTCUSDT", DAY)] if state is FileState.MISSING else [])


async def test_a_file_that_was_missing_again_and_again_is_asked_for_ever_more_seldom(
    database: str, notes: ArchiveNoteStore
) -> None:
    await _days(database, ("BTCUSDT", DAY, 1440))
    for _ in range(4):
        await notes.note(_file(), FileState.MISSING, detail="", now_ms=NOW_MS)
    asked_ms = start_of(date(2026, 3, 20))
    await fetch(database, "UPDATE archive_files SET checked_at = to_timestamp(%s)", [asked_ms // 1000])
    found = [
        bool(await notes.unverified(Dataset.CANDLES, date(2026, 3, number), 10)) for number in range(18, 25)
    ]
    assert found == [False, False, False, False, True, True, True]


async def test_the_listing_of_a_folder_is_read_once_a_week(database: str, notes: ArchiveNoteStore) -> None:
    file = _file()
    await _imported(database, file)
    await notes.folder_read(Dataset.CANDLES, "BTCUSDT", [(file, NOW_MS - 5), (_file(symbol="X"), 1)], NOW_MS)
    assert await notes.folders_read(Dataset.CANDLES, NOW_MS - 1) == {"BTCUSDT"}
    assert await notes.folders_read(Dataset.CANDLES, NOW_MS) == set()
    [known] = await notes.known(Dataset.CANDLES, DAY, DAY)
    assert known.published_ms == NOW_MS - 5
