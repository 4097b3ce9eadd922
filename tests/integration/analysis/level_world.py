"""Bars of some symbols in a database, and runs of levels over them as a kernel process makes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString

import psycopg
from psycopg import Connection

from src.adapters.timescale.copying.tables import DatabaseTables
from src.adapters.timescale.options import DatabaseOptions
from src.analysis.levels.compute import compute
from src.analysis.levels.rows import known_at
from src.analysis.levels.terms import Market
from tests.naive_levels import Bar, NaiveLevel
from tests.unit.analysis.level_strategies import HOUR_MS, START_MS, plain

SOURCE = "binance_futures_um"


def moment(ms: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)


class LevelWorld:
    """``market`` may look back less far than ours does, so that few bars are enough."""

    def __init__(self, tables: DatabaseTables, connection: Connection, **market: Any) -> None:
        self.tables, self.connection = tables, connection
        self.market = Market("binance", "future", "1h", HOUR_MS, SOURCE, **market)
        self.notes: list[str] = []

    def listed(self, symbol: str, onboard_ms: int = START_MS, end_ms: int | None = None) -> None:
        self.fetch(
            "INSERT INTO instruments (exchange, symbol, onboard_ts, end_ts, contract_type, status, base, quote,"
            " archive_symbol, origin) VALUES (%s, %s, %s, coalesce(%s, 'infinity'::timestamptz), 'PERPETUAL',"
            " 'TRADING', '', 'USDT', %s, 'exchange_info') ON CONFLICT DO NOTHING",
            SOURCE,
            symbol,
            moment(onboard_ms),
            end_ms and moment(end_ms),
            symbol,
        )

    def traded(self, symbol: str, rows: Sequence[Bar], made_to_ms: int | None = None) -> None:
        """The bars, and that they are made up to the last; those that are there are replaced."""
        with self.connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO bars (exchange, symbol, kind, size, open_ts, close_ts, open, high, low, close, volume)"
                " VALUES (%s, %s, 'time', %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT"
                " (exchange, symbol, kind, size, open_ts, first_trade_id) DO UPDATE SET high = excluded.high,"
                " low = excluded.low, open = excluded.open, close = excluded.close, volume = excluded.volume",
                [
                    (
                        SOURCE,
                        symbol,
                        self.market.period_ms,
                        moment(o),
                        moment(c),
                        close,
                        high,
                        low,
                        close,
                        volume,
                    )
                    for o, c, high, low, close, volume in rows
                ],
            )
        self.fetch(
            "INSERT INTO bar_fronts (exchange, symbol, made_to) VALUES (%s, %s, %s)"
            " ON CONFLICT (exchange, symbol) DO UPDATE SET made_to = excluded.made_to",
            SOURCE,
            symbol,
            moment(made_to_ms or rows[-1][1]),
        )

    def run(self, *symbols: str, **options: Any) -> dict[str, Any]:
        """One run; of the universe where no symbol is named."""
        return compute(
            tables=self.tables,
            note=lambda text, share=None: self.notes.append(text),
            market=self.market,
            symbols=symbols or None,
            **options,
        )

    def known(self, symbol: str, at_ms: int) -> list[NaiveLevel]:
        return plain(known_at(self.tables, self.market, symbol, at_ms))

    def fetch(self, statement: LiteralString, *values: object) -> list[tuple[Any, ...]]:
        cursor = self.connection.execute(statement, values)
        return cursor.fetchall() if cursor.description else []


@contextmanager
def level_world(url: str, **market: Any) -> Iterator[LevelWorld]:
    tables = DatabaseTables(DatabaseOptions(url))
    try:
        with psycopg.connect(url, autocommit=True, options="-c search_path=market_data,public") as connection:
            yield LevelWorld(tables, connection, **market)
    finally:
        tables.close()
