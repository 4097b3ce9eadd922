"""Puts listings, ledger lines and candles into a test's database, as the writers of the daemon would."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime, timedelta

import psycopg

from tests.support.moments import MIDDAY

EXCHANGE = "binance_futures_um"


class Books:
    """One database's ledger, written by hand."""

    def __init__(self, url: str) -> None:
        options = "-c search_path=market_data,public -c TimeZone=UTC"
        self._connection = psycopg.connect(url, autocommit=True, options=options)

    def close(self) -> None:
        self._connection.close()

    def list(
        self, symbol: str, onboard: datetime, end: datetime | None = None, *, alpha: bool = False
    ) -> None:
        """A listing interval, without an end while it trades."""
        self._connection.execute(
            "INSERT INTO instruments (exchange, symbol, onboard_ts, end_ts, contract_type, status, base, quote,"
            " archive_symbol, origin, alpha)"
            " VALUES (%s, %s, %s, coalesce(%s, 'infinity'::timestamptz), 'PERPETUAL', %s, %s, 'USDT', %s,"
            " 'exchange_info', %s)",
            [EXCHANGE, symbol, onboard, end, "SETTLING" if end else "TRADING", symbol[:-4], symbol, alpha],
        )

    def day(
        self,
        symbol: str,
        day: date,
        *,
        expected: int = 1440,
        have: int = 0,
        absent: int = 0,
        expired: int = 0,
        attempts: int = 0,
        dirty: bool = False,
        dataset: str = "candles_1m",
    ) -> None:
        """A ledger line."""
        self._connection.execute(
            "INSERT INTO coverage_days (exchange, dataset, symbol, day, expected, have, absent, expired, attempts,"
            " dirty) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
            " ON CONFLICT (exchange, dataset, symbol, day) DO UPDATE SET expected = excluded.expected,"
            " have = excluded.have",
            [EXCHANGE, dataset, symbol, day, expected, have, absent, expired, attempts, dirty],
        )

    def candles(self, symbol: str, since: datetime, until: datetime, *, without: Collection[int] = ()) -> int:
        """Candles of [since, until) but those of the minutes ``without``, counted from ``since``; how many."""
        minutes = [n for n in range(int((until - since) / timedelta(minutes=1))) if n not in without]
        self._connection.execute(
            "INSERT INTO candles_1m (exchange, symbol, bucket_ts, open, high, low, close, volume, quote_volume,"
            " trade_count, taker_buy_volume, taker_buy_quote_volume, authority, source)"
            " SELECT %s, %s, %s + make_interval(mins => n), 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 'test'"
            " FROM unnest(%s::int[]) AS n",
            [EXCHANGE, symbol, since, minutes],
        )
        return len(minutes)

    def metrics(self, symbol: str, since: datetime, count: int) -> None:
        """The first ``count`` metrics of the day that begins at ``since``."""
        self._connection.execute(
            "INSERT INTO binance_futures_metrics_5m (exchange, symbol, create_time, sum_open_interest,"
            " sum_open_interest_rank, authority, source)"
            " SELECT %s, %s, %s + make_interval(mins => 5 * n), 1, 0, 0, 'test' FROM generate_series(1, %s) AS n",
            [EXCHANGE, symbol, since, count],
        )

    def request(
        self, symbols: Sequence[str], since: datetime, until: datetime, state: str = "waiting"
    ) -> None:
        """What `marketd backfill` asks of the daemon."""
        self._connection.execute(
            "INSERT INTO backfill_requests (exchange, symbols, from_ts, to_ts, source, force, keep, requested_by,"
            " state) VALUES (%s, %s, %s, %s, 'auto', false, false, 'a test', %s)",
            [EXCHANGE, [*symbols], since, until, state],
        )

    def absent(self, symbol: str, ts: datetime) -> None:
        """A minute proved absent."""
        self._connection.execute(
            "INSERT INTO absent_minutes (exchange, dataset, symbol, ts, archive_path, archive_sha256, rest_asked_at,"
            " next_ask_at) VALUES (%s, 'candles_1m', %s, %s, 'p', 's', now(), now())",
            [EXCHANGE, symbol, ts],
        )

    def quarantine(self, symbol: str, first_day: date, detail: str) -> None:
        """A daily archive file that is unusable for good."""
        path = f"data/futures/um/daily/klines/{symbol}/1m/{symbol}-1m-{first_day}.zip"
        self._connection.execute(
            "INSERT INTO archive_files (exchange, path, dataset, symbol, span, first_day, state, detail)"
            " VALUES (%s, %s, 'candles_1m', %s, 'daily', %s, 'quarantined', %s)",
            [EXCHANGE, path, symbol, first_day, detail],
        )


NOW = datetime.fromtimestamp(MIDDAY, UTC)
"""What the commands take for now, see ``conftest.py``: a test that runs at midnight has one day and not two."""


def midnight(days_ago: int) -> datetime:
    """The midnight UTC that began the day so many days ago."""
    return NOW.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days_ago)
