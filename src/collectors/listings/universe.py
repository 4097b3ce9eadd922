"""Which symbols are collected now, followed while the venue lists and delists."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

from ...errors import ConfigError, MarketdError
from ...model import DAY_MS, MINUTE_MS, ContractChange, ContractStatus, Instrument, Listing
from ...ports import Clock, History
from ...telemetry.log import get_logger
from ...telemetry.metrics import Metrics
from ...telemetry.pulse import OutsideEvent
from ..backoff import Backoff
from .selection import PENDING_LEAD_MS, Picture, Selection, survey

_log = get_logger("universe")

REFRESH_EVERY = 240.0
"""Venue seconds between two readings of the venue's list (weight 1 each). What it tells is adopted within five minutes
also where the budget is used up and the reading waits for the next minute."""
_FOLLOW_UP = 15.0
"""Venue seconds until the list is read again when it does not show yet what the stream has announced."""
_PATIENCE_MS = 5 * 60_000
"""How long an announcement is waited for in the list."""
_KEEP_ENDED_MS = 2 * DAY_MS
_SUSPICIOUS = 20
"""A list that lost more than half of at least this many symbols must say so twice."""

Listener = Callable[[frozenset[str]], None]
_State = tuple[ContractStatus, int, int]


class Universe:
    """The symbols to collect and their listing intervals.

    ``ready`` is set after the first answer of the venue; until then everything is empty. ``run`` reads the list
    every four minutes, at once after ``on_change`` (the stream's handler) or ``refresh_soon``, and two minutes
    before an announced listing; the venue being away is retried for ever. ``after`` holds the first reading back
    until the clock is set.
    """

    def __init__(
        self,
        history: History,
        clock: Clock,
        metrics: Metrics,
        selection: Selection,
        *,
        after: asyncio.Event | None = None,
        refresh_every: float = REFRESH_EVERY,
    ) -> None:
        self.ready = OutsideEvent("the venue's list of contracts")
        self._history = history
        self._clock = clock
        self._metrics = metrics
        for change in ("added", "removed"):
            metrics.universe_changes.labels(change=change)
        self._selection = selection
        self._after = after
        self._refresh_every = refresh_every
        self._live: dict[str, Listing] = {}
        self._ended: dict[str, list[Listing]] = {}
        self._seen: dict[str, _State] = {}
        self._instruments: tuple[Instrument, ...] = ()
        self._announced: dict[str, ContractChange] = {}
        self._next_onboard_ms: int | None = None
        self._doubted = self._chosen_anew = False
        self._wake = asyncio.Event()
        self._listeners: list[Listener] = []

    @property
    def symbols(self) -> frozenset[str]:
        """The symbols to be subscribed now."""
        return frozenset(self._live)

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """All that the venue listed in its last believable answer, followed or not; another object after each."""
        return self._instruments

    def expected(self, open_ms: int) -> list[str]:
        """The symbols whose candle of this whole minute must exist, sorted."""
        return sorted({item.symbol for item in self._listings() if item.expects(open_ms)})

    def admits(self, symbol: str, open_ms: int) -> bool:
        """Whether a candle of this minute can exist: some part of it lies in a listing we follow."""
        return any(item.admits(open_ms) for item in self._listings_of(symbol))

    def knows(self, symbol: str) -> bool:
        return symbol in self._live or symbol in self._ended

    def windows(self, since_ms: int, until_ms: int) -> dict[str, list[tuple[int, int]]]:
        """The expected minutes in [since_ms, until_ms) per symbol, as ordered spans of minute starts."""
        found: dict[str, list[tuple[int, int]]] = {}
        for item in self._listings():
            start, to = item.window(since_ms, until_ms)
            if start < to:
                found.setdefault(item.symbol, []).append((start, to))
        return {symbol: sorted(spans) for symbol, spans in found.items()}

    @contextmanager
    def telling(self, listener: Listener) -> Iterator[None]:
        """Tell ``listener`` the symbols at once and at every change, as long as the block lasts."""
        listener(self.symbols)
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

    def on_change(self, change: ContractChange) -> None:
        """Take one listing event of the stream: read the list if the event says something new."""
        if change.contract_type not in self._selection.contract_types:
            return
        if not self._selection.admits_name(change.symbol):
            return
        if self._seen.get(change.symbol) != _state_of(change):
            self._announced[change.symbol] = change
            self._wake.set()

    def refresh_soon(self) -> None:
        """Read the list now, for example because REST does not know a symbol any more."""
        self._wake.set()

    def choose_anew(self) -> None:
        """The selection has changed: read the list now, and believe it when many symbols go."""
        self._chosen_anew = True
        self._wake.set()

    async def run(self) -> None:
        """Follow the venue's list until cancelled."""
        if self._after:
            await self._after.wait()
        backoff = Backoff(1.0, 60.0)
        while True:
            self._wake.clear()
            try:
                self.adopt(await self._history.instruments(), self._clock.now_ms())
            except ConfigError:
                raise
            except MarketdError as error:
                delay = max(backoff.next(), getattr(error, "retry_after", 0.0))
                _log.warning("universe_unreadable", msg=str(error), retry_in=round(delay, 1))
                await asyncio.sleep(delay)
                continue
            backoff.reset()
            await self._wait()

    async def _wait(self) -> None:
        # Events come in bursts; one reading answers all that arrive within a second.
        await asyncio.sleep(self._clock.wall(1.0, at_least=0.2))
        now_ms = self._clock.now_ms()
        left = self._refresh_every
        if self._next_onboard_ms is not None:
            left = min(left, (self._next_onboard_ms - PENDING_LEAD_MS - now_ms) / 1000)
        if self._announced or self._doubted:
            left = min(left, _FOLLOW_UP)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._clock.wall(left, at_least=0.2)):
                await self._wake.wait()

    def adopt(self, instruments: Sequence[Instrument], now_ms: int) -> None:
        """Take over what the venue says, and tell the listeners if the symbols changed."""
        picture = survey(instruments, self._selection, now_ms)
        if not self._chosen_anew and self._is_doubtful(picture):
            return
        self._doubted = self._chosen_anew = False
        before = self.symbols
        self._instruments = tuple(instruments)
        self._end_listings(picture, now_ms)
        self._live = picture.live
        self._next_onboard_ms = picture.next_onboard_ms
        self._seen = {item.symbol: (item.status, item.onboard_ms, item.delivery_ms) for item in instruments}
        self._announced = {
            symbol: change
            for symbol, change in self._announced.items()
            if self._seen.get(symbol) != _state_of(change) and now_ms - change.event_ms < _PATIENCE_MS
        }
        self._report(before)
        self.ready.set()

    def _is_doubtful(self, picture: Picture) -> bool:
        many = len(self._live)
        self._doubted = not self._doubted and many >= _SUSPICIOUS and len(picture.live) * 2 < many
        if self._doubted:
            _log.error(
                "universe_doubted", msg="more than half of all symbols left at once", left=len(picture.live)
            )
        return self._doubted

    def _end_listings(self, picture: Picture, now_ms: int) -> None:
        # Who stops trading in the middle of a minute has a candle of that minute too.
        stopped_ms = -(-now_ms // MINUTE_MS) * MINUTE_MS
        for symbol, listing in self._live.items():
            new = picture.live.get(symbol) or picture.ended.get(symbol)
            if new and new.onboard_ms == listing.onboard_ms:
                continue
            # Halted, gone from the list, or listed anew: the interval we followed has ended by now.
            end_ms = min(listing.end_ms, stopped_ms, new.onboard_ms if new else stopped_ms)
            if listing.onboard_ms < end_ms:
                self._remember(replace(listing, end_ms=end_ms))
        for listing in picture.ended.values():
            self._remember(listing)
        self._forget_ended(picture.live, now_ms - _KEEP_ENDED_MS)

    def _forget_ended(self, live: dict[str, Listing], oldest_ms: int) -> None:
        for symbol, items in list(self._ended.items()):
            trading = live.get(symbol)
            # A halt that is over: the same listing goes on, so it has not ended.
            kept = [
                item
                for item in items
                if item.end_ms > oldest_ms and not (trading and trading.onboard_ms == item.onboard_ms)
            ]
            self._ended[symbol] = kept
            if not kept:
                del self._ended[symbol]

    def _remember(self, listing: Listing) -> None:
        items = self._ended.setdefault(listing.symbol, [])
        for index, known in enumerate(items):
            if known.onboard_ms == listing.onboard_ms:
                # A halt ends when it is noticed; the delivery time announced later may only shorten that.
                items[index] = replace(known, end_ms=min(known.end_ms, listing.end_ms))
                return
        items.append(listing)

    def _report(self, before: frozenset[str]) -> None:
        added, removed = self.symbols - before, before - self.symbols
        self._metrics.symbols_expected.set(len(self._live))
        if not added and not removed:
            return
        if self.ready.is_set():
            self._metrics.universe_changes.labels(change="added").inc(len(added))
            self._metrics.universe_changes.labels(change="removed").inc(len(removed))
        _log.info(
            "universe_changed",
            msg=f"{len(self._live)} symbols, {len(added)} new, {len(removed)} gone",
            symbols=len(self._live),
            added=sorted(added)[:10],
            removed=sorted(removed)[:10],
        )
        for listener in list(self._listeners):
            listener(self.symbols)

    def _listings(self) -> Iterator[Listing]:
        yield from self._live.values()
        for items in self._ended.values():
            yield from items

    def _listings_of(self, symbol: str) -> Iterator[Listing]:
        if symbol in self._live:
            yield self._live[symbol]
        yield from self._ended.get(symbol, ())


def _state_of(change: ContractChange) -> _State:
    return (change.status, change.onboard_ms, change.delivery_ms)
