"""Bars as candlesticks with their volume; other pictures draw on top of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import matplotlib.dates
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from ...analysis.levels.jobs import PERIODS_MS
from ...errors import BadData
from .command import Source, drawable

Records: TypeAlias = npt.NDArray[np.void]

RISING, FALLING, QUIET = "#26a69a", "#ef5350", "#787b86"
DAY_MS = 86_400_000
#: Its functions have no types.
_dates: Any = matplotlib.dates
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BODY = 0.7
_DRAWN = np.dtype(
    [("open_ts", "<i8"), ("close_ts", "<i8")]
    + [(name, "<f8") for name in ("open", "high", "low", "close", "volume")]
)


@dataclass(frozen=True, slots=True)
class BarPicture:
    """The last ``count`` bars of a symbol that had closed at ``at_ms`` (None: the newest)."""

    symbol: str
    timeframe: str
    count: int
    at_ms: int | None

    def draw(self, source: Source, figure: Figure) -> str:
        """See ``command``."""
        bars = read_bars(source, self.symbol, self.timeframe, self.at_ms, self.count)
        prices, _ = candlesticks(figure, bars)
        prices.set_title(
            title(f"{self.symbol} {self.timeframe}, {span(bars)}"), loc="left", fontweight="bold"
        )
        return f"{len(bars)} bars of {self.timeframe}, {span(bars)}"


def read_bars(source: Source, symbol: str, timeframe: str, at_ms: int | None, count: int) -> Records:
    """The bars of the last ``count`` periods. Raises BadData where there are none."""
    period_ms = PERIODS_MS[timeframe]
    named = {"exchange": source.exchange, "symbol": symbol}
    fronts = source.tables.rows("plots.made_to", **named)
    made_to = fronts[0][0] if fronts else _EPOCH
    until = made_to if at_ms is None else min(made_to, _EPOCH + timedelta(milliseconds=at_ms))
    since = until - timedelta(milliseconds=count * period_ms)
    found: Records = source.tables.read(
        "plots.bars",
        _DRAWN,
        times=("open_ts", "close_ts"),
        kind="time",
        length=float(period_ms),
        since=since,
        until=until,
        **named,
    )
    if not len(found):
        when = f" up to {until:%Y-%m-%d %H:%M}" if fronts else ""
        raise BadData(
            f"{symbol}: no bars of {timeframe}{when}; the task Bars makes them"
            " (marketd symbols --listings tells which symbols there are)",
            reason="no_bars",
        )
    return found


def candlesticks(figure: Figure, bars: Records) -> tuple[Axes, Axes]:
    """Prices above, volumes below, on one axis of days since 1970; returns both."""
    prices, volumes = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    opened = bars["open_ts"] / DAY_MS
    width = float(np.median(bars["close_ts"] - bars["open_ts"])) / DAY_MS
    middle = opened + width / 2
    rising = bars["close"] >= bars["open"]
    colours = np.where(rising, RISING, FALLING).tolist()
    left, right = middle - width * _BODY / 2, middle + width * _BODY / 2
    wicks = [[(x, low), (x, high)] for x, low, high in zip(middle, bars["low"], bars["high"], strict=True)]
    prices.add_collection(LineCollection(wicks, colors=colours, linewidths=0.8, zorder=2))
    prices.add_collection(
        PolyCollection(
            _boxes(left, right, bars["open"], bars["close"]),
            facecolors=colours,
            edgecolors=colours,
            linewidths=0.6,
            zorder=3,
        )
    )
    volumes.add_collection(
        PolyCollection(
            _boxes(left, right, np.zeros(len(bars)), bars["volume"]), facecolors=colours, linewidths=0
        )
    )
    low, high = float(bars["low"].min()), float(bars["high"].max())
    margin = (high - low or high) * 0.05
    prices.set_ylim(low - margin, high + margin)
    prices.set_xlim(opened[0] - width, bars["close_ts"][-1] / DAY_MS + width)
    volumes.set_ylim(0, float(bars["volume"].max()) * 1.1 or 1.0)
    dress(prices, volumes)
    prices.set_ylabel("price")
    volumes.set_ylabel("volume")
    volumes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
    return prices, volumes


def span(bars: Records) -> str:
    """From when to when, for people."""
    return f"{time(bars['open_ts'][0])} to {time(bars['close_ts'][-1])} UTC"


def title(text: str) -> str:
    """Text that the font can show."""
    return drawable(text)


def dress(prices: Axes, below: Axes) -> None:
    """A grid, times for people, and nothing that is not needed."""
    locator = _dates.AutoDateLocator(tz=UTC)
    below.xaxis.set_major_locator(locator)
    below.xaxis.set_major_formatter(_dates.ConciseDateFormatter(locator, tz=UTC))
    prices.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    for axes in (prices, below):
        axes.grid(color="#e0e3eb", linewidth=0.6, zorder=0)
        axes.set_axisbelow(True)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)


def _boxes(
    left: npt.NDArray[np.float64],
    right: npt.NDArray[np.float64],
    bottom: npt.NDArray[np.float64],
    top: npt.NDArray[np.float64],
) -> list[npt.NDArray[np.float64]]:
    """Four corners (x, y) a bar."""
    corners = [(left, bottom), (left, top), (right, top), (right, bottom)]
    return list(np.stack([np.stack(corner, axis=-1) for corner in corners], axis=1))


def _short(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def time(ms: int) -> str:
    """A time for people."""
    return f"{_EPOCH + timedelta(milliseconds=int(ms)):%Y-%m-%d %H:%M}"
