"""The screen of CEX against DEX over two streams: pure functions over the kernel. Import this in pool processes only.

    for found in screened(trade_pieces, swap_pieces, strategy, tally):
        ...

What is found does not depend on where the streams were cut. At any time there are in memory a piece of trades, the
trades of one window before it, and a piece of swaps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from ...errors import BadData
from . import kernels
from .dtypes import OPPORTUNITY, OUTCOMES, PRICED, SWAP, Records
from .terms import Strategy

#: How far a trade may go back behind the one before it (docs/adr/0040-bars.md); more than this is damage.
BACKWARD_MS = 60_000

_LAST = 2**62


@dataclass(slots=True)
class Tally:
    """What was met on the way; ``backward_trades`` are stamped earlier than one before them."""

    trades: int = 0
    swaps: int = 0
    backward_trades: int = 0
    outcomes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(OUTCOMES, 0))


def screened(
    trades: Iterable[Records], swaps: Iterable[Records], strategy: Strategy, tally: Tally
) -> Iterator[Records]:
    """OPPORTUNITY records of each piece, in the order of the swaps (of one swap: CEX bought first).

    ``trades`` are pieces of PRICED in order of id, ``swaps`` pieces of SWAP in order of (block, log). A trade that is
    stamped earlier than one before it counts at that one's time: later than its own, so that no price is used before
    it could be known. Raises BadData, naming the row, for what cannot be.
    """
    waiting = _Swaps(swaps, tally)
    for window, known_until in _windows(in_order(trades, tally), waiting, strategy):
        while len(ready := waiting.until(known_until + strategy.delay_ms)):
            found = np.empty(2 * len(ready), OPPORTUNITY)
            counts = np.zeros(len(OUTCOMES), np.int64)
            written = kernels.screen(
                window,
                ready,
                strategy.delay_ms,
                strategy.window_ms,
                strategy.profit_threshold,
                strategy.initial_investment,
                strategy.binance_fee_rate,
                strategy.uniswap_fee_rate,
                strategy.gas_estimate,
                found,
                counts,
            )
            for name, count in zip(OUTCOMES, counts.tolist(), strict=True):
                tally.outcomes[name] += count
            if written:
                yield found[:written].copy()


class _Swaps:
    """The swaps that were not screened yet, piece by piece."""

    def __init__(self, pieces: Iterable[Records], tally: Tally) -> None:
        self._pieces = iter(pieces)
        self._tally = tally
        self._waiting = np.empty(0, SWAP)
        self._clock = -_LAST

    def until(self, time_ms: int) -> Records:
        """Those of the piece at hand at ``time_ms`` or before it; none when nothing more is."""
        self._fill()
        count = int(np.searchsorted(self._waiting["ts"], time_ms, "right"))
        ready, self._waiting = self._waiting[:count], self._waiting[count:]
        return ready

    def next_ts(self) -> int | None:
        """When the next swap is; None when all are done."""
        self._fill()
        return int(self._waiting["ts"][0]) if len(self._waiting) else None

    def _fill(self) -> None:
        while not len(self._waiting):
            piece = next(self._pieces, None)
            if piece is None:
                return
            _check_dtype(piece, SWAP)
            if not len(piece):
                continue
            steps = np.diff(piece["ts"], prepend=self._clock)
            if np.any(steps < 0):
                row = piece[int(np.argmax(steps < 0))]
                raise BadData(
                    f"swap {row['log_index']} of block {row['block_number']} is earlier than the one before it: "
                    "give swaps in order of block and log",
                    reason="arbitrage_order",
                )
            self._clock = int(piece["ts"][-1])
            self._tally.swaps += len(piece)
            self._waiting = piece


def _windows(pieces: Iterator[Records], waiting: _Swaps, strategy: Strategy) -> Iterator[tuple[Records, int]]:
    """(trades, the time before which all trades are among those seen), the last time with what is left.

    Pieces are read to their end, also when no swap waits any more.
    """
    kept = np.empty(0, PRICED)
    for piece in pieces:
        next_swap = waiting.next_ts()
        if next_swap is None:
            continue
        first = np.searchsorted(kept["ts"], next_swap - strategy.delay_ms - strategy.window_ms)
        kept = np.concatenate([kept[first:], piece])
        yield kept, int(piece["ts"][-1])
    yield kept, _LAST


def in_order(pieces: Iterable[Records], tally: Tally) -> Iterator[Records]:
    """The pieces that are not empty, with times that never go back. Raises BadData for what cannot be."""
    clock = -_LAST
    for piece in pieces:
        _check_dtype(piece, PRICED)
        if len(piece):
            checked = _checked(piece, clock, tally)
            clock = int(checked["ts"][-1])
            yield checked


def _checked(piece: Records, clock: int, tally: Tally) -> Records:
    """The piece with times that never go back, each at least ``clock``."""
    ts = piece["ts"]
    times = np.maximum(np.maximum.accumulate(ts), clock)
    late = times - ts
    price, quantity = piece["price"], piece["quantity"]
    wrong = ~((price > 0) & (price < np.inf) & (quantity >= 0) & (quantity < np.inf))
    if np.any(wrong):
        row = piece[int(np.argmax(wrong))]
        raise BadData(
            f"the trade at {row['ts']} has a price or quantity that cannot be: {row['price']}, {row['quantity']}",
            reason="arbitrage_value",
        )
    if np.any(late > BACKWARD_MS):
        row = piece[int(np.argmax(late > BACKWARD_MS))]
        raise BadData(
            f"the trade at {row['ts']} is more than {BACKWARD_MS} ms earlier than one before it: repair its time",
            reason="arbitrage_backward",
        )
    tally.trades += len(piece)
    tally.backward_trades += int(np.count_nonzero(late))
    if not np.any(late):
        return piece
    checked = piece.copy()
    checked["ts"] = times
    return checked


def _check_dtype(piece: Records, wanted: np.dtype[np.void]) -> None:
    if piece.dtype != wanted:
        raise TypeError(f"these must be {wanted}, not {piece.dtype}")
