"""One story told once, the newest first; a person reads it at any width."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.cells import cell_len

from src.cli.gaps.causes import ASK, Bounds, Findings, Missing
from src.cli.gaps.view import draw, stories
from src.collectors.backfill.estimate import Estimate
from src.model import DAY_MS, MINUTE_MS

NOW_MS = 20_783 * DAY_MS + 12 * 3_600_000
BOUNDS = Bounds(NOW_MS, NOW_MS - 30 * DAY_MS, NOW_MS - 5 * MINUTE_MS, 0)
COST = Estimate(rows=1_440, files=1, requests=2, weight=3, seconds=60.0)


def missing(
    symbol: str, from_ms: int, minutes: int, *, planned: str | None = "REST", why: str = "never asked"
) -> Missing:
    return Missing(
        symbol, from_ms, from_ms + minutes * MINUTE_MS, minutes, why, planned, "" if planned else ASK
    )


def drawn(found: list[Missing], *, width: int = 80, limit: int = 20) -> list[str]:
    stream = StringIO()
    draw(Findings(found), COST, BOUNDS, stream, width=width, limit=limit)
    return stream.getvalue().splitlines()


def test_the_same_gap_of_many_symbols_is_told_once() -> None:
    outage = NOW_MS - 3 * 3_600_000
    found = [missing(f"S{number:03}USDT", outage, 10) for number in range(740)]
    found.append(missing("BTCUSDT", NOW_MS - 5 * DAY_MS, 3))
    first, second = stories(found)
    assert (len(first.symbols), first.minutes, first.to_ms) == (740, 7400, outage + 10 * MINUTE_MS)
    assert second.symbols == ("BTCUSDT",)
    lines = drawn(found)
    assert lines[0] == "7,403 minutes are missing in 741 symbols"
    assert lines[2] == f"{'2026-11-26 09:00 to 09:10':<36}  7,400 min of 740 symbols, for 3 h 0 min"
    assert lines[3] == "    S000USDT, S001USDT, S002USDT, S003USDT and 736 more"
    assert lines[4] == "    never asked; planned: REST"
    assert lines[5] == f"{'2026-11-21 12:00 to 12:03':<36}  3 min of BTCUSDT, for 5 d 0 h"


def test_what_nobody_asks_for_is_one_story_and_the_last() -> None:
    old = [
        missing("AUSDT", (20_000 + number) * DAY_MS, 1440 * (number + 1), planned=None, why="before it all")
        for number in range(5)
    ]
    told = stories([*old, missing("BUSDT", NOW_MS - DAY_MS, 1)])
    assert [story.planned for story in told] == ["REST", None]
    assert told[1].minutes == 1440 * 15
    assert told[1].hint == "`marketd backfill --from 2024-10-04`"


def test_more_than_the_limit_is_counted() -> None:
    found = [missing("AUSDT", NOW_MS - number * DAY_MS, 2) for number in range(1, 11)]
    lines = drawn(found, limit=3)
    assert "and 7 more with 14 minutes (--limit, --symbol, --from, or --json)" in lines


@pytest.mark.parametrize("width", [60, 80, 160])
def test_fits_the_terminal(width: int) -> None:
    found = [
        missing("1000000BOBUSDT", NOW_MS - 9 * DAY_MS, 12_345, why="daily file quarantined: " + "long " * 20)
    ]
    lines = drawn([*found, missing("币安人生USDT", NOW_MS - 9 * DAY_MS, 12_345)], width=width)
    assert max(map(cell_len, lines)) <= width


def test_the_forecast_says_when() -> None:
    text = " ".join(drawn([missing("AUSDT", NOW_MS - DAY_MS, 5)], width=200))
    assert "planned: 5 minutes, 1 file and 2 requests (weight 3); at the present budget 60 s" in text
    assert "done about 2026-11-26 12:01 UTC" in text


def test_nothing_missing_is_said() -> None:
    assert drawn([]) == ["nothing that is due is missing"]
