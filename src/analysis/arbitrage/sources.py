"""Which market is compared with which pool, up to where both are known, and their rows in pieces.

Read in slices of six hours: what is in memory does not grow with the range. Import this in pool processes only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from ...errors import BadData
from ...model import DAY_MS
from ...ports.tables import Tables
from .dtypes import PRICED, SWAP, Records
from .execution import Tokens
from .screen import BACKWARD_MS

#: So much is in memory at once: of the busiest markets a million and a half trades, 50 MB.
SLICE_MS = DAY_MS // 4
_WITH_ID = np.dtype([("trade_id", "<i8"), *((name, PRICED[name]) for name in PRICED.names or ())])
_NEVER = 2**62
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Pair:
    """A market of the CEX and a pool that trade the same two assets."""

    exchange: str
    symbol: str
    chain: str
    pool: str
    tokens: Tokens
    fee: int
    tick_spacing: int
    base_symbol: str = ""

    @property
    def market_values(self) -> dict[str, Any]:
        return {"exchange": self.exchange, "symbol": self.symbol}

    @property
    def pool_values(self) -> dict[str, Any]:
        return {"chain": self.chain, "pool": self.pool}


@dataclass(frozen=True, slots=True)
class Known:
    """[from_ms, to_ms), UTC milliseconds: what may be read, for all of it is there and stays."""

    from_ms: int
    to_ms: int


def moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def pair_of(tables: Tables, exchange: str, symbol: str | None, chain: str | None, pool: str | None) -> Pair:
    """What was asked for; what was left out, where one is stored. Raises ``BadData`` (``market``) that names them."""
    address = None if pool is None else pool.lower()
    pools = [
        row for row in tables.rows("arbitrage.pools") if chain in (None, row[0]) and address in (None, row[1])
    ]
    chosen = _only_one([(f"{row[0]}/{row[1]} ({row[7]}/{row[8]})", row) for row in pools], "pool", pool)
    markets = [
        row[0]
        for row in tables.rows("trades.watermark", exchange=exchange, since=_BEGINNING)
        if symbol in (None, row[0])
    ]
    market = _only_one([(name, name) for name in markets], f"symbol of {exchange}", symbol)
    base, decimals0, decimals1, fee, spacing = chosen[2:7]
    tokens = Tokens(base, decimals0, decimals1)
    return Pair(exchange, market, chosen[0], chosen[1], tokens, fee, spacing, chosen[7 + base])


def known_trades(tables: Tables, pair: Pair, since_ms: int | None) -> Known:
    """Where trades of the market are closed, leaving out open gaps that end before ``since_ms``."""
    since = _BEGINNING if since_ms is None else moment(since_ms)
    found = tables.rows("trades.watermark", exchange=pair.exchange, since=since)
    for symbol, _, first_ts, _, closed_ts in found:
        if symbol == pair.symbol:
            return Known(_ms(first_ts), _ms(closed_ts))
    raise BadData(f"no trades of {pair.symbol} are stored: collect them first", reason="market")


def known_swaps(tables: Tables, pair: Pair, since_ms: int | None) -> Known:
    """Where swaps of the pool are whole and final: of the range that holds ``since_ms``, or of the first one after it.

    Without it the newest range counts.
    """
    ranges = [
        Known(from_ms, from_ms if final_ms is None else final_ms)
        for _, _, from_ms, to_ms, _, final_ms in tables.rows("swaps.ranges", **pair.pool_values)
        if since_ms is None or to_ms > since_ms
    ]
    if not ranges:
        when = "" if since_ms is None else f" from {moment(since_ms):%Y-%m-%d %H:%M:%S} on"
        raise BadData(f"no swaps of pool {pair.pool} are stored{when}: collect them first", reason="market")
    return ranges[-1 if since_ms is None else 0]


def slices(from_ms: int, to_ms: int) -> Iterator[tuple[int, int]]:
    """[from_ms, to_ms) by quarters of UTC days."""
    while from_ms < to_ms:
        until = min((from_ms // SLICE_MS + 1) * SLICE_MS, to_ms)
        yield from_ms, until
        from_ms = until


def trades(tables: Tables, pair: Pair, from_ms: int, to_ms: int) -> list[Records]:
    """Pieces of PRICED in order of id, with all that count at a time of [from_ms, to_ms), and a few around them.

    A trade that is stamped earlier than one before it counts at that one's time, at most BACKWARD_MS later: so much
    more is read on both sides, and a slice gives what the whole gives. Ids begin anew with each
    listing.
    """
    listed = dict(tables.rows("bars.cuts", exchange=pair.exchange)).get(pair.symbol, [])
    cuts = [cut for cut in listed if from_ms - BACKWARD_MS < cut < to_ms + BACKWARD_MS]
    found = tables.pieces(
        "arbitrage.trades",
        _WITH_ID,
        times=("ts",),
        **pair.market_values,
        since=moment(from_ms - BACKWARD_MS),
        until=moment(to_ms + BACKWARD_MS),
    )
    return [_priced(piece) for piece in _by_id([*found], cuts)]


def _by_id(pieces: list[Records], cuts: Sequence[int]) -> list[Records]:
    """By listing and id. They nearly always come in order, so nothing is copied."""
    last, ordered = -1, not cuts
    for piece in pieces:
        ids = piece["trade_id"]
        ordered = ordered and ids[0] > last and bool(np.all(ids[1:] > ids[:-1]))
        last = ids[-1]
    if ordered:
        return pieces
    whole = np.concatenate(pieces)
    listing = np.searchsorted(np.array(cuts, np.int64), whole["ts"], side="right")
    return [whole[np.lexsort((whole["trade_id"], listing))]]


def _priced(rows: Records) -> Records:
    priced = np.empty(len(rows), PRICED)
    for name in PRICED.names or ():
        priced[name] = rows[name]
    return priced


def swaps(tables: Tables, pair: Pair, from_ms: int, to_ms: int) -> Records:
    """SWAP records of a slice."""
    return tables.read(
        "arbitrage.swaps",
        SWAP,
        times=("ts",),
        **pair.pool_values,
        since=moment(from_ms),
        until=moment(to_ms),
    )


def first_prices(rows: Records, times: Sequence[int], within_ms: int) -> list[float]:
    """For each of ``times`` the price of the first trade in [time, time + within_ms); NaN without one.

    ``rows`` are PRICED records whose times never go back.
    """
    ends = np.append(rows["ts"], _NEVER)
    prices = np.append(rows["price"], np.nan)
    asked = np.asarray(times, np.int64)
    places = np.searchsorted(rows["ts"], asked)
    found = np.where(ends[places] < asked + within_ms, prices[places], np.nan)
    return [float(price) for price in found]


def _only_one(found: Sequence[tuple[str, Any]], what: str, asked: str | None) -> Any:
    if len(found) == 1:
        return found[0][1]
    if not found:
        wanted = "" if asked is None else f" {asked}"
        raise BadData(f"{what}{wanted}: none is stored; collect it first", reason="market")
    raise BadData(f"{what}: name one of {', '.join(name for name, _ in found)}", reason="market")


def _ms(when: datetime) -> int:
    return round(when.timestamp() * 1000)
