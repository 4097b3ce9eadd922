"""Opportunities as rows to keep: as the screen found them, or acted on. Import this in pool processes only."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

import numpy as np

from ...ports.tables import Tables
from . import sources
from .dtypes import OPPORTUNITY, PRICED, Records
from .execution import STATUSES, Attempt, Fill, attempted
from .screen import Tally, in_order
from .sources import Pair, moment
from .terms import Strategy
from .v3_math import PoolState

#: The words of ``arbitrage_opportunities.status``, as ``RESULT`` numbers them.
WORDS: Final = ("screened", *STATUSES)

#: How long an attempt waits for a block; a chain that makes none for so long stands still.
LONGEST_WAIT_MS: Final = 3_600_000
_AT_ONCE = 4_096

#: An opportunity and what became of it; NaN, and a block of -1, is what did not come about.
RESULT = np.dtype(
    [
        *((name, OPPORTUNITY[name]) for name in OPPORTUNITY.names or ()),
        ("status", "<i8"),
        ("fill_block", "<i8"),
        ("fill_ts", "<i8"),
        ("screen_profit", "<f8"),
        ("mark_price", "<f8"),
        ("cex_markout", "<f8"),
        ("dex_markout", "<f8"),
    ]
)


def as_screened(found: Records) -> Records:
    """RESULT records of OPPORTUNITY records that nobody acts on."""
    rows = np.empty(len(found), RESULT)
    for name in OPPORTUNITY.names or ():
        rows[name] = found[name]
    rows["status"], rows["fill_block"], rows["fill_ts"] = 0, -1, 0
    for name in ("screen_profit", "mark_price", "cex_markout", "dex_markout"):
        rows[name] = np.nan
    return rows


def acted_on(
    found: Records, tables: Tables, pair: Pair, strategy: Strategy, until_ms: int, tally: Tally
) -> Records:
    """RESULT records of OPPORTUNITY records (sorted by time), each acted on; blocks count up to ``until_ms``."""
    rows = as_screened(found)
    if not len(rows):
        return rows
    sent = [int(ts) + strategy.delay_ms for ts in rows["ts"]]
    fills = [*_fills(tables, pair, rows, sent, until_ms)]
    marked = [fill.block_ms + strategy.markout_ms for fill in fills if fill is not None]
    prices = _prices(tables, pair, strategy, [*sent, *marked], tally)
    for row, (when, fill) in enumerate(zip(sent, fills, strict=True)):
        mark = np.nan if fill is None else prices[fill.block_ms + strategy.markout_ms]
        done = attempted(
            int(rows["direction"][row]),
            float(rows["gas_used"][row]),
            fill,
            prices[when],
            mark,
            pair.tokens,
            strategy,
        )
        _put(rows[row], done, fill)
    return rows


def _put(row: Any, done: Attempt, fill: Fill | None) -> None:
    """Of an attempt that was not filled the prices stay those of the screen: why it was made."""
    row["screen_profit"], row["profit"] = row["profit"], done.profit
    row["status"] = WORDS.index(done.status)
    if fill is not None:
        row["fill_block"], row["fill_ts"] = fill.block_number, fill.block_ms
    row["base_amount"], row["gas_cost"] = done.base_amount, done.gas_cost
    row["mark_price"] = done.mark_price
    row["cex_markout"], row["dex_markout"] = done.cex_markout, done.dex_markout
    if done.status == WORDS[1]:
        row["cex_price"], row["dex_price"] = done.cex_price, done.dex_price


def _fills(
    tables: Tables, pair: Pair, rows: Records, sent: list[int], until_ms: int
) -> Iterator[Fill | None]:
    """The first block after each time that something is sent, and the pool behind it."""
    for begin in range(0, len(sent), _AT_ONCE):
        asked = sent[begin : begin + _AT_ONCE]
        decided = rows[begin : begin + _AT_ONCE]
        found = tables.rows(
            "arbitrage.fills",
            **pair.pool_values,
            after=[moment(when) for when in asked],
            decided_at=[moment(when) for when in decided["ts"].tolist()],
            decided_in=decided["block_number"].tolist(),
            wait=timedelta(milliseconds=LONGEST_WAIT_MS),
            since=moment(int(decided["ts"][0])),
            until=moment(min(until_ms, asked[-1] + LONGEST_WAIT_MS + 1)),
        )
        for block_number, block_ms, base_fee, sqrt_price, liquidity, tick in found:
            if (
                block_number is None or sqrt_price is None
            ):  # without a swap, a reorg took the deciding one back
                yield None
                continue
            state = PoolState(int(sqrt_price), int(liquidity), tick, pair.fee, pair.tick_spacing)
            yield Fill(block_number, block_ms, None if base_fee is None else int(base_fee), state)


def _prices(
    tables: Tables, pair: Pair, strategy: Strategy, times: list[int], tally: Tally
) -> dict[int, float]:
    """For each time the price of the first trade from then on, within a window; NaN without one."""
    asked = sorted(set(times))
    read = sources.trades(tables, pair, asked[0], asked[-1] + strategy.window_ms)
    rows = np.concatenate([np.empty(0, PRICED), *in_order(read, tally)])
    return dict(zip(asked, sources.first_prices(rows, asked, strategy.window_ms), strict=True))
