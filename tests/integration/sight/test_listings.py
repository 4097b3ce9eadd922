"""``marketd symbols --listings``: every time of trading, from the database alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from src.cli import main

from .ledgers import Books


@pytest.fixture
def books(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Books]:
    monkeypatch.setenv("DATABASE_URL", database)
    # Nobody is asked: the exchange is nowhere.
    monkeypatch.setenv("BINANCE_REST_URL", "http://127.0.0.1:9")
    ledger = Books(database)
    yield ledger
    ledger.close()


def test_living_delisted_and_listed_again(books: Books, capsys: pytest.CaptureFixture[str]) -> None:
    books.list("币安人生USDT", datetime(2025, 10, 8, 7, 15, tzinfo=UTC), alpha=True)
    books.list("CTKUSDT", datetime(2020, 10, 1, tzinfo=UTC), datetime(2024, 4, 9, 9, tzinfo=UTC))
    books.list("CTKUSDT", datetime(2025, 1, 2, 3, 30, tzinfo=UTC))
    assert main(["symbols", "--listings"]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [
        "CTKUSDT       2020-10-01 00:00  2024-04-09 09:00  SETTLING        perpetual",
        "CTKUSDT       2025-01-02 03:30  -                 TRADING         perpetual",
        "币安人生USDT  2025-10-08 07:15  -                 TRADING         perpetual, alpha",
    ]
    assert "3 listings of 2 symbols: 2 go on, 1 ended; 1 symbols were listed again" in printed.err
    assert main(["symbols", "--listings", "--json"]) == 0
    first, second, third = json.loads(capsys.readouterr().out)
    assert (first["symbol"], first["end_ts"]) == ("CTKUSDT", "2024-04-09T09:00:00+00:00")
    assert (second["end_ts"], third["alpha"]) == (None, True)


def test_nothing_known_yet(books: Books, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["symbols", "--listings"]) == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "no listing is known yet" in printed.err
