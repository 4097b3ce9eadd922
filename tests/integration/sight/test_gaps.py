"""``marketd gaps`` against the real database: exactly the minutes that are not there."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.sessions.role_lock import SessionLock
from src.cli import main

from .ledgers import NOW, Books, midnight

FIVE = timedelta(minutes=5)


@pytest.fixture
def books(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Books]:
    monkeypatch.setenv("DATABASE_URL", database)
    ledger = Books(database)
    yield ledger
    ledger.close()


def asked(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(["gaps", "--json", *arguments]) == 0
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    return report


def minutes_of(report: dict[str, Any]) -> set[tuple[str, datetime]]:
    found = set()
    for gap in report["gaps"]:
        ts, end = datetime.fromisoformat(gap["from"]), datetime.fromisoformat(gap["to"])
        assert (end - ts) / timedelta(minutes=1) == gap["minutes"]
        while ts < end:
            found.add((gap["symbol"], ts))
            ts += timedelta(minutes=1)
    return found


def test_random_minutes_are_found_exactly(books: Books, capsys: pytest.CaptureFixture[str]) -> None:
    rng = random.Random(7)
    gone: set[tuple[str, datetime]] = set()
    for symbol in ("BTCUSDT", "ETHUSDT", "币安人生USDT"):
        onboard = midnight(9) + timedelta(hours=7, minutes=15)
        books.list(symbol, onboard)
        for ago in range(9, 2, -1):
            start = max(midnight(ago), onboard)
            expected = int((midnight(ago - 1) - start) / timedelta(minutes=1))
            lost = set(rng.sample(range(expected), rng.randrange(1, 40)))
            absent = {lost.pop()} if ago == 5 else set()
            have = books.candles(symbol, start, midnight(ago - 1), without=lost | absent)
            books.day(symbol, start.date(), expected=expected, have=have, absent=len(absent))
            for minute in absent:
                books.absent(symbol, start + timedelta(minutes=minute))
            gone |= {(symbol, start + timedelta(minutes=minute)) for minute in lost}
    report = asked(capsys)
    assert minutes_of(report) == gone
    assert report["missing_minutes"] == report["planned_minutes"] == len(gone)
    one = asked(
        capsys, "--symbol", "eth*", "--from", str(midnight(6).date()), "--to", str(midnight(5).date())
    )
    assert minutes_of(one) == {
        (symbol, ts) for symbol, ts in gone if symbol == "ETHUSDT" and midnight(6) <= ts < midnight(4)
    }


def test_the_story_of_each_gap(
    books: Books, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    books.list("BTCUSDT", midnight(100))
    for ago in range(100, 30, -1):
        books.day("BTCUSDT", midnight(ago).date())
    books.day("BTCUSDT", midnight(12).date(), attempts=3)
    books.quarantine("BTCUSDT", midnight(12).date(), "checksum")
    report = asked(capsys)
    old, new = report["gaps"]
    assert old["minutes"] == 70 * 1440
    assert old["why"].startswith("before BACKFILL_FROM")
    assert old["planned"] is None
    assert old["hint"] == f"`marketd backfill --from {midnight(100).date()}`"
    assert (new["why"], new["planned"]) == ("daily file quarantined: checksum, asked 3 times", "REST")
    assert report["estimate"]["weight"] == 6
    assert report["daemon_fills"] is False
    assert main(["gaps"]) == 0
    out = capsys.readouterr().out
    assert "102,240 minutes are missing in 1 symbol" in out
    assert "no daemon with --backfill runs" in out
    monkeypatch.setenv("BACKFILL_FROM", "listing")
    assert asked(capsys)["planned_minutes"] == 71 * 1440


def test_what_a_person_asked_for_is_planned(books: Books, capsys: pytest.CaptureFixture[str]) -> None:
    books.list("BTCUSDT", midnight(100))
    for ago in range(100, 30, -1):
        books.day("BTCUSDT", midnight(ago).date())
    books.request(["BTC*"], midnight(50), midnight(40))
    report = asked(capsys)
    assert report["planned_minutes"] == 10 * 1440, report
    [planned] = [gap for gap in report["gaps"] if gap["planned"]]
    assert planned["planned"].endswith(" file, in request 1")
    assert datetime.fromisoformat(planned["from"]) == midnight(50)
    assert report["missing_minutes"] == 70 * 1440


def test_what_is_not_due_yet_is_not_missing(books: Books, capsys: pytest.CaptureFixture[str]) -> None:
    books.list("BTCUSDT", midnight(3))
    ready = int((NOW - midnight(0)) / timedelta(minutes=1)) - 5
    have = books.candles("BTCUSDT", midnight(0), midnight(0) + timedelta(minutes=ready))
    books.day("BTCUSDT", midnight(0).date(), have=have)
    assert asked(capsys)["missing_minutes"] == 0
    assert main(["gaps", "--symbol", "btc*"]) == 0
    assert capsys.readouterr().out == "nothing that is due is missing\n"
    assert main(["gaps", "--symbol", "NOTHING*"]) == 1
    told = capsys.readouterr()
    assert told.out == "" and "no symbol of the ledger is called so" in told.err


def test_a_plan_is_only_as_good_as_who_carries_it_out(
    books: Books, database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    books.list("BTCUSDT", midnight(3))
    books.day("BTCUSDT", midnight(2).date())
    lock = SessionLock(replace(DatabaseOptions(database), role="backfill", run_id="filler"))
    with asyncio.Runner() as runner:
        runner.run(lock.open())
        try:
            assert asked(capsys)["daemon_fills"] is True
            assert main(["gaps"]) == 0
            assert "no daemon with --backfill runs" not in capsys.readouterr().out
        finally:
            runner.run(lock.close())


def test_random_metrics_are_found_exactly(books: Books, capsys: pytest.CaptureFixture[str]) -> None:
    """One listing begins inside a period, one day has no row, and the candles of all of them are another matter."""
    rng = random.Random(8)
    gone: set[tuple[str, datetime]] = set()
    for symbol in ("BTCUSDT", "币安人生USDT"):
        onboard = midnight(9) + timedelta(hours=7, minutes=12)
        books.list(symbol, onboard)
        books.day(symbol, midnight(8).date())
        for ago in range(9, 3, -1):
            first = max(midnight(ago), onboard - timedelta(minutes=2))
            expected = int((midnight(ago - 1) - first) / FIVE)
            lost = (
                set(range(expected)) if ago == 6 else set(rng.sample(range(expected), rng.randrange(1, 40)))
            )
            for number in set(range(expected)) - lost:
                books.metrics(symbol, first + number * FIVE, 1)
            have = expected - len(lost)
            books.day(symbol, first.date(), expected=expected, have=have, dataset="metrics_5m")
            gone |= {(symbol, first + number * FIVE) for number in lost}
    report = asked(capsys, "--dataset", "metrics_5m")
    assert minutes_of(report) == {
        (symbol, ts + timedelta(minutes=minute)) for symbol, ts in gone for minute in range(5)
    }
    assert report["missing_minutes"] == report["planned_minutes"] == 5 * len(gone)
    assert {gap["planned"] for gap in report["gaps"]} == {"daily file"}
    assert main(["gaps", "--dataset", "metrics_5m"]) == 0
    assert "when a daemon with --metrics runs; none does" in capsys.readouterr().out


def test_what_becomes_of_missing_metrics(books: Books, capsys: pytest.CaptureFixture[str]) -> None:
    books.list("BTCUSDT", midnight(100))
    for ago in (100, 99, 98, 12, 0):
        attempts = 2 if ago == 12 else 0
        books.day("BTCUSDT", midnight(ago).date(), expected=288, attempts=attempts, dataset="metrics_5m")
    old, tried, *today = asked(capsys, "--dataset", "metrics_5m")["gaps"]
    assert (old["minutes"], old["planned"]) == (3 * 1440, None)
    assert old["why"].startswith("before BACKFILL_FROM")
    assert old["hint"] == f"BACKFILL_FROM {midnight(100).date()} or earlier"
    assert (tried["minutes"], tried["why"], tried["planned"]) == (1440, "asked 2 times", "daily file")
    assert {gap["planned"] for gap in today} <= {"REST"}
    for gap in today:
        due = NOW - timedelta(minutes=5)
        assert datetime.fromisoformat(gap["to"]) <= due < datetime.fromisoformat(gap["to"]) + 2 * FIVE


def test_of_funding_only_the_number_is_known(books: Books, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gaps", "--dataset", "funding"]) == 78
    assert "see `marketd coverage --dataset funding`" in capsys.readouterr().err
