"""Frames of one connection by kind: plain integers on the hot path, handed to the metrics once a second."""

from __future__ import annotations

from dataclasses import dataclass, fields

from ....telemetry.metrics import Metrics


@dataclass(slots=True)
class FrameCounts:
    """``offered`` are closed candles put into the queue; their reader makes them ``closed`` or ``malformed``."""

    open: int = 0
    trades: int = 0
    closed: int = 0
    canary: int = 0
    contract: int = 0
    control: int = 0
    other: int = 0
    malformed: int = 0
    offered: int = 0
    dropped: int = 0
    received_bytes: int = 0

    @property
    def market(self) -> int:
        """Frames of the symbols that were asked for."""
        return self.open + self.offered + self.trades

    @property
    def data(self) -> int:
        """Frames that prove the connection delivers: acks, pongs and events do not."""
        return self.market + self.canary


_KINDS = ("open", "closed", "trades", "canary", "contract", "control", "other", "malformed")


class CountsReporter:
    """Adds what one connection's counts gained since the last call to the process's metrics.

    ``source`` labels the candles of the connection; ``trades`` says that it carries trades instead.
    """

    def __init__(self, counts: FrameCounts, metrics: Metrics, source: str, *, trades: bool = False) -> None:
        self._counts = counts
        self._seen = FrameCounts()
        self._metrics = metrics
        self._source = source
        self._trades = trades
        if not trades:  # a series that is there from the start can be alerted on
            metrics.rows_dropped.labels(reason="stream_queue")

    def report(self) -> bool:
        """Returns True if a data frame came since the last call."""
        fresh = self._counts.data > self._seen.data
        for kind in _KINDS:
            if gained := getattr(self._counts, kind) - getattr(self._seen, kind):
                self._metrics.ws_frames.labels(kind=kind).inc(gained)
        self._metrics.ws_bytes.inc(self._counts.received_bytes - self._seen.received_bytes)
        if dropped := self._counts.dropped - self._seen.dropped:
            self._drop(dropped)
        for item in fields(FrameCounts):
            setattr(self._seen, item.name, getattr(self._counts, item.name))
        return fresh

    def _drop(self, rows: int) -> None:
        """Rows that a full queue let go were received all the same."""
        metrics = self._metrics
        if self._trades:
            metrics.trades_received.labels("stream").inc(rows)
            metrics.trades_dropped.labels("stream_queue").inc(rows)
        else:
            metrics.rows_received.labels(source=self._source).inc(rows)
            metrics.rows_dropped.labels(reason="stream_queue").inc(rows)
