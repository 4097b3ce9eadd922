"""Naive twins of the kernels: what they compute, written so that it is obviously right, and slow.

Rows are plain tuples in the order of the dtypes of ``src.analysis.bars.dtypes``; so are the bars.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby

_DAY_MS = 86_400_000
_WEEK_MS = 7 * _DAY_MS

Trade = tuple[int, int, float, float, bool]  # ts, id, price, quantity, is_buyer_maker
Candle = tuple[int, float, float, float, float, float, float, int, float]
Bar = tuple[int, int, int, float, float, float, float, float, float, int, float, float]


def newest_of_steps(times_ms: Iterable[int], length_ms: int, origin_ms: int = 0) -> list[int]:
    """The newest moment of each step (begin, begin + length], from the oldest to the newest."""
    newest: dict[int, int] = {}
    for ms in sorted(times_ms):
        newest[(ms - 1 - origin_ms) // length_ms] = ms
    return sorted(newest.values())


def time_bars_of_trades(
    trades: Sequence[Trade], size_ms: int, cuts: Sequence[int] = (), until_ms: int | None = None
) -> list[Bar]:
    """A bar for each stretch of time with trades; the last one only if it is over by ``until_ms``."""
    timed = _never_back(trades)
    groups = groupby(timed, key=lambda trade: _stretch(trade[0], size_ms, cuts))
    bars = [_bar(opened, closed, 0, list(members)) for (opened, closed), members in groups]
    return _finished(bars, until_ms)


def threshold_bars(
    trades: Sequence[Trade], measure: Callable[[Trade], float], size: float, cuts: Sequence[int] = ()
) -> list[Bar]:
    """A bar as soon as its trades measure ``size``; what is left at a cut or at the end makes none."""
    bars: list[Bar] = []
    for _, listing in groupby(_never_back(trades), key=lambda trade: _listing(trade[0], cuts)):
        members: list[Trade] = []
        for trade in listing:
            members.append(trade)
            if _added(measure(member) for member in members) >= size:
                bars.append(_bar(members[0][0], members[-1][0], members[0][1], members))
                members = []
    return bars


MEASURES: dict[str, Callable[[Trade], float]] = {
    "TICK": lambda trade: 1,
    "VOLUME": lambda trade: trade[3],
    "DOLLAR": lambda trade: trade[2] * trade[3],
}


def time_bars_of_candles(
    candles: Sequence[Candle],
    size_ms: int,
    cuts: Sequence[int] = (),
    until_ms: int | None = None,
    *,
    part_ms: int = 60_000,
) -> list[Bar]:
    """A bar for each stretch of time with candles; the last one only with its last candle, or over by ``until_ms``."""
    bars = [
        _bar_of_candles(opened, closed, list(members))
        for (opened, closed), members in groupby(
            candles, key=lambda candle: _stretch(candle[0], size_ms, cuts)
        )
    ]
    if candles:
        last_end = _stretch(candles[-1][0], part_ms, cuts)[1]
        until_ms = last_end if until_ms is None else max(until_ms, last_end)
    return _finished(bars, until_ms)


def _finished(bars: list[Bar], until_ms: int | None) -> list[Bar]:
    if bars and (until_ms is None or bars[-1][1] > until_ms):
        return bars[:-1]
    return bars


def _never_back(trades: Sequence[Trade]) -> list[Trade]:
    """A trade that is earlier than one before it happens at that one's time."""
    return [
        (max(other[0] for other in trades[: index + 1]), *trade[1:]) for index, trade in enumerate(trades)
    ]


def _listing(ms: int, cuts: Sequence[int]) -> int:
    return sum(1 for cut in cuts if cut <= ms)


def _stretch(ms: int, size_ms: int, cuts: Sequence[int]) -> tuple[int, int]:
    """[open, close) of the bar around ``ms``: found by walking, not by rounding."""
    opened = 4 * _DAY_MS if size_ms % _WEEK_MS == 0 else 0
    opened += (ms - opened) // size_ms * size_ms
    assert opened <= ms < opened + size_ms
    before = [cut for cut in cuts if cut <= ms]
    after = [cut for cut in cuts if cut > ms]
    return max([opened, *before]), min([opened + size_ms, *after])


def _bar(open_ts: int, close_ts: int, first_trade_id: int, trades: list[Trade]) -> Bar:
    prices = [trade[2] for trade in trades]
    volume = _added(trade[3] for trade in trades)
    quote_volume = _added(trade[2] * trade[3] for trade in trades)
    return (
        open_ts,
        close_ts,
        first_trade_id,
        prices[0],
        max(prices),
        min(prices),
        prices[-1],
        volume,
        quote_volume,
        len(trades),
        _added(trade[3] for trade in trades if not trade[4]),
        quote_volume / volume if volume else prices[-1],
    )


def _bar_of_candles(open_ts: int, close_ts: int, candles: list[Candle]) -> Bar:
    volume = _added(candle[5] for candle in candles)
    quote_volume = _added(candle[6] for candle in candles)
    counts = [candle[7] for candle in candles]
    return (
        open_ts,
        close_ts,
        0,
        candles[0][1],
        max(candle[2] for candle in candles),
        min(candle[3] for candle in candles),
        candles[-1][4],
        volume,
        quote_volume,
        -1 if -1 in counts else sum(counts),
        _added(candle[8] for candle in candles),
        quote_volume / volume if volume else candles[-1][4],
    )


def _added(values: Iterable[float]) -> float:
    """From left to right: ``sum`` of Python 3.12 corrects what float addition loses."""
    total = 0.0
    for value in values:
        total += value
    return total


def same(bars: Iterable[Bar], others: Iterable[Bar]) -> bool:
    """Equal to the bit, an unknown value (NaN) being equal to itself."""
    ours, theirs = list(bars), list(others)
    return len(ours) == len(theirs) and all(
        mine == yours or (math.isnan(mine) and math.isnan(yours))
        for one, other in zip(ours, theirs, strict=True)
        for mine, yours in zip(one, other, strict=True)
    )
