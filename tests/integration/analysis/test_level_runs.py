"""Runs of levels: who is analysed, what is stored of it, and what a person reads in the tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager

import pytest

from src.errors import BadData, Unavailable
from tests import naive_levels
from tests.integration.analysis.level_world import LevelWorld, level_world, moment
from tests.naive_levels import Bar
from tests.unit.analysis.level_strategies import HOUR_MS, START_MS

SPAN_MS = 2000 * HOUR_MS


@pytest.fixture
def world(database: str) -> Iterator[LevelWorld]:
    with level_world(database) as world:
        yield world


def wave(count: int, *, start_ms: int = START_MS, low: float = 100.0, rise: float = 0.0) -> list[Bar]:
    """Up and down by 8 every 16 bars, from ``low``; each wave ``rise`` higher than the one before."""
    rows = []
    for place in range(count):
        close = low + abs(8 - place % 16) + rise * (place // 16)
        opened = start_ms + place * HOUR_MS
        rows.append((opened, opened + HOUR_MS, close + 0.1, close - 0.1, close, 10.0 + place % 7))
    return rows


def said_of(ms: int) -> str:
    return moment(ms).strftime("%Y-%m-%dT%H:%M:%SZ")


def falling(after: list[Bar], to: float) -> list[Bar]:
    opened = after[-1][1]
    return [(opened, opened + HOUR_MS, after[-1][4], to, to, 50.0)]


def test_the_universe_is_what_trades_and_the_rest_is_counted(world: LevelWorld) -> None:
    for symbol, count in (("AUSDT", 200), ("币USDT", 150), ("NEWUSDT", 99), ("NOBARSUSDT", 1)):
        world.listed(symbol)
        world.traded(symbol, wave(count))
    world.fetch("DELETE FROM bars WHERE symbol = 'NOBARSUSDT'")
    world.listed("GONEUSDT", end_ms=START_MS + 120 * HOUR_MS)
    world.traded("GONEUSDT", wave(120), made_to_ms=START_MS + 120 * HOUR_MS)
    said = world.run()
    assert (said["symbols"], said["skipped"]) == (2, {"few_bars": 2})
    assert said["bars"] == 350
    assert said["to"] == said_of(wave(200)[-1][1])
    assert world.fetch("SELECT symbol, input_limit, last_price FROM analysis_results ORDER BY symbol") == [
        ("AUSDT", 200, wave(200)[-1][4]),
        ("币USDT", 150, wave(150)[-1][4]),
    ]
    assert world.notes == ["4 of 4 symbols, 350 bars"]


def test_a_result_tells_the_best_levels_and_where_their_score_is_from(world: LevelWorld) -> None:
    rows = wave(200)
    world.listed("AUSDT")
    world.traded("AUSDT", rows)
    world.run("AUSDT")
    ((row_id, supports, resistances, details),) = world.fetch(
        "SELECT id, support_levels, resistance_levels, details FROM analysis_results"
    )
    (support,) = supports
    (twin,) = [level for level in naive_levels.levels(rows, SPAN_MS) if level.side == "support"]
    assert support["price"] == pytest.approx(99.9) == twin.price
    assert support["score"] == pytest.approx(naive_levels.score(twin, rows, SPAN_MS))
    assert support["parts"].keys() == {"touches", "volume", "distance", "right_side"}
    assert (support["state"], support["pivots"], support["tests"]) == ("tested", len(twin.pivots), twin.tests)
    assert support["low"] == pytest.approx(99.9 * 0.995)
    assert support["id"] == f"support-{support['founded_at']}"
    assert len(resistances) == 1
    assert details["from"] == said_of(rows[0][0])

    world.traded("AUSDT", wave(201))
    world.run("AUSDT")
    ((same_id, limit, again),) = world.fetch("SELECT id, input_limit, support_levels FROM analysis_results")
    assert (same_id, limit, again[0]["id"]) == (row_id, 201, support["id"])


def test_a_close_beyond_it_breaks_a_level_which_stays_known(world: LevelWorld) -> None:
    rows = wave(120)
    broken_ms = rows[-1][1] + HOUR_MS
    world.listed("AUSDT")
    world.traded("AUSDT", rows)
    world.run("AUSDT", history=100)
    world.traded("AUSDT", falling(rows, 95.0))
    world.run("AUSDT")
    lived = world.fetch(
        "SELECT state, cardinality(pivot_ts), broken_ts, known_from FROM price_levels WHERE side = 'support'"
        " ORDER BY known_from"
    )
    assert {state for state, *_ in lived[:-1]} == {"changed"}
    assert lived[-1] == ("broken", 7, moment(broken_ms), moment(broken_ms))
    before, after = world.known("AUSDT", broken_ms - 1), world.known("AUSDT", broken_ms)
    assert [(level.side, level.broken_ms) for level in before] == [("support", None), ("resistance", None)]
    assert [(level.side, level.broken_ms) for level in after] == [
        ("support", broken_ms),
        ("resistance", None),
    ]
    ((supports,),) = world.fetch("SELECT support_levels FROM analysis_results")
    assert [(level["state"], level["parts"]["right_side"]) for level in supports] == [("broken", 0.0)]
    assert supports[0]["broken_at"] == said_of(broken_ms)


def test_a_run_done_twice_leaves_what_one_leaves(world: LevelWorld) -> None:
    world.listed("AUSDT")
    world.traded("AUSDT", wave(150))
    world.run()
    once = world.fetch("SELECT price_levels::text FROM price_levels ORDER BY id")
    said = world.run()
    assert world.fetch("SELECT price_levels::text FROM price_levels ORDER BY id") == once
    assert (said["rows_begun"], said["rows_ended"]) == (0, 0)


def test_a_run_that_was_overtaken_writes_nothing(world: LevelWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that was thought to be dead, and one that took its task over, read the same and write one by one."""
    world.listed("AUSDT")
    world.traded("AUSDT", wave(150))
    world.run("AUSDT", until_ms=wave(150)[139][1])
    whole = world.tables.transaction

    def overtaken() -> AbstractContextManager[object]:
        monkeypatch.setattr(world.tables, "transaction", whole)
        world.run("AUSDT", until_ms=wave(150)[144][1])
        return whole()

    monkeypatch.setattr(world.tables, "transaction", overtaken)
    with pytest.raises(Unavailable, match="another run has written"):
        world.run("AUSDT")
    assert world.fetch("SELECT known_to FROM analysis_results") == [(moment(wave(150)[144][1]),)]
    world.run("AUSDT")
    for place in (139, 143, 144, 149):
        told = naive_levels.levels(wave(150)[: place + 1], SPAN_MS)
        assert world.known("AUSDT", wave(150)[place][1]) == told


