"""Control of what is delivered: silence, late and wrong frames, malformed ones."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from ..faults import Fault, Kind
from ..stream.connections import Connection
from ..stream.frames import WRONG_VALUES, ws_frame, ws_header
from ..stream.malformed import BREAKING, CORPUS, HUGE_BYTES
from .part import ControlPart

_PIECE_BYTES = 64 * 1024


class StreamFaults(ControlPart):
    """Faults of the frames."""

    def silence(self, *, connection: int | None = None, count: int | None = None) -> Fault:
        """Acks and pongs go on, but no data comes: on one connection, or on all, later ones included."""
        return self._faults.add(Kind.SILENCE, connection=connection, left=count)

    def mute(
        self, symbol: str | None = None, *, connection: int | None = None, until: str = "cleared"
    ) -> Fault:
        """No klines of one symbol (None: of any), everywhere or on one connection.

        ``until="resubscribe"`` ends it when the symbol's stream is subscribed again.
        """
        if until not in {"cleared", "resubscribe"}:
            raise ValueError(f"until: cleared or resubscribe, was {until}")
        return self._faults.add(Kind.MUTE, symbol=self._known(symbol), connection=connection, mode=until)

    def drop_close(self, symbol: str | None = None, *, count: int | None = None, share: float = 1.0) -> Fault:
        """Closed frames are never sent; open frames and REST are as ever."""
        return self._faults.add(Kind.DROP_CLOSE, symbol=self._known(symbol), left=count, share=share)

    def late_close(
        self, seconds: float, symbol: str | None = None, *, count: int | None = None, share: float = 1.0
    ) -> Fault:
        """Closed frames come that much later than their delay; REST does not."""
        return self._faults.add(
            Kind.LATE_CLOSE, symbol=self._known(symbol), seconds=seconds, left=count, share=share
        )

    def shuffle(
        self, seconds: float = 130.0, symbol: str | None = None, *, count: int | None = None
    ) -> Fault:
        """Closed frames come late by a different part of ``seconds`` each, so in no order."""
        return self._faults.add(Kind.SHUFFLE, symbol=self._known(symbol), seconds=seconds, left=count)

    def duplicate(
        self, symbol: str | None = None, *, copies: int = 1, count: int | None = None, share: float = 1.0
    ) -> Fault:
        """Each closed frame is followed by copies of itself."""
        return self._faults.add(
            Kind.DUPLICATE, symbol=self._known(symbol), copies=copies, left=count, share=share
        )

    def wrong_time(
        self,
        symbol: str | None = None,
        *,
        unit: str = "ms",
        shift_s: float = 0.0,
        count: int | None = None,
        share: float = 1.0,
    ) -> Fault:
        """Closed frames state E, t and T shifted, or in another unit (``us``, ``s``)."""
        if unit not in {"ms", "us", "s"}:
            raise ValueError(f"unit: ms, us or s, was {unit}")
        return self._faults.add(
            Kind.WRONG_TIME, symbol=self._known(symbol), mode=unit, seconds=shift_s, left=count, share=share
        )

    def wrong_values(
        self, mode: str, symbol: str | None = None, *, count: int | None = None, share: float = 1.0
    ) -> Fault:
        """Closed frames state what no minute can have.

        Modes: ``low_above_high``, ``zero_price``, ``negative_volume``, ``taker_above_total``, ``overflow``, ``nan``.
        """
        if mode not in WRONG_VALUES:
            raise ValueError(f"mode: one of {', '.join(WRONG_VALUES)}, was {mode}")
        return self._faults.add(
            Kind.WRONG_VALUES, symbol=self._known(symbol), mode=mode, left=count, share=share
        )

    def burst(self, times: int = 5) -> int:
        """The last final minute's closes of every subscribed symbol, ``times`` over, at once; frames sent."""
        sent = self._broadcaster.burst(times)
        self._faults.count("burst", sent)
        return sent

    def malformed(self, names: Iterable[str] | None = None, *, connection: int | None = None) -> int:
        """Frames of the corpus, each to every connection (or one), once; how many were sent.

        None is the whole of ``malformed.CORPUS``. By name only, because they end a connection: ``huge`` (one
        frame of 100 MB), ``unfinished`` (a message whose fragments never end), ``cut`` (half a frame, then FIN).
        """
        chosen = list(CORPUS) if names is None else list(names)
        if unknown := [name for name in chosen if name not in CORPUS and name not in BREAKING]:
            raise ValueError(f"no such malformed frame: {', '.join(unknown)}")
        targets = self._targets(connection)
        for one in targets:
            for name in chosen:
                self._spoil(one, name)
        self._faults.count("malformed", len(targets) * len(chosen))
        return len(targets) * len(chosen)

    def _spoil(self, connection: Connection, name: str) -> None:
        if name in CORPUS:
            connection.out.append(CORPUS[name])
            connection.flush()
        elif name == "cut":
            connection.transport.write(ws_frame(b'{"stream":"btcusdt@kline_1m","data"')[:20])
            connection.close(1006)
        elif name == "unfinished":
            connection.transport.write(ws_frame(b'{"x":true,"never":"', final=False))
            connection.fragmenting = True
        else:
            connection.jammed = True
            self._hub.spawn(_send_huge(connection), f"sandbox-huge-{connection.number}")


async def _send_huge(connection: Connection) -> None:
    """One text frame of 100 MB, in pieces, as fast as the client reads, until it gives up."""
    piece = b"x" * _PIECE_BYTES
    connection.transport.write(ws_header(HUGE_BYTES))
    for _ in range(HUGE_BYTES // len(piece) + 1):
        while connection.usable and connection.transport.get_write_buffer_size() > 10 * len(piece):  # noqa: ASYNC110
            await asyncio.sleep(
                0.01
            )  # the transport belongs to aiohttp, which keeps its drain event to itself
        if not connection.usable:
            return
        connection.transport.write(piece)
