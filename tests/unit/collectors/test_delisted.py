"""What the archive's folders say about contracts that exchangeInfo does not know any more."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from src.collectors.listings.delisted import interval, midnight, symbol_of, unknown
from src.collectors.listings.selection import Selection
from src.model import DAY_MS, Listing

FIRST = date(2022, 3, 1)
FIRST_MS = midnight(FIRST)


@pytest.mark.parametrize(
    ("folder", "symbol"),
    [
        ("BTCUSDT", "BTCUSDT"),
        ("CTKUSDTSETTLED", "CTKUSDT"),
        ("ICPUSDT_SETTLED", "ICPUSDT"),
        ("币安人生USDT", "币安人生USDT"),
        ("SETTLEDUSDT", "SETTLEDUSDT"),
    ],
)
def test_a_settled_folder_holds_the_symbol_before(folder: str, symbol: str) -> None:
    assert symbol_of(folder) == symbol


def test_only_unknown_folders_of_contracts_we_follow_are_looked_into() -> None:
    folders = [
        "MATICUSDT", "BTCUSDT", "BTCUSDT_240329", "BTCUSDC", "ETHBUSD", "ICPUSDT_SETTLED", "XUSDTSETTLED", "XUSDT",
    ]  # fmt: skip
    assert unknown(folders, {"BTCUSDT", "XUSDT"}, Selection()) == [
        "ICPUSDT_SETTLED",
        "MATICUSDT",
        "XUSDTSETTLED",
    ]
    assert unknown(folders, set(), Selection(include=("X*",), exclude=("XYZ*",))) == ["XUSDT", "XUSDTSETTLED"]


def test_an_interval_is_from_the_first_file_to_the_last() -> None:
    days = [FIRST + timedelta(days=number) for number in (3, 0, 9)]
    assert interval("AUSDT", days, []) == Listing("AUSDT", FIRST_MS, FIRST_MS + 10 * DAY_MS)
    assert interval("AUSDT", [], []) is None


def test_a_later_listing_ends_it() -> None:
    days = [FIRST + timedelta(days=number) for number in range(10)]
    again = FIRST_MS + 9 * DAY_MS + 3_600_000
    later = [
        Listing("AUSDT", again, again + DAY_MS),
        Listing("BUSDT", FIRST_MS + DAY_MS, FIRST_MS + 2 * DAY_MS),
    ]
    assert interval("AUSDTSETTLED", days, later) == Listing("AUSDT", FIRST_MS, again)


def test_the_folder_of_a_listing_that_was_followed_is_that_listing() -> None:
    days = [FIRST + timedelta(days=number) for number in range(10)]
    followed = Listing("AUSDT", FIRST_MS + 3_600_000, FIRST_MS + 9 * DAY_MS)
    again = Listing("AUSDT", followed.end_ms + 60_000, followed.end_ms + DAY_MS)
    assert interval("AUSDTSETTLED", days, [followed, again]) == followed
