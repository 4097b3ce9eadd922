"""``marketd coverage`` against the real database: exact to the minute, as the reader, with no daemon."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest

from src.cli import main
from src.errors import EXIT_CONFIG

from .ledgers import NOW, Books, midnight


@pytest.fixture
def books(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Books]:
    monkeypatch.setenv("DATABASE_URL", database)
    ledger = Books(database)
    yield ledger
    ledger.close()


def test_every_minute_is_in_one_part(books: Books, capsys: pytest.CaptureFixture[str]) -> None:
    onboard = midnight(4) + timedelta(hours=3, seconds=30)
    books.list("BTCUSDT", onboard)
    books.day("BTCUSDT", onboard.date(), expected=1259, have=1250, absent=4, attempts=2)
    books.day("BTCUSDT", midnight(3).date(), have=1440)
    books.day("BTCUSDT", midnight(2).date(), expired=1440)
    books.day("BTCUSDT", midnight(1).date(), have=1441)
    minutes = int((NOW - midnight(0)) / timedelta(minutes=1))
    have = books.candles("BTCUSDT", midnight(0), midnight(0) + timedelta(minutes=minutes - 2))
    books.day("BTCUSDT", midnight(0).date(), have=have)
    assert main(["coverage", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    whole = report["total"]
    assert whole["expected"] == 1259 + 4 * 1440
    parts = {name: whole[name] for name in ("have", "pending", "absent", "expired", "missing")}
    assert sum(parts.values()) == whole["expected"]
    assert parts == {
        "have": 1250 + 1440 + 1440 + have,
        "pending": 1440 - have,
        "absent": 4,
        "expired": 1440,
        "missing": 5,
    }
    assert whole["beyond"] == 1
    assert sum(round(share * 1000) for share in whole["percent"].values()) == 100_000
    assert report["by_day"][str(midnight(1).date())]["have"] == 1440
    assert sum(day["missing"] for day in report["by_day"].values()) == 5
    assert report["by_symbol"]["BTCUSDT"]["missing"] == 5


def test_the_rest_of_a_delisting_day_is_not_waited_for(
    books: Books, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ended ten minutes ago with nothing stored: all of it is missing, nothing pending."""
    end = NOW - timedelta(minutes=10)
    expected = int((end - midnight(0)) / timedelta(minutes=1))
    books.list("GONEUSDT", midnight(9), end)
    books.day("GONEUSDT", midnight(0).date(), expected=expected)
    assert main(["coverage", "--json"]) == 0
    whole = json.loads(capsys.readouterr().out)["total"]
    assert (whole["pending"], whole["missing"]) == (0, expected)


def test_metrics_that_came_early_are_not_waited_for(books: Books, capsys: pytest.CaptureFixture[str]) -> None:
    books.list("BTCUSDT", midnight(9))
    ended = int((NOW - midnight(0)) / timedelta(minutes=5))
    books.metrics("BTCUSDT", midnight(0), ended)
    books.day("BTCUSDT", midnight(0).date(), expected=288, have=ended, dataset="metrics_5m")
    assert main(["coverage", "--json", "--dataset", "metrics_5m"]) == 0
    whole = json.loads(capsys.readouterr().out)["total"]
    assert (whole["have"], whole["missing"], whole["pending"]) == (ended, 0, 288 - ended)


def test_what_is_in_a_request_is_pending(books: Books, capsys: pytest.CaptureFixture[str]) -> None:
    for symbol in ("BTCUSDT", "ETHUSDT"):
        books.list(symbol, midnight(50))
        for ago in (12, 11, 10, 9):
            books.day(symbol, midnight(ago).date(), have=440)
    books.request(["BTC*"], midnight(12), midnight(10))
    books.request(["B*"], midnight(11), midnight(9) + timedelta(hours=1))
    books.request(["*"], midnight(12), midnight(8), state="done")
    assert main(["coverage", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["by_symbol"]
    assert (found["BTCUSDT"]["pending"], found["BTCUSDT"]["missing"]) == (3000, 1000)
    assert (found["ETHUSDT"]["pending"], found["ETHUSDT"]["missing"]) == (0, 4000)


def test_globs_days_and_datasets(books: Books, capsys: pytest.CaptureFixture[str]) -> None:
    for symbol in ("BTCUSDT", "BTCDOMUSDT", "币安人生USDT"):
        books.list(symbol, midnight(50))
        for ago in (12, 11, 10):
            books.day(symbol, midnight(ago).date(), have=1440)
    books.day("BTCUSDT", midnight(10).date(), expected=288, have=288, dataset="metrics_5m")

    def asked(*arguments: str) -> dict[str, int]:
        assert main(["coverage", "--json", *arguments]) == 0
        return {
            name: one["expected"] for name, one in json.loads(capsys.readouterr().out)["by_symbol"].items()
        }

    days = ("--from", str(midnight(11).date()), "--to", str(midnight(11).date()))
    assert asked("--symbol", "btc*,币*", *days) == {"BTCDOMUSDT": 1440, "BTCUSDT": 1440, "币安人生USDT": 1440}
    assert asked("--symbol", "BTCUSDT") == {"BTCUSDT": 3 * 1440}
    assert asked("--dataset", "metrics_5m") == {"BTCUSDT": 288}


def test_the_map_and_what_it_says_when_there_is_nothing(
    books: Books, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["coverage"]) == 0
    assert "the ledger has no day of that" in capsys.readouterr().err
    assert main(["coverage", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["total"]["expected"] == 0
    books.day("BTCUSDT", midnight(5).date(), have=1000)
    books.day("BTCUSDT", midnight(4).date(), have=1440)
    assert main(["coverage"]) == 0
    out = capsys.readouterr().out
    assert "BTCUSDT                3█" in out
    assert "  missing" in out


def test_pending_migrations_are_told(
    empty_database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", empty_database)
    assert main(["coverage"]) == EXIT_CONFIG
    assert "run `marketd migrate`" in capsys.readouterr().err
