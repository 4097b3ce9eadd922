"""Bars on demand from trades: of time, tick, volume or dollar. Runs in a kernel process.

Trades are read by id, up to the watermark of 0042, one listing of the symbol after the other. What is in progress is
kept in ``bar_state`` with the bars of the same transaction, so a run goes on where the last one stopped, to the bit,
whatever ended it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...errors import BadData, Unavailable
from ...model import DAY_MS, FIRST_LISTING_MS, listing_of
from ...ports.tables import Note, Tables
from .advance import advance
from .building import Build, forget_built, store_built, time_of
from .dtypes import BAR, NEVER, TRADE, Recipe, Records, new_state, restored, state_bytes
from .making import as_made
from .ranges import KEPT_MS, bar_range

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

    They begin with the trade ``first_id``, the first at ``since`` or after it. ``listing_ms`` is the listing at
    ``since``, which may have been over by then.
    """

    state: Records
    since: int
    first_id: int
    listing_ms: int
    saved: bytes | None = None


@dataclass(frozen=True, slots=True)
class _Known:
    """What ``bars.trades_known`` says of one listing."""

    listing_ms: int
    closed_id: int
    closed_ts: int
    first_id: int
    last_id: int
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
    tables.rows("bars.fit_trades", exchange=build.exchange, symbol=build.symbol)
    cuts = dict(tables.rows("bars.cuts", exchange=build.exchange)).get(build.symbol, [])
    if build.since_ms is not None:
        build = replace(build, since_ms=_whole(build, build.since_ms, cuts))
    begun, listings = _beginning(tables, note, build, cuts)
    state, saved = begun.state, begun.saved
    last_id = int(state["last_id"][0])
    after = begun.first_id - 1 if last_id == NEVER else last_id
    bars, trades, known = 0, 0, listings[0]
    for number, known in enumerate(listings):
        after = after if number == 0 else known.first_id - 1
        start = after
        while after < known.closed_id or saved is None:
            upto = min(after + ids_at_once, known.closed_id)
            # Before they are read: what is found meanwhile makes one run too many, never one too few.
            missing = _missing(tables, build, begun, known.listing_ms, upto)
            made, state, count = _window(tables, build, begun, known, state, (after, upto), cuts)
            if count or saved is None or upto == known.closed_id:
                saved = _store(tables, build, begun, made, state, saved, missing)
            after, bars, trades = upto, bars + len(made), trades + count
            note(f"{bars} bars of {trades} trades", (after - start) / max(known.closed_id - start, 1))
        if known.closed_id < known.last_id:
            break  # what is looked for comes before the next listing
    return {
        **build.key(),
        "from_ms": begun.since,
        "to_ms": known.closed_ts,
        "last_id": after,
        "bars": bars,
        "trades": trades,
        **{name: int(state[name][0]) for name in ("skipped_ids", "backward_trades", "discarded_trades")},
    }


def _whole(build: Build, ms: int, cuts: Sequence[int]) -> int:
    """Where bars begin that are to begin at ``ms``: those of time with the whole bar that holds it.

    Half of one would look like any other.
    """
    return bar_range(ms, int(build.size), cuts)[0] if build.kind == "time" else ms


def _is_kept(tables: Tables, build: Build) -> bool:
    return bool(tables.rows("bars.front", exchange=build.exchange, symbol=build.symbol))


def _beginning(
    tables: Tables, note: Note, build: Build, cuts: Sequence[int]
) -> tuple[_Begun, Sequence[_Known]]:
    """From the state that is there, unless it is to be forgotten or trades came since into what it went over.

    With the listings to read, of which the first is the one that it goes on in.
    """
    found = [] if build.anew else tables.rows("bars.state", **build.key())
    if not found:
        return _fresh(tables, build, cuts, build.since_ms)
    saved, (since, first_id, missing) = bytes(found[0][0]), found[0][1:]
    # They may have begun within a bar: with the first trade that is stored.
    if build.since_ms not in (None, _whole(build, since, cuts)):
        raise BadData(
            f"{build.symbol}: these bars begin at {time_of(since):%Y-%m-%d %H:%M:%S}; say --anew to begin elsewhere",
            reason="bars_begun",
        )
    state = restored(saved, _RECIPES[build.kind], build.size)
    last_id, listing_ms = int(state["last_id"][0]), listing_of(int(state["clock"][0]), cuts)
    begun = _Begun(state, since, first_id, listing_of(since, cuts), saved)
    if last_id == NEVER:
        return _fresh(tables, build, cuts, since)
    if max(int(state["segment_ts"][0]), FIRST_LISTING_MS) != listing_ms:
        note("a listing became known of which these bars knew nothing: they are made anew")
        return _fresh(tables, build, cuts, since)
    came = missing - _missing(tables, build, begun, listing_ms, last_id)
    if came > 0:
        note(f"{came} trades came into gaps that these bars went over: they are made anew")
        return _fresh(tables, build, cuts, since)
    return begun, _known(tables, build, since, listing_ms, last_id)


def _missing(tables: Tables, build: Build, begun: _Begun, listing_ms: int, upto_id: int) -> int:
    """How many ids between the first trade and another one have none."""
    found: int = tables.rows(
        "bars.trades_missing",
        begun_listing=time_of(begun.listing_ms),
        begun_id=begun.first_id,
        upto_listing=time_of(listing_ms),
        upto_id=upto_id,
        **build.key(),
    )[0][0]
    return found


def _fresh(
    tables: Tables, build: Build, cuts: Sequence[int], since: int | None
) -> tuple[_Begun, Sequence[_Known]]:
    state = new_state(_RECIPES[build.kind], build.size)
    listings = _known(tables, build, since or 0, listing_of(since or 0, cuts))
    if since is None:
        first = listings[0]
        return _Begun(state, first.first_ts, first.first_id, first.listing_ms), listings
    for number, known in enumerate(listings):
        within = {"since": time_of(max(since, known.listing_ms)), "latest": time_of(_latest(known, cuts))}
        first_id = tables.rows("bars.first_trade", **within, **build.key())[0][0]
        if first_id is not None:
            return _Begun(state, since, first_id, listing_of(since, cuts)), listings[number:]
    raise BadData(f"{build.symbol}: no trade since then is stored", reason="bars_nothing")


def _known(
    tables: Tables, build: Build, since: int, listing_ms: int, taken_id: int = NEVER
) -> Sequence[_Known]:
    asked = {"since": time_of(since), "listing": time_of(listing_ms), "taken_id": taken_id}
    found = tables.rows("bars.trades_known", **asked, **build.key())
    if not found:
        raise BadData(
            f"there are no trades of {build.symbol} at {build.exchange}: collect them first",
            reason="bars_nothing",
        )
    return [_Known(*row) for row in found]


def _latest(known: _Known, cuts: Sequence[int]) -> int:
    """No trade of the listing is later. A day more, so that a time that goes back too far is read, and refused."""
    return min([known.last_ts + DAY_MS, *(cut - 1 for cut in cuts if cut > known.listing_ms)])


def _window(
    tables: Tables,
    build: Build,
    begun: _Begun,
    known: _Known,
    state: Records,
    ids: tuple[int, int],
    cuts: Sequence[int],
) -> tuple[Records, Records, int]:
    """The bars of the trades (after, upto] of a listing, the state after them, and how many trades there were."""
    clock = max(begun.since, int(state["clock"][0]))
    pieces = tables.pieces(
        "bars.trades",
        TRADE,
        times=("ts",),
        after_id=ids[0],
        last_id=ids[1],
        earliest=time_of(max(clock - DAY_MS, known.listing_ms)),
        latest=time_of(_latest(known, cuts)),
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
