"""What there is to export, and its rows, as PostgreSQL says them in CSV. Blocks; for commands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, LiteralString

import psycopg

from ..copying.out import copied
from ..errors import CLIENT_ERRORS, translate
from ..options import DatabaseOptions
from ..queries import query

_PIECE_BYTES = 32 << 20
"""CSV that is held at once: a month of candles has 7 MB, a day of trades can have hundreds."""
_LOCK_TIMEOUT = "30s"


@dataclass(frozen=True, slots=True)
class Partition:
    """A month of one symbol, a day of its trades, or (``period`` is empty) a table of a few rows."""

    dataset: str
    exchange: str
    symbol: str
    period: str
    since: datetime
    until: datetime

    @property
    def key(self) -> tuple[str, str, str, str]:
        return (self.dataset, self.exchange, self.symbol, self.period)


@dataclass(frozen=True, slots=True)
class _Dataset:
    state: Callable[[], LiteralString]
    rows: Callable[[], LiteralString]


_DATASETS = {
    "instruments": _Dataset(
        lambda: query("export", "instruments_state"), lambda: query("export", "instruments")
    ),
    "candles_1m": _Dataset(lambda: query("export", "candles_state"), lambda: query("export", "candles")),
    "metrics_5m": _Dataset(lambda: query("export", "metrics_state"), lambda: query("export", "metrics")),
    "funding": _Dataset(lambda: query("export", "funding_state"), lambda: query("export", "funding")),
    "agg_trades": _Dataset(lambda: query("export", "trades_state"), lambda: query("export", "trades")),
}
_EXPIRES = {"candles_1m": "candles_1m", "metrics_5m": "binance_futures_metrics_5m"}
"""Tables whose months retention drops piece by piece, by their datasets; a day of trades goes as a whole."""
_ALWAYS = (datetime(1970, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


class ExportReader:
    """One session that only reads. Raises ``Unavailable``, ``BadData`` or ``Misconfigured``."""

    def __init__(self, options: DatabaseOptions) -> None:
        self._options = options
        self._opened: psycopg.Connection | None = None

    def partitions(self, dataset: str) -> list[Partition]:
        """Everything there is of a dataset, by symbol and period."""
        exchange = self._options.exchange
        if dataset == "instruments":
            return [Partition(dataset, exchange, "", "", *_ALWAYS)]
        if dataset == "agg_trades":
            days = self._rows(query("export", "trade_days"), {})
            return [Partition(dataset, market, symbol, f"{day}", *_day(day)) for market, symbol, day in days]
        months = self._rows(query("export", "months"), {"exchange": exchange, "dataset": dataset})
        return [
            Partition(dataset, exchange, symbol, f"{month:%Y-%m}", *_month(month)) for symbol, month in months
        ]

    def symbols(self) -> set[str]:
        """Those that are known, whether anything of them is stored or not."""
        found = self._rows(query("export", "symbols"), {"exchange": self._options.exchange})
        return {symbol for (symbol,) in found}

    def state(self, partition: Partition) -> tuple[int, str]:
        """How many rows there are, and a text that is another one whenever any of them is."""
        ((number, mark),) = self._rows(_DATASETS[partition.dataset].state(), _bounds(partition))
        return int(number), f"{number}:{mark}"

    def dropped_before(self, partition: Partition) -> datetime | None:
        """The end of what retention has dropped of a partition of which some is left; None: it has dropped nothing."""
        if (table := _EXPIRES.get(partition.dataset)) is None:
            return None
        given = {**_bounds(partition), "dataset": partition.dataset, "table": table}
        end: datetime | None = self._rows(query("export", "dropped_before"), given)[0][0]
        return end if end is not None and end > partition.since else None

    def csv(self, partition: Partition) -> Iterator[bytes]:
        """Its rows in CSV, in pieces of whole lines."""
        held = bytearray()
        try:
            for some in copied(self._connection, _DATASETS[partition.dataset].rows(), _bounds(partition)):
                held += some
                if len(held) >= _PIECE_BYTES:
                    end = held.rfind(b"\n") + 1
                    yield bytes(held[:end])
                    del held[:end]
        except CLIENT_ERRORS as error:
            raise translate(error) from error
        if held:
            yield bytes(held)

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    @property
    def _connection(self) -> psycopg.Connection:
        if self._opened is None:
            options = self._options
            info = options.conninfo("export", writable=False)
            connection = psycopg.connect(info, autocommit=True, prepare_threshold=None)
            settings = {"schema": options.schema, "lock_timeout": _LOCK_TIMEOUT, "statement_timeout": "0"}
            connection.execute(query("session", "configure"), settings)
            connection.execute(query("session", "only_read"))
            self._opened = connection
        return self._opened

    def _rows(self, statement: LiteralString, values: dict[str, Any]) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(statement, values or None).fetchall()
        except CLIENT_ERRORS as error:
            raise translate(error) from error


def _bounds(partition: Partition) -> dict[str, Any]:
    return {
        "exchange": partition.exchange,
        "symbol": partition.symbol,
        "since": partition.since,
        "until": partition.until,
    }


def _day(day: date) -> tuple[datetime, datetime]:
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return start, start + timedelta(days=1)


def _month(month: date) -> tuple[datetime, datetime]:
    start = datetime(month.year, month.month, 1, tzinfo=UTC)
    return start, (start + timedelta(days=31)).replace(day=1)
