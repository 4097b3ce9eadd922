"""Frames of trades to their handler."""

from __future__ import annotations

from cryptofeed.connection import AsyncConnection

from ....errors import BadData
from ....ports import Clock
from ....ports.trades import TradeHandler
from ....telemetry.log import get_logger
from ....telemetry.metrics import Metrics
from .. import venue
from ..parse import messages as parse
from ..parse.trades import trade_event
from .frame_counts import FrameCounts

_log = get_logger("trades")


class TradeFrames:
    """``FrameTaker`` of trades. Every frame is counted; an unusable one costs nothing else."""

    suffix = venue.TRADE_SUFFIX
    trades = True

    def __init__(self, on_trade: TradeHandler, clock: Clock, metrics: Metrics) -> None:
        self._on_trade, self._clock, self._metrics = on_trade, clock, metrics

    async def handle(self, frame: bytes, connection: AsyncConnection, counts: FrameCounts) -> None:
        """One frame; contract events, which every connection carries, are the candle stream's."""
        try:
            document = parse.load(frame)
        except BadData as error:
            counts.malformed += 1
            _log.warning("frame_malformed", msg=str(error))
            return
        event = parse.payload_of(document)
        if isinstance(event, dict) and event.get("e") == "contractInfo":
            return
        self._metrics.trades_received.labels("stream").inc()
        try:
            parsed = trade_event(event, latest_ms=self._clock.now_ms() + venue.MAX_AHEAD_MS)
        except BadData as error:
            self._metrics.trades_rejected.labels(error.reason).inc()
            _log.warning(
                "trade_rejected", msg=f"a trade of the stream is unusable: {error}", reason=error.reason
            )
            return
        for name in parsed.inexact:
            self._metrics.inexact_values.labels(name).inc()
        self._on_trade(parsed.trade)
