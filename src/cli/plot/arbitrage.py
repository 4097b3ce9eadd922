"""Both sides' prices with what an analysis found between them, and what each finding was worth."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from ...analysis.arbitrage.terms import ABOUT
from ...analysis.prices.jobs import SECONDS
from ...errors import BadData
from .bars import DAY_MS, FALLING, QUIET, RISING, Records, dress, time, title
from .command import Source

_CEX, _DEX = "#1f5fbf", "#e08a00"
_FOUND = np.dtype(
    [
        ("ts", "<i8"),
        ("buys_cex", "?"),
        ("buy_price", "<f8"),
        ("sell_price", "<f8"),
        ("profit", "<f8"),
        ("whole", "?"),
    ]
)
_PRICE = np.dtype([("ts", "<i8"), ("price", "<f8")])
_ALWAYS: Final = (datetime(2015, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
#: A line is not drawn over so many buckets without a trade.
_SILENCE = 30


@dataclass(frozen=True, slots=True)
class ArbitragePicture:
    """One batch's findings of a market in [since, until); without a batch the newest that has any."""

    symbol: str
    batch_id: int | None
    interval: str
    since: datetime | None
    until: datetime | None

    def draw(self, source: Source, figure: Figure) -> str:
        """See ``command``."""
        span = {"since": self.since or _ALWAYS[0], "until": self.until or _ALWAYS[1]}
        rows = source.tables.rows("plots.batch", symbol=self.symbol, batch_id=self.batch_id, **span)
        if not rows:
            raise BadData(
                f"{self.symbol}: no opportunities are stored of this batch and time; the task Analyse finds them",
                reason="no_opportunities",
            )
        batch_id, name, exchange, chain, pool, mode, first, last = rows[0]
        found = source.tables.read(
            "plots.opportunities",
            _FOUND,
            times=("ts",),
            batch_id=batch_id,
            exchange=exchange,
            symbol=self.symbol,
            chain=chain,
            pool=pool,
            mode=mode,
            **span,
        )
        step = SECONDS[self.interval]
        margin = max((last - first) / 20, timedelta(seconds=10 * step))
        span = {"since": self.since or first - margin, "until": self.until or last + margin}
        series = {
            label: source.tables.read(
                "plots.prices",
                _PRICE,
                times=("ts",),
                venue=venue,
                market=market,
                interval_seconds=step,
                **span,
            )
            for label, venue, market in ((exchange, exchange, self.symbol), (chain, chain, pool))
        }
        prices, profits = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
        _draw_prices(prices, series, found, step * 1000)
        _draw_profits(profits, found, mode)
        dress(prices, profits)
        prices.set_ylabel("price")
        profits.set_ylabel("profit, quote asset")
        text = (
            f"{self.symbol} and pool {pool[:8]}.. on {chain}: {mode} of {name}, {time(found['ts'][0])} UTC on"
        )
        prices.set_title(title(text), loc="left", fontweight="bold")
        figure.supxlabel(ABOUT[mode], fontsize=8, color=QUIET, x=0.01, ha="left", wrap=True)
        return (
            f"{len(found)} of {mode}, batch {batch_id}, {time(found['ts'][0])} to {time(found['ts'][-1])} UTC"
        )


def _draw_prices(axes: Axes, series: dict[str, Records], found: Records, step_ms: int) -> None:
    """The two lines, and from the price bought at to the price sold at a bar for each finding."""
    for (label, rows), colour in zip(series.items(), (_CEX, _DEX), strict=True):
        if len(rows):
            times, values = _with_gaps(rows, step_ms)
            axes.plot(times, values, color=colour, linewidth=1.0, label=title(f"{label} (close)"), zorder=3)
    at = found["ts"] / DAY_MS
    for buys_cex, label in ((True, "bought on the CEX"), (False, "bought from the pool")):
        chosen = found["buys_cex"] == buys_cex
        rows, when = found[chosen], at[chosen]
        colour = _CEX if buys_cex else _DEX
        ends = [[(x, a), (x, b)] for x, a, b in zip(when, rows["buy_price"], rows["sell_price"], strict=True)]
        axes.add_collection(LineCollection(ends, colors=colour, linewidths=0.8, alpha=0.45, zorder=2))
        axes.scatter(
            when, rows["buy_price"], s=14, marker="^", color=colour, label=f"{label}, {len(rows)}", zorder=4
        )
    axes.legend(loc="upper left", fontsize=8, framealpha=0.9)


def _draw_profits(axes: Axes, found: Records, mode: str) -> None:
    at, profit = found["ts"] / DAY_MS, found["profit"]
    whole = found["whole"]
    gains, losses = whole & (profit >= 0), whole & (profit < 0)
    for chosen, colour in ((gains, RISING), (losses, FALLING)):
        axes.vlines(at[chosen], 0.0, profit[chosen], colors=colour, linewidth=1.1, zorder=3)
    missed = at[~whole]
    if len(missed):
        axes.scatter(missed, np.zeros(len(missed)), marker="x", s=14, color=QUIET, zorder=4, linewidths=0.9)
    axes.axhline(0.0, color=QUIET, linewidth=0.8)
    word = "above the threshold" if mode == "screen" else "filled"
    text = f"{int(np.count_nonzero(whole))} {word}"
    if mode != "screen":
        text += f", sum {float(np.nansum(profit)):,.2f} as if each were alone; {len(missed)} not filled (x)"
    axes.set_title(text, loc="left", fontsize=9)


def _with_gaps(rows: Records, step_ms: int) -> tuple[Any, Any]:
    """Times and closes, each at the end of its bucket, with a break where nothing was traded for long."""
    breaks = np.flatnonzero(np.diff(rows["ts"]) > _SILENCE * step_ms) + 1
    return (
        np.insert((rows["ts"] + step_ms) / DAY_MS, breaks, np.nan),
        np.insert(rows["price"].astype(np.float64), breaks, np.nan),
    )