def test_what_fails_leaves_nothing(world: LevelWorld) -> None:
    world.listed("AUSDT")
    world.traded("AUSDT", wave(150))
    world.fetch("ALTER TABLE analysis_results ADD CONSTRAINT broken CHECK (last_price < 0)")
    with pytest.raises(BadData):
        world.run()
    assert world.fetch("SELECT count(*) FROM price_levels") == [(0,)]


def test_no_level_reaches_into_the_listing_before(world: LevelWorld) -> None:
    before = wave(150, low=200)
    again_ms = before[-1][1] + 30 * HOUR_MS
    world.listed("AUSDT", end_ms=before[-1][1] + HOUR_MS)
    world.traded("AUSDT", before)
    world.run("AUSDT")
    world.listed("AUSDT", onboard_ms=again_ms)
    rows = wave(120, start_ms=again_ms)
    world.traded("AUSDT", rows)
    world.run()
    assert world.fetch("SELECT input_limit FROM analysis_results") == [(120,)]
    assert world.known("AUSDT", rows[-1][1]) == naive_levels.levels(rows, SPAN_MS)
    assert world.known("AUSDT", rows[20][1]) == []
    assert world.fetch(
        "SELECT DISTINCT state, known_to FROM price_levels WHERE founded_ts < %s", moment(again_ms)
    ) == [("unwatched", moment(before[-1][1] + HOUR_MS))]


def test_after_a_pause_longer_than_the_span_nothing_is_made_up(database: str) -> None:
    with level_world(database, span_bars=120) as world:
        world.listed("AUSDT")
        rows = wave(500)
        world.traded("AUSDT", rows)
        world.run("AUSDT", until_ms=rows[149][1])
        world.run("AUSDT")
        assert world.known("AUSDT", rows[149][1]) == naive_levels.levels(rows[:150], 120 * HOUR_MS)
        assert world.known("AUSDT", rows[300][1]) == []
        assert world.known("AUSDT", rows[499][1]) == naive_levels.levels(rows, 120 * HOUR_MS)
        assert world.fetch("SELECT known_from = known_to FROM analysis_results") == [(True,)]


def test_who_is_asked_for_and_cannot_be_analysed_is_an_error_that_says_why(world: LevelWorld) -> None:
    world.listed("NEWUSDT")
    world.traded("NEWUSDT", wave(99))
    with pytest.raises(BadData, match=r"NEWUSDT 1h: 99 closed bars are stored .* levels need 100"):
        world.run("NEWUSDT")
    with pytest.raises(BadData, match="NOSUCHUSDT: binance_futures_um has no bars of 1h"):
        world.run("NOSUCHUSDT")
    world.traded("NEWUSDT", wave(110))
    world.run("NEWUSDT")
    with pytest.raises(BadData, match="known up to a later bar"):
        world.run("NEWUSDT", until_ms=wave(110)[104][1])


def test_bars_that_are_missing_are_not_replaced_by_older_ones(database: str) -> None:
    with level_world(database, span_bars=150) as world:
        rows = [bar for place, bar in enumerate(wave(300)) if place % 3]
        world.listed("AUSDT")
        world.traded("AUSDT", rows)
        world.run("AUSDT")
        assert world.fetch("SELECT input_limit FROM analysis_results") == [(100,)]
        assert world.known("AUSDT", rows[-1][1]) == naive_levels.levels(rows, 150 * HOUR_MS)
