"""Filling: from every state of the database to all that can be had, and honest about the rest."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from src.collectors.backfill.plan import Source
from src.errors import Misconfigured, Permanent, Unavailable
from src.model import DAY_MS, MINUTE_MS, FileState, Listing
from src.ports import Priority
from tests.support.fakes import count
from tests.support.history_world import start_of
from tests.unit.backfill.world import FIRST, GONE, LIVE, NOW_MS, OLD, TODAY, daily, make_parts, names, scope


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("src.collectors.backfill.campaign._BASE", 0.001)
    monkeypatch.setattr("src.collectors.backfill.campaign._CAP", 0.002)


async def test_an_empty_database_is_filled_and_a_full_one_is_left_alone(tmp_path: Path) -> None:
    parts = make_parts(tmp_path, [LIVE, GONE])
    result = await parts.fill(scope(FIRST))
    assert parts.missing == []
    assert (result.left, result.looked, result.stopped) == (0, [], False)
    assert all(parts.world.expects(key) for key in parts.world.stored)
    assert {(request[3]) for request in parts.world.requests} == {Priority.HISTORY}
    fetched, asked = len(parts.world.fetched), len(parts.world.requests)
    await parts.fill(scope(FIRST))
    assert (len(parts.world.fetched), len(parts.world.requests)) == (fetched, asked)
    assert names(tmp_path) == []


async def test_files_are_not_looked_through_where_nothing_is_missing(tmp_path: Path) -> None:
    parts = make_parts(tmp_path, [LIVE])
    await parts.fill(scope(FIRST))
    parts.world.errors = {"known": [Misconfigured("looked through")]}
    await parts.fill(scope(FIRST))
    assert parts.missing == []


async def test_holes_are_asked_exactly_and_nothing_else(tmp_path: Path) -> None:
    parts = make_parts(tmp_path, [LIVE, GONE])
    await parts.fill(scope(FIRST))
    parts.world.requests.clear()
    parts.world.fetched.clear()
    holes = [start_of(OLD) + n * MINUTE_MS for n in (3, 4, 90, 500, 1439)]
    for ms in holes:
        del parts.world.stored["BTCUSDT", ms]
    await parts.fill(scope(FIRST))
    assert parts.missing == []
    assert parts.world.fetched == []
    asked = sorted((from_ms, to_ms) for _, from_ms, to_ms, _ in parts.world.requests)
    assert asked == [
        (holes[0], holes[2] + MINUTE_MS),
        (holes[3], holes[3] + MINUTE_MS),
        (holes[4], holes[4] + MINUTE_MS),
    ]


async def test_a_bad_file_is_put_aside_and_rest_gives_the_rows(tmp_path: Path) -> None:
    parts = make_parts(tmp_path, [LIVE])
    parts.world.damaged.add(daily(OLD))
    await parts.fill(scope(FIRST))
    assert parts.missing == []
    assert parts.world.files_known[daily(OLD)].state is FileState.QUARANTINED
    assert parts.world.fetched.count(daily(OLD)) == 1
    assert count(parts.metrics, "backfill_tasks_total", kind="daily", result="quarantined") == 1
    assert parts.progress.quarantined == 1
    await parts.fill(scope(FIRST))
    assert parts.world.fetched.count(daily(OLD)) == 1


async def test_a_file_that_is_not_there_is_not_an_error(tmp_path: Path) -> None:
    parts = make_parts(tmp_path, [LIVE])
    parts.world.unpublished |= {daily(OLD), daily(OLD + timedelta(days=1))}
    await parts.fill(scope(FIRST))
    assert parts.missing == []
    assert parts.world.files_known[daily(OLD)].state is FileState.MISSING


async def test_a_file_that_the_archive_refuses_to_give_ends_nothing(tmp_path: Path) -> None:
    parts = make_parts(tmp_path, [LIVE])
    parts.world.errors = {"fetch": [Permanent("refused: 400 Bad Request", reason="refused")]}
    await parts.fill(scope(FIRST))
    assert parts.missing == []
    states = [item.state for item in parts.world.files_known.values()]
    assert states.count(FileState.MISSING) == 1, "asked for again in a day"


async def test_a_month_that_is_not_published_is_read_by_days(tmp_path: Path) -> None:
    listing = Listing("BTCUSDT", start_of(date(2026, 2, 10)), 10**14)
    parts = make_parts(tmp_path, [listing])
    month = "data/futures/um/monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2026-02.zip"
    parts.world.unpublished.add(month)
    await parts.fill(scope(date(2026, 1, 1)))
    assert parts.missing == []
    assert parts.world.fetched.count(month) == 1
    assert sum("daily" in path and "-02-" in path for path in parts.world.fetched) == 19


async def test_a_minute_that_neither_file_nor_rest_has_is_absent_with_both_proofs(tmp_path: Path) -> None:
    parts = make_parts(tmp_path, [LIVE])
    nowhere = ("BTCUSDT", start_of(OLD) + 700 * MINUTE_MS)
    only_rest = ("BTCUSDT", start_of(OLD) + 800 * MINUTE_MS)
    parts.world.file_lacks |= {nowhere, only_rest}
    parts.world.rest_lacks.add(nowhere)
    await parts.fill(scope(FIRST))
    assert parts.world.absent == {nowhere: daily(OLD)}
    assert only_rest in parts.world.stored
    assert count(parts.metrics, "absent_candles_total") == 1


async def test_what_was_deleted_is_not_called_absent_before_its_file_was_read_again(tmp_path: Path) -> None:
    parts = make_parts(tmp_path, [LIVE])
    await parts.fill(scope(FIRST))
    deleted = ("BTCUSDT", start_of(OLD) + 700 * MINUTE_MS)
    del parts.world.stored[deleted]
    parts.world.rest_lacks.add(deleted)
    read = parts.world.files_known[daily(OLD)]
    parts.world.files_known[daily(OLD)] = replace(read, state=FileState.LISTED)
    await parts.fill(scope(FIRST))
    assert deleted in parts.world.stored
    assert parts.world.absent == {}


async def test_what_rest_lacks_is_looked_for_in_the_file_first(tmp_path: Path) -> None:
    parts = make_parts(tmp_path, [LIVE])
    await parts.fill(scope(FIRST))
    key = ("BTCUSDT", start_of(OLD) + 700 * MINUTE_MS)
    other = ("BTCUSDT", start_of(OLD) + 701 * MINUTE_MS)
    for hole in (key, other):
        del parts.world.stored[hole]
    parts.world.files_known.clear()
    parts.world.rest_lacks |= {key, other}
    parts.world.file_lacks.add(other)
    await parts.fill(scope(FIRST))
    assert key in parts.world.stored
    assert parts.world.absent == {other: daily(OLD)}


@pytest.mark.parametrize("fate", ["unpublished", "damaged"])
async def test_without_the_file_a_minute_stays_missing(tmp_path: Path, fate: str) -> None:
    parts = make_parts(tmp_path, [LIVE])
    key = ("BTCUSDT", start_of(OLD) + 700 * MINUTE_MS)
    parts.world.rest_lacks.add(key)
    getattr(parts.world, fate).add(daily(OLD))
    result = await parts.fill(scope(FIRST))
    assert parts.missing == [key]
    assert result.left == 1
    assert [(day.symbol, day.day) for day in result.looked] == [("BTCUSDT", OLD)]
    assert not parts.world.absent


async def test_yesterdays_minutes_are_never_called_absent(tmp_path: Path) -> None:
    parts = make_parts(tmp_path, [LIVE])
    key = ("BTCUSDT", start_of(TODAY - timedelta(days=1)))
    parts.world.rest_lacks.add(key)
    result = await parts.fill(scope(FIRST))
    assert parts.missing == [key]
    assert result.left == 1
    assert not parts.world.absent


async def test_a_row_that_cannot_be_stored_is_put_aside_and_the_others_live(tmp_path: Path) -> None:
    parts = make_parts(tmp_path, [LIVE])
    poison = ("BTCUSDT", start_of(TODAY) + 77 * MINUTE_MS)
    parts.sink.poison.add(poison)
    await parts.fill(scope(FIRST))
    assert parts.missing == [poison]
    assert set(parts.sink.quarantined) == {poison}
    received = count(parts.metrics, "rows_received_total", source="binance_rest")
    committed = count(parts.metrics, "rows_committed_total", source="binance_rest", result="inserted")
    assert received == committed + count(parts.metrics, "rows_rejected_total", reason="check_violation")


async def test_kept_files_stay(tmp_path: Path) -> None:
    parts = make_parts(tmp_path, [LIVE])
    await parts.fill(scope(FIRST, keep=True))
    assert len(names(tmp_path)) == len(parts.world.imported) > 0


async def test_force_reads_what_was_read_and_then_fills_what_is_missing(tmp_path: Path) -> None:
    parts = make_parts(tmp_path, [LIVE])
    await parts.fill(scope(FIRST))
    del parts.world.stored["BTCUSDT", NOW_MS // DAY_MS * DAY_MS]
    parts.world.imported.clear()
    await parts.fill(scope(FIRST, force=True))
    assert [force for _, force in parts.world.imported] == [True] * 9
    assert parts.missing == []
    assert parts.progress.rows_unchanged > 0


async def test_force_reads_no_file_twice_for_one_that_gave_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("src.collectors.backfill.campaign.Backoff.next", lambda self: 0.001)
    parts = make_parts(tmp_path, [LIVE])
    await parts.fill(scope(FIRST))
    parts.world.imported.clear()
    parts.world.errors = {"fetch": [Unavailable("away")]}
    await parts.fill(scope(FIRST, force=True))
    assert len(parts.world.imported) == len(set(parts.world.imported)) == 9


async def test_only_the_scope_is_filled(tmp_path: Path) -> None:
    parts = make_parts(tmp_path, [LIVE, GONE])
    since, until = OLD, start_of(OLD) + DAY_MS + 30 * MINUTE_MS
    await parts.fill(scope(since, until, source=Source.REST))
    assert {symbol for symbol, _ in parts.world.stored} == {"BTCUSDT", "GONEUSDT"}
    assert {ms for _, ms in parts.world.stored} == set(range(start_of(OLD), until, MINUTE_MS))


async def test_dirty_days_are_counted_before_they_are_judged(tmp_path: Path) -> None:
    parts = make_parts(tmp_path, [LIVE])
    await parts.fill(scope(FIRST))
    parts.world.dirty.add(("BTCUSDT", OLD))
    await parts.fill(scope(FIRST))
    assert parts.world.recounted == [("BTCUSDT", OLD)]


async def test_a_patient_filling_leaves_days_alone_until_they_are_due(tmp_path: Path) -> None:
    parts = make_parts(tmp_path, [LIVE])
    parts.world.next_look["BTCUSDT", OLD] = NOW_MS + 1000
    await parts.fill(scope(FIRST, patient=True))
    assert {key[1] // DAY_MS * DAY_MS for key in parts.missing} == {start_of(OLD)}
    parts.world.clock.advance(2)
    await parts.fill(scope(FIRST, patient=True))
    assert parts.missing == []
