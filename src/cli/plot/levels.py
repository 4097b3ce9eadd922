"""Levels over bars: the best of each side as they were known, their pivots, zones and scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...analysis.levels.jobs import market_of
from ...analysis.levels.pivots import LEVEL_BAR, Records
from ...analysis.levels.rows import known_at
from ...analysis.levels.scores import Score, best
from ...analysis.levels.terms import SPAN_BARS, Level, Side
from ...errors import BadData
from .bars import DAY_MS, QUIET, candlesticks, read_bars, span, time, title
from .command import Source

_COLOURS = {Side.SUPPORT: "#1b7f4d", Side.RESISTANCE: "#b3261e"}
_WORST, _BEST = 1.0, 6.5
#: Levels farther from what is drawn than this share of its height are told of, but the picture does not grow for them.
_FARTHEST = 0.35


@dataclass(frozen=True, slots=True)
class LevelPicture:
    """The last ``count`` bars that had closed at ``at_ms`` (None: the newest), with the levels known then."""

    symbol: str
    timeframe: str
    count: int
    at_ms: int | None

    def draw(self, source: Source, figure: Figure) -> str:
        """See ``command``."""
        whole = read_bars(source, self.symbol, self.timeframe, self.at_ms, SPAN_BARS)
        bars, at_ms = whole[-self.count :], int(whole["close_ts"][-1])
        market = market_of(self.timeframe, source.exchange)
        levels = known_at(source.tables, market, self.symbol, at_ms)
        if not levels:
            raise BadData(
                f"{self.symbol} {self.timeframe}: no level is known of that time; the task Levels finds them",
                reason="no_levels",
            )
        chosen = best(levels, _as_level_bars(whole), market.span_ms)
        prices, _ = candlesticks(figure, bars)
        drawn = [pair for side in Side for pair in chosen[side]]
        far = _make_room(prices, [level for level, _ in drawn])
        for level, score in drawn:
            if level not in far:
                _draw_level(prices, level, score, bars)
        _label(prices, [pair for pair in drawn if pair[0] not in far], float(bars["close"][-1]))
        prices.axhline(float(bars["close"][-1]), color=QUIET, linewidth=0.9, linestyle=":", zorder=1)
        prices.set_title(
            title(f"{self.symbol} {self.timeframe}: levels known at {time(at_ms)} UTC"),
            loc="left",
            fontweight="bold",
        )
        figure.supxlabel(_beneath(whole, levels, far), fontsize=8, color=QUIET, x=0.01, ha="left")
        return f"{len(drawn)} of {len(levels)} levels, {span(bars)}"


def _make_room(prices: Axes, levels: Sequence[Level]) -> list[Level]:
    """Widen the picture to levels that are not far outside; returns those that are."""
    low, high = prices.get_ylim()
    reach = (high - low) * _FARTHEST
    far = [level for level in levels if not low - reach <= level.price <= high + reach]
    shown = [level.price for level in levels if level not in far]
    edge = (high - low) * 0.04
    prices.set_ylim(
        min([low, *(price - edge for price in shown)]), max([high, *(price + edge for price in shown)])
    )
    return far


def _draw_level(prices: Axes, level: Level, score: Score, bars: Records) -> None:
    colour = _COLOURS[level.side]
    left, right = bars["open_ts"][0] / DAY_MS, bars["close_ts"][-1] / DAY_MS
    weight = min(1.0, max(0.0, (score.total - _WORST) / (_BEST - _WORST)))
    founder = level.touches[0]
    since, formed = max(left, founder.pivot_ms / DAY_MS), max(left, level.formed_ms / DAY_MS)
    edges = level.side.broken_beyond(founder.price), level.side.reached_from(founder.price)
    prices.fill_between(
        [formed, right], min(edges), max(edges), color=colour, alpha=0.10, linewidth=0, zorder=1
    )
    # Dashed until it was known: nobody could have traded on it before.
    prices.plot(
        [since, formed], [level.price] * 2, color=colour, linewidth=1, linestyle=(0, (2, 2)), zorder=4
    )
    # Thinner from where it was broken on.
    until = right if level.broken_ms is None else max(formed, level.broken_ms / DAY_MS)
    prices.plot([formed, until], [level.price] * 2, color=colour, linewidth=0.8 + 2 * weight, zorder=4)
    prices.plot([until, right], [level.price] * 2, color=colour, linewidth=0.8, alpha=0.7, zorder=4)
    touches = [touch for touch in level.touches if touch.pivot_ms / DAY_MS >= left]
    half = float(np.median(bars["close_ts"] - bars["open_ts"])) / 2
    prices.scatter(
        [(touch.pivot_ms + half) / DAY_MS for touch in touches],
        [touch.price for touch in touches],
        s=[14 + 12 * touch.windows for touch in touches],
        marker="^" if level.side is Side.SUPPORT else "v",
        facecolor="white",
        edgecolor=colour,
        linewidth=1.1,
        zorder=5,
    )


def _label(prices: Axes, drawn: Sequence[tuple[Level, Score]], last: float) -> None:
    """Price, distance, score, pivots and tests of each level at the right, moved apart where they would overlap."""
    low, high = prices.get_ylim()
    step = (high - low) * 0.034
    place = -np.inf
    for level, score in sorted(drawn, key=lambda pair: pair[0].price):
        place = max(level.price, place + step)
        prices.annotate(
            f"{level.price:,.6g}  {(level.price / last - 1) * 100:+.1f} %  score {score.total:.1f}"
            f"  {len(level.touches)} piv  {level.tests} tests{', broken' if level.state == 'broken' else ''}",
            xy=(1.0, level.price),
            xytext=(1.025, place),
            xycoords=("axes fraction", "data"),
            textcoords=("axes fraction", "data"),
            arrowprops={
                "arrowstyle": "-",
                "relpos": (0, 0.5),  # to the left end of the words, never across those of a neighbour
                "shrinkA": 1,
                "color": _COLOURS[level.side],
                "linewidth": 0.6,
            },
            color=_COLOURS[level.side],
            fontsize=8,
            va="center",
            annotation_clip=False,
        )


def _beneath(bars: Records, levels: Sequence[Level], far: Sequence[Level]) -> str:
    text = (
        f"of {len(bars)} bars, {len(levels)} levels, the best five of each side; band: 0.5 % around the founder;"
        " marker: pivot, larger where it is one of more windows; dashed: not known yet; thin: broken;"
        " dotted: last close"
    )
    if far:
        text += f"; outside: {', '.join(f'{level.price:,.6g}' for level in far)}"
    return text


def _as_level_bars(bars: Records) -> Records:
    made = np.empty(len(bars), LEVEL_BAR)
    for name in LEVEL_BAR.names or ():
        made[name] = bars[name]
    return made
