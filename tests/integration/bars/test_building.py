"""Bars on demand through the database: of candles by way of kept ones, of trades to the bit however they came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from src.analysis.bars.building import from_candles
from src.analysis.bars.jobs import Aggregate
from src.analysis.bars.ranges import interval_ms
from src.analysis.bars.trades import from_trades
from src.errors import BadData
from src.model import DAY_MS, MINUTE_MS, Trade, listing_of
from tests import naive
from tests.unit.analysis.strategies import Story, trades

from .world import Market, plain, quiet

START_MS = 1_760_054_400_000  # midnight
_CALLED = {
    "analysis.bars.building:from_candles": from_candles,
    "analysis.bars.trades:from_trades": from_trades,
}


def build(market: Market, symbol: str, size: str, note: Any = quiet, **asked: Any) -> Mapping[str, Any]:
    """What the task does, in this process."""
    at_once = {"ids_at_once": asked.pop("ids_at_once")} if "ids_at_once" in asked else {}
    function, arguments = Aggregate(symbol=symbol, size=size, **asked).call(market.exchange)
    with market.tables() as tables:
        return _CALLED[function](tables=tables, note=note, **arguments, **at_once)


@pytest.mark.parametrize(
    ("word", "part"), [("7m", 1), ("10m", 5), ("45m", 15), ("2h", 60), ("12h", 240), ("1w", 1440)]
)
async def test_of_candles_by_the_largest_kept_size(database: str, word: str, part: int) -> None:
    """Eight days with a hole in each, in which the symbol is listed again."""
    market = Market(database)
    cut = START_MS + 3 * DAY_MS + 61 * MINUTE_MS
    await market.listed("X", START_MS - DAY_MS, cut)
    days = (plain("X", START_MS + day * DAY_MS, 1440, leave=range(100, 130)) for day in range(8))
    await market.store([row for day in days for row in day if row.open_ms % DAY_MS < 9 * 3_600_000])
    made = build(market, "X", word)
    assert made["part_ms"] == part * MINUTE_MS
    size, rows, front = int(made["size"]), await market.stored("X"), await market.front("X")
    parts = rows
    if part > 1:
        bars = naive.time_bars_of_candles(rows, part * MINUTE_MS, [cut], front)
        parts = [(bar[0], *bar[3:11]) for bar in bars if bar[1] <= front]
    expected = naive.time_bars_of_candles(parts, size, [cut], front, part_ms=part * MINUTE_MS)
    found = await market.built("X", "time", size)
    assert naive.same([bar for bar, _ in found], [bar for bar in expected if bar[1] <= front])
    there = [row[0] for row in rows]
    assert [missing for _, missing in found] == [
        (bar[1] - bar[0]) // MINUTE_MS - sum(1 for ts in there if bar[0] <= ts < bar[1]) for bar, _ in found
    ]
    assert build(market, "X", word)["bars"] == made["bars"] == len(found) > 0


async def test_a_kept_size_is_what_is_kept(database: str) -> None:
    market = Market(database)
    await market.store(plain("X", START_MS, 200))
    assert build(market, "X", "1h")["to_ms"] == START_MS + 200 * MINUTE_MS
    assert [bar[0] for bar, _ in await market.built("X", "time", 3_600_000)] == [
        START_MS,
        START_MS + 60 * MINUTE_MS,
        START_MS + 120 * MINUTE_MS,
    ]


def numbered(story: Story, cuts: Sequence[int]) -> list[naive.Trade]:
    """The story's trades, each with a quantity, under ids that begin anew with each listing.

    A trade is its listing's by its own time: between two listings lie hours, no time goes back over a cut.
    """
    rows: list[naive.Trade] = []
    clock, listing, last = 0, 0, -1
    for ts, trade_id, price, quantity, sold in story.rows:
        clock = max(clock, ts)
        if listing_of(clock, cuts) != listing:
            listing, last = listing_of(clock, cuts), -1
        last = max(trade_id, last + 1)
        rows.append((max(ts, listing), last, price, quantity or 0.5, sold))
    return rows


def as_trades(symbol: str, rows: Sequence[naive.Trade]) -> list[Trade]:
    return [Trade(symbol, trade_id, ts, price, amount, sold) for ts, trade_id, price, amount, sold in rows]


@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    story=trades(),
    asked=st.sampled_from(
        [("time", "90s"), ("time", "1h"), ("tick", "3"), ("volume", "900.5"), ("dollar", "1000000")]
    ),
    data=st.data(),
)
async def test_of_trades_in_pieces_as_at_once(
    database: str, story: Story, asked: tuple[str, str], data: st.DataObject
) -> None:
    """Stored in any order, given up as missing and found after all, built in between: the bars and the state."""
    cuts = sorted({cut // MINUTE_MS * MINUTE_MS for cut in story.cuts})
    if not (rows := numbered(story, cuts)):
        return
    kind, word = asked
    market = Market(database)
    for symbol in ("LIVE", "ONCE"):
        await market.listed(symbol, 0, *cuts)
    first, *later = as_trades("LIVE", rows)
    order = data.draw(st.permutations(later)) if data.draw(st.booleans()) else later
    edges = sorted(data.draw(st.lists(st.integers(0, len(order)), max_size=3)))
    await market.trade([first])
    for start, end in zip([0, *edges], [*edges, len(order)], strict=True):
        await market.trade(order[start:end])
        if end == len(order) or data.draw(st.booleans()):
            await market.give_up_gaps()
        build(market, "LIVE", word, kind=kind, source="trades", ids_at_once=data.draw(st.integers(1, 40)))
    await market.trade([replace(trade, symbol="ONCE") for trade in [first, *later]])
    await market.give_up_gaps()
    made = build(market, "ONCE", word, kind=kind, source="trades")
    if kind == "time":
        expected = naive.time_bars_of_trades(rows, int(made["size"]), cuts, rows[-1][0])
    else:
        expected = naive.threshold_bars(rows, naive.MEASURES[kind.upper()], float(word), cuts)
    expected.sort(key=lambda bar: (bar[0], bar[2]))
    for symbol in ("LIVE", "ONCE"):
        found = await market.built(symbol, kind, made["size"])
        assert naive.same([bar for bar, _ in found], expected)
        assert {missing for _, missing in found} <= {None}
    if not cuts:
        assert await market.state("LIVE", kind, made["size"]) == await market.state(
            "ONCE", kind, made["size"]
        )


@pytest.mark.parametrize(
    "listings", [(), (0, START_MS - MINUTE_MS), (0, START_MS - MINUTE_MS, START_MS + DAY_MS)]
)
async def test_trades_that_came_into_a_gap_after_all_make_bars_anew(
    database: str, listings: tuple[int, ...]
) -> None:
    market = Market(database)
    await market.listed("X", *listings)
    rows = as_trades("X", [(START_MS + n, n, 1.0 + n, 1.0, False) for n in range(20)])
    told: list[str] = []
    await market.trade(rows[:5] + rows[7:])
    assert build(market, "X", "4", kind="tick")["last_id"] == 4, "an open gap is waited for"
    await market.give_up_gaps()
    assert build(market, "X", "4", kind="tick")["skipped_ids"] == 2
    await market.trade(rows[5:7])
    made = build(market, "X", "4", kind="tick", note=lambda text, share=None: told.append(text))
    assert (made["skipped_ids"], made["bars"]) == (0, 5)
    assert "2 trades came" in told[0]
    assert [bar[2] for bar, _ in await market.built("X", "tick", 4)] == [0, 4, 8, 12, 16]


@pytest.mark.parametrize(("kind", "word"), [("tick", "4"), ("time", "90s"), ("volume", "3")])
async def test_bars_end_with_a_listing_and_ids_begin_anew(database: str, kind: str, word: str) -> None:
    """Both contracts have the ids 0 to 20. What comes late at the end of the first is in its bars."""
    market, cut = Market(database), START_MS + DAY_MS
    await market.listed("X", START_MS, cut)
    first = [(START_MS + n * 30_000, n, 1.0 + n, 1.0, False) for n in range(21)]
    second = [(cut + n * 30_000, n, 9.0 + n, 1.0, False) for n in range(21)]
    await market.trade(as_trades("X", second[:15]), as_trades("X", [*first[:10], *first[12:18]]))
    built = build(market, "X", word, kind=kind, source="trades")
    assert built["last_id"] == 9, "what is missing of the first is waited for"
    await market.give_up_gaps()
    assert build(market, "X", word, kind=kind, source="trades")["last_id"] == 14, "of the second"
    await market.trade(as_trades("X", second[15:]))
    assert build(market, "X", word, kind=kind, source="trades", ids_at_once=2)["trades"] == 6
    rows = [*first[:10], *first[12:18], *second]
    assert await _is_as_the_twin_says(market, kind, word, rows, [cut])
    told: list[str] = []
    await market.trade(as_trades("X", first[18:]))
    build(market, "X", word, kind=kind, source="trades", note=lambda text, share=None: told.append(text))
    assert "3 trades came" in told[0]
    assert await _is_as_the_twin_says(market, kind, word, [*first[:10], *first[12:], *second], [cut])


async def test_bars_that_went_over_a_listing_are_made_anew(database: str) -> None:
    """It became known after them."""
    market, cut = Market(database), START_MS + DAY_MS
    await market.listed("X", START_MS)
    rows = [
        *((START_MS + n * 1000, 100 + n, 1.0 + n, 1.0, False) for n in range(6)),
        *((cut + n * 1000, 200 + n, 9.0 + n, 1.0, False) for n in range(6)),
    ]
    await market.trade(as_trades("X", rows))
    await market.give_up_gaps()
    build(market, "X", "4", kind="tick")
    assert await _is_as_the_twin_says(market, "tick", "4", rows, [])
    await market.listed("X", cut)
    build(market, "X", "4", kind="tick")
    assert await _is_as_the_twin_says(market, "tick", "4", rows, [cut])


async def test_bars_begin_with_the_first_trade_of_whichever_listing(database: str) -> None:
    """Asked for from a time between the listings: the later one has lower ids."""
    market, cut = Market(database), START_MS + DAY_MS
    await market.listed("X", START_MS, cut)
    first = [(START_MS + n * 1000, 50 + n, 1.0 + n, 1.0, False) for n in range(6)]
    second = [(cut + n * 1000, n, 9.0 + n, 1.0, False) for n in range(6)]
    await market.trade(as_trades("X", [*first, *second]))
    since = Aggregate.model_validate({"symbol": "X", "size": "1", "since": "2025-10-10T12:00:00Z"}).since
    assert build(market, "X", "3", kind="tick", since=since)["bars"] == 2
    assert await _is_as_the_twin_says(market, "tick", "3", second, [cut])
    assert build(market, "X", "3", kind="tick")["bars"] == 0


async def _is_as_the_twin_says(
    market: Market, kind: str, word: str, rows: Sequence[naive.Trade], cuts: Sequence[int]
) -> bool:
    if kind == "time":
        expected = naive.time_bars_of_trades(rows, interval_ms(word), cuts, rows[-1][0])
    else:
        expected = naive.threshold_bars(rows, naive.MEASURES[kind.upper()], float(word), cuts)
    size = interval_ms(word) if kind == "time" else float(word)
    found = [bar for bar, _ in await market.built("X", kind, size)]
    return naive.same(found, sorted(expected, key=lambda bar: (bar[0], bar[2])))


async def test_bars_of_time_begin_with_the_whole_bar_that_holds_the_moment(database: str) -> None:
    market = Market(database)
    rows = [(START_MS + n * 1000, n, 1.0 + n, 1.0, False) for n in range(20)]
    await market.trade(as_trades("X", rows))
    begin = Aggregate.model_validate({"symbol": "X", "size": "1", "since": "2025-10-10T00:00:07Z"}).since
    assert build(market, "X", "5s", since=begin)["bars"] == 2
    assert await _is_as_the_twin_says(market, "time", "5s", rows[5:], [])
    assert build(market, "X", "5s", since=begin)["bars"] == 0


async def test_bars_of_time_that_began_with_the_first_trade_go_on_when_that_is_named(database: str) -> None:
    market = Market(database)
    rows = [(START_MS + n * 1000, n, 1.0 + n, 1.0, False) for n in range(7, 20)]
    await market.trade(as_trades("X", rows))
    made = build(market, "X", "5s")
    assert made["from_ms"] == START_MS + 7_000
    begin = datetime.fromtimestamp(made["from_ms"] / 1000, UTC)
    assert build(market, "X", "5s", since=begin)["bars"] == 0
    with pytest.raises(BadData, match="say --anew"):
        build(market, "X", "5s", since=begin.replace(second=12))


async def test_where_bars_begin_is_asked_once(database: str) -> None:
    market = Market(database)
    await market.trade(as_trades("X", [(START_MS + n * 1000, n, 1.0, 1.0, True) for n in range(20)]))
    begin = Aggregate.model_validate({"symbol": "X", "size": "1", "since": "2025-10-10T00:00:05Z"}).since
    assert build(market, "X", "5", kind="tick", since=begin)["bars"] == 3
    with pytest.raises(BadData, match="--anew"):
        build(market, "X", "5", kind="tick", since=begin.replace(second=6) if begin else None)
    assert build(market, "X", "5", kind="tick")["bars"] == 0
    assert build(market, "X", "5", kind="tick", anew=True)["bars"] == 4
    assert len(await market.built("X", "tick", 5)) == 4


async def test_what_cannot_be_says_why(database: str) -> None:
    market = Market(database)
    await market.store(plain("X", START_MS, 10))
    await market.trade(as_trades("X", [(START_MS, 1, 1.0, 1.0, True)]))
    market.keep()
    for expected, size, asked in (
        ("not an interval", "7", {}),
        ("whole minutes", "90s", {"source": "candles"}),
        ("whole minutes", "5", {"source": "candles", "kind": "tick"}),
        ("no candles of Y", "7m", {"symbol": "Y"}),
        ("no trades of Y", "90s", {"symbol": "Y"}),
        ("are kept", "5m", {"source": "trades"}),
        ("more than 0", "-1", {"kind": "dollar"}),
        ("is no number", "many", {"kind": "tick"}),
        ("whole number", "1.5", {"kind": "tick"}),
    ):
        with pytest.raises(BadData, match=expected):
            build(market, **{"symbol": "X", "size": size, **asked})
    build(market, "X", "7m", source="trades")
    with pytest.raises(BadData, match="made of trades"):
        build(market, "X", "7m")
    build(market, "X", "7m", anew=True)
