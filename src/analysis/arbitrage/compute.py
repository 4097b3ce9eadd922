"""``Analyse`` in a kernel process: read six hours at a time, then write everything in one transaction."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from ...errors import BadData
from ...ports.tables import Note, Tables
from . import sources
from .attempts import RESULT, WORDS, acted_on, as_screened
from .dtypes import Records
from .fit import check_fit, fee_note
from .screen import Tally, screened
from .sources import Pair, moment
from .terms import ABOUT, Strategy

#: The batch of whoever names none.
AUTO_BATCH: Final = "Auto Batch 1"

#: Rows of one analysis. They are held until all are there, and a table of more is no use to anybody.
MOST_ROWS: Final = 500_000
_AT_ONCE = 50_000


def compute(
    *, tables: Tables, note: Note, batch_id: int | None, overwrite: bool, strategy: dict[str, Any]
) -> dict[str, Any]:
    """Find the opportunities of the strategy's range and write them into the batch; the report that it gets.

    With ``overwrite`` the batch's rows are deleted in the transaction that writes the new ones; without, what it has of
    a swap and a direction stays. Raises ``BadData`` where there is no such batch, market, pool or range, and for a pool
    or a market of another coin than gas is paid in.
    """
    asked = Strategy.model_validate(strategy)
    if batch_id is not None:
        _batch(tables, batch_id)
    pair = sources.pair_of(tables, asked.exchange, asked.symbol, asked.chain, asked.pool)
    check_fit(pair.chain, pair.base_symbol, pair.symbol)
    span = _span(tables, pair, asked)
    note(ABOUT[asked.mode])
    if asked.gas_ignored is not None:
        note(asked.gas_ignored)
    if (other_fee := fee_note(asked.uniswap_fee_rate, pair.fee)) is not None:
        note(other_fee)
    tally = Tally()
    rows = _found(tables, note, pair, asked, span, tally)
    report = {
        "about": ABOUT[asked.mode],
        "strategy": asked.model_dump(mode="json"),
        "market": {**pair.market_values, **pair.pool_values},
        "pool_fee_rate": pair.fee / 1_000_000,
        "from": moment(span.from_ms).isoformat(),
        "to": moment(span.to_ms).isoformat(),
        "trades_read": tally.trades,
        "backward_trades": tally.backward_trades,
        **_missing(tables, pair, span),
        "swaps": tally.outcomes,
        "opportunities": len(rows),
        "statuses": dict(Counter(WORDS[status] for status in rows["status"].tolist())),
        "profit_each_alone": float(np.nansum(rows["profit"])) if asked.mode == "execution" else None,
    }
    return _written(tables, rows, pair, asked, span, report, batch_id, overwrite)


@dataclass(frozen=True, slots=True)
class _Span:
    """Swaps of [from_ms, to_ms) are analysed; blocks that fill attempts may come later, up to ``final_ms``."""

    from_ms: int
    to_ms: int
    final_ms: int


def _span(tables: Tables, pair: Pair, strategy: Strategy) -> _Span:
    """The block times whose swaps, and the trades that their window and fill need, are all known."""
    start_ms = None if strategy.start is None else round(strategy.start.timestamp() * 1000)
    swaps = sources.known_swaps(tables, pair, start_ms)
    from_ms = max(swaps.from_ms, start_ms or swaps.from_ms)
    trades = sources.known_trades(tables, pair, from_ms)
    from_ms = max(from_ms, trades.from_ms + strategy.delay_ms + strategy.window_ms)
    ahead = -strategy.delay_ms if strategy.mode == "screen" else strategy.delay_ms + strategy.window_ms
    to_ms = min(swaps.to_ms, trades.to_ms - ahead)
    if strategy.end is not None:
        to_ms = min(to_ms, round(strategy.end.timestamp() * 1000))
    if from_ms >= to_ms:
        raise BadData(
            f"nothing to analyse: swaps are final from {moment(swaps.from_ms):%Y-%m-%d %H:%M:%S} to "
            f"{moment(swaps.to_ms):%Y-%m-%d %H:%M:%S}, trades closed from {moment(trades.from_ms):%Y-%m-%d %H:%M:%S} "
            f"to {moment(trades.to_ms):%Y-%m-%d %H:%M:%S}; collect both for one range, or ask for another",
            reason="range",
        )
    return _Span(from_ms, to_ms, swaps.to_ms)


def _found(tables: Tables, note: Note, pair: Pair, strategy: Strategy, span: _Span, tally: Tally) -> Records:
    found: list[Records] = []
    count = 0
    for since, until in sources.slices(span.from_ms, span.to_ms):
        rows = _slice(tables, pair, strategy, _Span(since, until, span.final_ms), tally)
        found.append(rows)
        count += len(rows)
        if count > MOST_ROWS:
            raise BadData(
                f"more than {MOST_ROWS} opportunities until {moment(until):%Y-%m-%d}: raise profit_threshold, "
                "or name an earlier end",
                reason="rows",
            )
        note(
            f"{moment(since):%Y-%m-%d %H:%M}: {len(rows)} found",
            (until - span.from_ms) / (span.to_ms - span.from_ms),
        )
    return np.concatenate(found) if found else np.empty(0, RESULT)


def _slice(tables: Tables, pair: Pair, strategy: Strategy, span: _Span, tally: Tally) -> Records:
    swaps = sources.swaps(tables, pair, span.from_ms, span.to_ms)
    if not len(swaps):
        return np.empty(0, RESULT)
    latest = int(swaps["ts"][-1]) - strategy.delay_ms
    earliest = int(swaps["ts"][0]) - strategy.delay_ms - strategy.window_ms
    trades = sources.trades(tables, pair, earliest, latest)
    pieces = [*screened(trades, [swaps], strategy, tally)]
    if not pieces:
        return np.empty(0, RESULT)
    found = np.concatenate(pieces)
    if strategy.mode == "screen":
        return as_screened(found)
    return acted_on(found, tables, pair, strategy, span.final_ms, tally)


def _written(
    tables: Tables,
    rows: Records,
    pair: Pair,
    strategy: Strategy,
    span: _Span,
    report: dict[str, Any],
    batch_id: int | None,
    overwrite: bool,
) -> dict[str, Any]:
    """All or nothing, and one analysis of a batch at a time: its line is locked first."""
    values = {
        **pair.market_values,
        **pair.pool_values,
        "mode": strategy.mode,
        "statuses": list(WORDS),
        "since": moment(span.from_ms),
        "until": moment(span.to_ms),
    }
    with tables.transaction():
        chosen, name = _batch(tables, batch_id)
        deleted = tables.rows("arbitrage.clear_batch", batch_id=chosen)[0][0] if overwrite else 0
        written = 0
        for begin in range(0, len(rows), _AT_ONCE):
            part = rows[begin : begin + _AT_ONCE]
            kept = tables.write("arbitrage.keep", part, times=("ts", "fill_ts"), **values, batch_id=chosen)
            written += kept[0][0]
        report = {**report, "batch_id": chosen, "batch": name, "deleted": deleted, "written": written}
        tables.rows("arbitrage.report", batch_id=chosen, report=json.dumps(report))
    return report


def _batch(tables: Tables, batch_id: int | None) -> tuple[int, str]:
    """Id and name of the batch, locked until the transaction ends; one that nobody names is made."""
    if batch_id is None:
        tables.rows("arbitrage.auto_batch", name=AUTO_BATCH)
    found = tables.rows(
        "arbitrage.lock_batch", batch_id=batch_id, name=AUTO_BATCH if batch_id is None else None
    )
    if not found:
        raise BadData(
            f"batch_id: there is no batch {batch_id}; leave it out to use {AUTO_BATCH}", reason="batch"
        )
    chosen, name = found[0]
    return int(chosen), str(name)


def _missing(tables: Tables, pair: Pair, span: _Span) -> dict[str, int]:
    """Trades of the range that are not stored, and never will be or are not looked for: a window may lack them."""
    bounds = {"since": moment(span.from_ms), "until": moment(span.to_ms)}
    gaps, trades = tables.rows("arbitrage.trade_gaps", **pair.market_values, **bounds)[0]
    return {"trade_gaps": int(gaps), "trades_missing": int(trades)}
