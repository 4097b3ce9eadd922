"""``ProcessPrices`` in a kernel process: both sides' series, six hours at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ...ports.tables import Note, Tables
from ..arbitrage import sources
from ..arbitrage.dtypes import Records
from ..arbitrage.screen import Tally, in_order
from ..arbitrage.sources import Known, Pair, moment
from .kernels import DEAL, SERIES, price_series

#: A swap in whole tokens; a price that was left without liquidity is nobody's price.
_SWAPPED = np.dtype([*((name, DEAL[name]) for name in DEAL.names or ()), ("liquid", "?")])


def compute(
    *,
    tables: Tables,
    note: Note,
    exchange: str,
    symbol: str | None,
    chain: str | None,
    pool: str | None,
    start_ms: int | None,
    end_ms: int | None,
    interval_seconds: int,
    overwrite: bool,
    session: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Write the series of [start_ms, end_ms) as far as whole buckets are known; what was read and written.

    Without a start each side goes on behind its newest bucket; without an end, up to what is known. ``session`` are
    settings of the database session (``analysis.overrides``), for this call alone.
    """
    for name, value in (session or {}).items():
        tables.rows("session.tune", name=name, value=value)
    pair = sources.pair_of(tables, exchange, symbol, chain, pool)
    ends = {
        venue: start_ms if start_ms is not None else _end_of(tables, venue, market, interval_seconds)
        for venue, market in ((pair.exchange, pair.symbol), (pair.chain, pair.pool))
    }
    sides = {
        "cex": _Side(tables, pair, sources.known_trades(tables, pair, ends[pair.exchange]), dex=False),
        # Ranges of a pool may have a hole between them that nobody fills: what goes on by itself follows the newest.
        "dex": _Side(tables, pair, sources.known_swaps(tables, pair, start_ms), dex=True),
    }
    done = {}
    for place, (name, side) in enumerate(sides.items()):
        step_ms = interval_seconds * 1000
        from_ms, to_ms = _whole(side.known, ends[side.venue], end_ms, step_ms)
        done[name] = side.write(from_ms, to_ms, step_ms, overwrite)
        said = done[name]
        note(
            f"{side.venue} {side.market}: {said['written']} rows written of {said['from']} to {said['to']}",
            (place + 1) / len(sides),
        )
    return {**done, "interval_seconds": interval_seconds}


class _Side:
    def __init__(self, tables: Tables, pair: Pair, known: Known, *, dex: bool) -> None:
        self.known = known
        self.venue, self.market = (pair.chain, pair.pool) if dex else (pair.exchange, pair.symbol)
        self._tables, self._pair, self._dex = tables, pair, dex
        self._tally = Tally()
        self._illiquid = 0

    def write(self, from_ms: int, to_ms: int, step_ms: int, overwrite: bool) -> dict[str, Any]:
        """Six hours are one transaction: there whole, with what was deleted for them, or as they were before."""
        values = {"venue": self.venue, "market": self.market, "interval_seconds": step_ms // 1000}
        made = written = deleted = 0
        for since, until in sources.slices(from_ms, to_ms):
            series = [*price_series(self._deals(since, until), step_ms)]
            rows = np.concatenate(series) if series else np.empty(0, SERIES)
            with self._tables.transaction():
                if overwrite:
                    span = {"since": moment(since), "until": moment(until)}
                    deleted += self._tables.rows("prices.clear", **values, **span)[0][0]
                if len(rows):
                    kept = self._tables.write("prices.keep", rows, times=("bucket_ts",), **values)
                    written += kept[0][0]
            made += len(rows)
        return {
            "venue": self.venue,
            "market": self.market,
            "from": moment(from_ms).isoformat(),
            "to": moment(to_ms).isoformat(),
            "made": made,
            "written": written,
            "deleted": deleted,
            "read": self._tally.swaps if self._dex else self._tally.trades,
            "without_liquidity": self._illiquid,
        }

    def _deals(self, from_ms: int, to_ms: int) -> Iterator[Records]:
        if self._dex:
            yield self._swapped(from_ms, to_ms)
            return
        for piece in in_order(sources.trades(self._tables, self._pair, from_ms, to_ms), self._tally):
            first, last = np.searchsorted(piece["ts"], [from_ms, to_ms])
            deals = np.empty(last - first, DEAL)
            deals["ts"], deals["price"] = piece["ts"][first:last], piece["price"][first:last]
            deals["base"] = piece["quantity"][first:last]
            deals["quote"] = deals["price"] * deals["base"]
            yield deals

    def _swapped(self, from_ms: int, to_ms: int) -> Records:
        found = self._tables.read(
            "prices.swaps",
            _SWAPPED,
            times=("ts",),
            **self._pair.pool_values,
            since=moment(from_ms),
            until=moment(to_ms),
        )
        self._tally.swaps += len(found)
        liquid = found[found["liquid"]]
        self._illiquid += len(found) - len(liquid)
        deals = np.empty(len(liquid), DEAL)
        for name in DEAL.names or ():
            deals[name] = liquid[name]
        return deals


def _end_of(tables: Tables, venue: str, market: str, interval_seconds: int) -> int | None:
    """Where a stored series ends, UTC milliseconds; None where there is none."""
    found = tables.rows(
        "prices.newest", venue=venue, market=market, interval_seconds=interval_seconds, since=moment(0)
    )
    return round(found[0][0].timestamp() * 1000) + interval_seconds * 1000 if found else None


def _whole(known: Known, start_ms: int | None, end_ms: int | None, step_ms: int) -> tuple[int, int]:
    """The buckets of [start_ms, end_ms) that are known from their first to their last millisecond."""
    first, last = -(-known.from_ms // step_ms), known.to_ms // step_ms
    if start_ms is not None:
        first = max(first, start_ms // step_ms)
    if end_ms is not None:
        last = min(last, -(-end_ms // step_ms))
    return first * step_ms, max(first, last) * step_ms
