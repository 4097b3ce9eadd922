"""cryptofeed's BinanceFutures, hardened: its symbol table, message handler, Candle and callbacks are the way.

What is not used is its own connecting (one URL per connection, a dead address, reconnects without limit) and
its blocking request for symbols; see docs/adr/0002-stream-transport.md.
"""

from __future__ import annotations

import atexit
from collections.abc import Awaitable, Callable, Collection
from typing import Any

from cryptofeed.connection import AsyncConnection
from cryptofeed.defines import CANDLES, PERPETUAL
from cryptofeed.exchanges import BinanceFutures
from cryptofeed.symbols import Symbol, Symbols

from ....errors import BadData
from ....model import ContractChange
from ....ports import CandleHandler, Clock, ContractHandler
from ....telemetry.log import get_logger
from ....telemetry.metrics import Metrics
from .. import venue
from ..parse import messages as parse
from .frame_counts import FrameCounts

CandleCallback = Callable[[Any, float], Awaitable[None]]
"""cryptofeed's contract: ``await callback(cryptofeed.types.Candle, receipt_timestamp)``."""

_QUOTE = "USDT"
_REMEMBERED_CHANGES = 4096
_log = get_logger("stream")


class CandleIntake:
    """The candle callback: makes our ``Candle`` of ``candle.raw``, which alone still has every column."""

    def __init__(self, on_candle: CandleHandler, clock: Clock, metrics: Metrics, source: str) -> None:
        self._on_candle = on_candle
        self._clock = clock
        self._metrics = metrics
        self._source = source

    async def __call__(self, candle: Any, receipt_timestamp: float) -> None:
        latest_ms = self._clock.now_ms() + venue.MAX_AHEAD_MS
        try:
            parsed = parse.kline_event(candle.raw, source=self._source, latest_ms=latest_ms)
        except BadData as error:
            reject(self._metrics, error, self._source)
            return
        if parsed is None:
            return
        for field in parsed.inexact:
            self._metrics.inexact_values.labels(field=field).inc()
        self._on_candle(parsed.candle)


def reject(metrics: Metrics, error: BadData, source: str) -> None:
    """Count and log one unusable row; it was received too, so that the sums of rows add up."""
    metrics.rows_received.labels(source=source).inc()
    metrics.rows_rejected.labels(reason=error.reason).inc()
    _log.warning("row_rejected", msg=f"a row of the stream is unusable: {error}", reason=error.reason)


class BinanceFeed(BinanceFutures):
    """The feed of closed 1m candles. ``know`` tells it the symbols, ``handle`` takes frames."""

    def __init__(self, url: str, on_candle: CandleCallback) -> None:
        if not Symbols.populated(self.id):
            Symbols.set(self.id, {}, {})  # else the constructor asks the venue, blocking
        self._url = url.rstrip("/")
        super().__init__(
            candle_interval=venue.INTERVAL,
            candle_closed_only=True,
            callbacks={CANDLES: on_candle},
            config={"uvloop": False, "log": {"disabled": True}},
        )
        atexit.unregister(self.http_conn.__del__)  # cryptofeed registers it and would keep the feed for ever

    def _address(self) -> str:
        return self._url + venue.STREAM_PATH

    def know(self, symbols: Collection[str]) -> None:
        """Add symbols to the table. None is ever removed: the last candle may come after a delisting."""
        for symbol in symbols:
            if symbol not in self.exchange_symbol_mapping:
                base = symbol.removesuffix(_QUOTE)
                name = Symbol(base or symbol, _QUOTE, type=PERPETUAL).normalized
                self.normalized_symbol_mapping[name] = symbol
                self.exchange_symbol_mapping[symbol] = name


class FrameHandler:
    """Takes what a connection read: contract events to their handler, klines through cryptofeed's handler."""

    suffix = venue.KLINE_SUFFIX
    trades = False

    def __init__(
        self, feed: BinanceFeed, on_contract: ContractHandler, metrics: Metrics, *, source: str
    ) -> None:
        self._feed = feed
        self._source = source
        self._on_contract = on_contract
        self._metrics = metrics
        self._seen: dict[ContractChange, None] = {}

    async def handle(self, frame: bytes, connection: AsyncConnection, counts: FrameCounts) -> None:
        """One frame; an unusable one is counted and costs nothing else.

        It is checked before cryptofeed sees it, because cryptofeed's handler raises at the first surprise.
        """
        try:
            document = parse.load(frame)
        except BadData as error:
            counts.malformed += 1
            _log.warning("frame_malformed", msg=str(error))
            return
        event = parse.payload_of(document)
        try:
            if isinstance(event, dict) and event.get("e") == "contractInfo":
                self._contract(parse.contract_change(event))
                return
            counts.closed += 1
            message = self._checked(document, event, frame)
        except BadData as error:
            reject(self._metrics, error, self._source)
            return
        await self._feed.message_handler(message, connection, connection.last_message)

    def _checked(self, document: Any, event: Any, frame: bytes) -> str:
        """The frame as cryptofeed takes it: combined envelope, known symbol."""
        parse.kline_event(event)
        # cryptofeed reads it, too, and its parser makes decimals of what has no room in 64 bits.
        if type(event.get("E")) is not int or not 0 <= event["E"] < 2**53:
            raise BadData(f"event time {event.get('E')!r:.40}", reason="bad_time")
        symbol = event["s"]
        if symbol not in self._feed.exchange_symbol_mapping:
            raise BadData(f"{symbol} was never subscribed", reason="unknown_symbol")
        stream = document.get("stream")
        if stream is None:
            return f'{{"stream":"{stream_name(symbol)}","data":{frame.decode()}}}'
        if stream != stream_name(symbol):
            raise BadData(f"{symbol} came on the stream {stream!r:.80}", reason="bad_symbol")
        return frame.decode()

    def _contract(self, change: ContractChange) -> None:
        """Every connection carries the contract events; each is handed on once."""
        if change in self._seen:
            return
        self._seen[change] = None
        if len(self._seen) > _REMEMBERED_CHANGES:
            del self._seen[next(iter(self._seen))]
        self._on_contract(change)


_LOWER = {ord(letter): letter.lower() for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}


def stream_name(symbol: str, suffix: str = venue.KLINE_SUFFIX) -> str:
    """``BTCUSDT`` to ``btcusdt@kline_1m``; letters that are not ASCII stay as they are."""
    return symbol.translate(_LOWER) + suffix
