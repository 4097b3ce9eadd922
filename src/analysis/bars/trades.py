"""Bars on demand from trades: of time, tick, volume or dollar. Runs in a kernel process.

Trades are read by id, up to the watermark of 0042, and what is in progress is kept in ``bar_state`` with the bars of
the same transaction. So a run goes on where the last one stopped, to the bit, whatever ended it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import BadData, Unavailable
from ...model import DAY_MS
from ...ports.tables import Note, Tables
from .advance import advance
from .building import Build, forget_built, store_built, time_of
from .dtypes import BAR, NEVER, TRADE, Recipe, Records, new_state, restored, state_bytes
from .making import as_made
from .ranges import KEPT_MS

IDS_AT_ONCE = 1_000_000
"""Trades whose bars are stored by one transaction. As many bars at most wait in memory."""

_RECIPES = {
    "time": Recipe.TIME_OF_TRADES,
    "tick": Recipe.TICK,
    "volume": Recipe.VOLUME,
    "dollar": Recipe.DOLLAR,
}


@dataclass(frozen=True, slots=True)
class _Begun:
    """Where a run begins: ``saved`` is the state in the table as it was read, None where these bars begin.

    They begin with the trade ``first_id``, the first at ``since`` or after it.
    """

    state: Records
    since: int
    first_id: int
    saved: bytes | None = None


@dataclass(frozen=True, slots=True)
class _Known:
    """What ``bars.trades_known`` says."""

    closed_id: int
    closed_ts: int
    first_id: int
    first_ts: int
    last_ts: int


def from_trades(
    *, tables: Tables, note: Note, ids_at_once: int = IDS_AT_ONCE, **asked: Any
) -> Mapping[str, Any]:
    """Build, or go on building, as far as trades are closed. Raises BadData for what cannot be.

    {exchange, symbol, kind, size, from_ms, to_ms, last_id, bars, trades, skipped_ids, backward_trades}.
    """
    build = Build(**asked)
    if build.kind == "time" and build.size in KEPT_MS and _is_kept(tables, build):
        raise BadData(
            f"{build.symbol}: bars of this size are kept, and made of candles; another size can be made of trades",
            reason="bars_other_source",
        )
    begun, known = _beginning(tables, note, build)
    cuts = dict(tables.rows("bars.cuts", exchange=build.exchange)).get(build.symbol, [])
    state, saved = begun.state, begun.saved
    after = max(begun.first_id - 1, int(state["last_id"][0]))
    start, bars, trades = after, 0, 0
    while after < known.closed_id or saved is None:
        upto = min(after + ids_at_once, known.closed_id)
        # Before they are read: what is found meanwhile makes one run too many, never one too few.
        missing = _missing(tables, build, begun.first_id, upto)
        made, state, count = _window(tables, build, begun, known, state, (after, upto), cuts)
        if count or saved is None or upto == known.closed_id:
            saved = _store(tables, build, begun, made, state, saved, missing)
        after, bars, trades = upto, bars + len(made), trades + count
        note(f"{bars} bars of {trades} trades", (after - start) / max(known.closed_id - start, 1))
    return {
        **build.key(),
        "from_ms": begun.since,
        "to_ms": known.closed_ts,
        "last_id": after,
        "bars": bars,
        "trades": trades,
        **{name: int(state[name][0]) for name in ("skipped_ids", "backward_trades", "discarded_trades")},
    }


def _is_kept(tables: Tables, build: Build) -> bool:
    return bool(tables.rows("bars.front", exchange=build.exchange, symbol=build.symbol))


def _beginning(tables: Tables, note: Note, build: Build) -> tuple[_Begun, _Known]:
    """From the state that is there, unless it is to be forgotten or trades came since into what it went over."""
    found = [] if build.anew else tables.rows("bars.state", **build.key())
    if not found:
        known = _known(tables, build, build.since_ms or 0)
        return _fresh(tables, build, known, build.since_ms), known
    saved, (since, first_id, missing) = bytes(found[0][0]), found[0][1:]
    if build.since_ms not in (None, since):
        raise BadData(
            f"{build.symbol}: these bars begin at {time_of(since):%Y-%m-%d %H:%M:%S}; say --anew to begin elsewhere",
            reason="bars_begun",
        )
    state = restored(saved, _RECIPES[build.kind], build.size)
    last_id = int(state["last_id"][0])
    came = missing - _missing(tables, build, first_id, last_id)
    if came > 0:
        note(f"{came} trades came into gaps that these bars went over: they are made anew")
        known = _known(tables, build, since)
        return _fresh(tables, build, known, since), known
    return _Begun(state, since, first_id, saved), _known(tables, build, since, last_id)


def _missing(tables: Tables, build: Build, begun_id: int, upto_id: int) -> int:
    """How many ids between two trades of [begun_id, upto_id] have none."""
    found: int = tables.rows("bars.trades_missing", begun_id=begun_id, upto_id=upto_id, **build.key())[0][0]
    return found


def _fresh(tables: Tables, build: Build, known: _Known, since: int | None) -> _Begun:
    first_id: int | None = known.first_id
    if since is not None:
        first_id = tables.rows("bars.first_trade", since=time_of(since), **build.key())[0][0]
    if first_id is None:
        raise BadData(f"{build.symbol}: no trade since then is stored", reason="bars_nothing")
    return _Begun(
        new_state(_RECIPES[build.kind], build.size), known.first_ts if since is None else since, first_id
    )


def _known(tables: Tables, build: Build, since: int, taken_id: int = NEVER) -> _Known:
    found = tables.rows("bars.trades_known", since=time_of(since), taken_id=taken_id, **build.key())
    if not found:
        raise BadData(
            f"there are no trades of {build.symbol} at {build.exchange}: collect them first",
            reason="bars_nothing",
        )
    return _Known(*found[0])


def _window(
    tables: Tables,
    build: Build,
    begun: _Begun,
    known: _Known,
    state: Records,
    ids: tuple[int, int],
    cuts: list[int],
) -> tuple[Records, Records, int]:
    """The bars of the trades (after, upto], the state after them, and how many trades there were."""
    clock = max(begun.since, int(state["clock"][0]))
    pieces = tables.pieces(
        "bars.trades",
        TRADE,
        times=("ts",),
        after_id=ids[0],
        last_id=ids[1],
        # A day, so that a time that goes back further than can be is read, and refused.
        earliest=time_of(clock - DAY_MS),
        latest=time_of(known.last_ts + DAY_MS),
        exchange=build.exchange,
        symbol=build.symbol,
    )
    made, trades = [as_made(np.empty(0, BAR), build.size)], 0
    for piece in pieces:
        bars, state = advance(state, piece, cuts=cuts)
        made.append(as_made(bars, build.size))
        trades += len(piece)
    return np.concatenate(made), state, trades


def _store(
    tables: Tables,
    build: Build,
    begun: _Begun,
    made: Records,
    state: Records,
    before: bytes | None,
    missing: int,
) -> bytes:
    """Bars and state in one transaction, unless somebody else has gone on from the same state meanwhile."""
    after = state_bytes(state)
    with tables.transaction():
        tables.rows("bars.claim_built", **build.key())
        if before is None:
            forget_built(tables, build)
        elif [bytes(row[0]) for row in tables.rows("bars.state", **build.key())] != [before]:
            raise Unavailable(
                f"{build.symbol}: these bars are being built by another run", reason="overtaken"
            )
        store_built(tables, build, made)
        tables.rows(
            "bars.save_state",
            state=after,
            begun=time_of(begun.since),
            begun_id=begun.first_id,
            missing_ids=missing,
            **build.key(),
        )
    return after
