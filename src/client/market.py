"""The market as frames."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, overload

from ..errors import BadData
from .asking import Asking

if TYPE_CHECKING:
    import pandas
    import polars

Interval = Literal["1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w"]

Moment = datetime | date | str | int
"""A datetime with its zone, a UTC day, text such as ``2026-11-01`` or ``2026-11-01T00:00:00Z``, or UTC milliseconds."""

_ARROW = "application/vnd.apache.arrow.stream"
_PIECE = 10_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Market:
    """The market that a marketd keeps; ``url`` is that of its API, ``token`` one of its tokens where it demands any.

    Times in frames are UTC, prices in the quote asset, volumes in the base asset. What the venue did not say is null
    (NaN in pandas). Every method raises ``errors.UnknownSymbol``, ``errors.BadData`` for a question that cannot be
    answered, ``errors.ConfigError`` for an address or a token that will not do, and ``errors.Unavailable`` once the
    server has not answered several times.
    """

    def __init__(self, url: str, token: str | None = None, *, timeout_s: float = 30.0) -> None:
        self._asking = Asking(url, token, timeout_s)

    @overload
    def candles(
        self,
        symbol: str,
        interval: Interval = "1m",
        start: Moment | None = None,
        end: Moment | None = None,
        *,
        frame: Literal["polars"] = "polars",
    ) -> polars.DataFrame: ...

    @overload
    def candles(
        self,
        symbol: str,
        interval: Interval = "1m",
        start: Moment | None = None,
        end: Moment | None = None,
        *,
        frame: Literal["pandas"],
    ) -> pandas.DataFrame: ...

    def candles(
        self,
        symbol: str,
        interval: Interval = "1m",
        start: Moment | None = None,
        end: Moment | None = None,
        *,
        frame: Literal["polars", "pandas"] = "polars",
    ) -> polars.DataFrame | pandas.DataFrame:
        """The closed candles of a symbol that open in [start, end), from the oldest to the newest.

        Without ``start`` the newest 10,000 before ``end``; without ``end`` up to now. Columns: ``open_time``, ``open``,
        ``high``, ``low``, ``close``, ``volume``, ``quote_volume``, ``trade_count``, ``taker_buy_volume``,
        ``missing_minutes`` (minutes of a longer candle that are not stored).

        >>> Market("http://127.0.0.1:8000").candles("BTCUSDT", "1h", "2026-11-01")  # doctest: +SKIP
        """
        import polars

        query = {
            "symbol": symbol,
            "interval": interval,
            "limit": _PIECE,
            "start": _told(start),
            "end": _told(end),
        }
        pieces: list[polars.DataFrame] = []
        while True:
            answer = self._asking.get("/api/v1/klines", query, accept=_ARROW)
            pieces.append(polars.read_ipc_stream(answer.body))
            query["cursor"] = answer.headers.get("x-next-cursor")
            if query["cursor"] is None or start is None:
                break
        whole = polars.concat(pieces, rechunk=True)
        return whole if frame == "polars" else _pandas(whole)


def _told(moment: Moment | None) -> str | int | None:
    """A moment as the API reads it. Raises ``BadData`` for a local time, which nobody can place."""
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            raise BadData(f"{moment}: has no time zone; give one, such as datetime.UTC")
        return (moment - _EPOCH) // timedelta(milliseconds=1)
    return moment.isoformat() if isinstance(moment, date) else moment


def _pandas(whole: polars.DataFrame) -> pandas.DataFrame:
    """The same in pandas, without pyarrow."""
    import pandas

    columns: dict[str, Any] = {column.name: column.to_numpy() for column in whole}
    columns["open_time"] = pandas.to_datetime(columns["open_time"], utc=True)
    return pandas.DataFrame(columns)
