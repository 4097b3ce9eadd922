"""Two weeks of a spot market and of a Uniswap pool, made up in the database itself."""

from __future__ import annotations

import psycopg

DAYS = 14
START_S = 1_760_054_400
END_S = START_S + DAYS * 86_400
POOL = "0x" + "a" * 40
PATH = "-c search_path=market_data,public -c TimeZone=UTC"


def fill(url: str, *, trades: int, swaps: int) -> None:
    """Trades and swaps spread evenly over the days, closed and final; every fourth swap is worth a row."""
    with psycopg.connect(url, options=PATH, autocommit=True) as connection:
        connection.execute("SELECT setseed(0.5)")
        connection.execute(
            "INSERT INTO agg_trades (exchange, symbol, trade_id, ts, price, quantity, is_buyer_maker)"
            " SELECT 'binance_spot', 'ETHUSDT', n,"
            " date_trunc('milliseconds', to_timestamp(%(start)s + n * %(days)s * 86400.0 / %(trades)s)),"
            " 2000 + round((20 * sin(n / 1e5) + random())::numeric, 2)::float8,"
            " 0.0001 + round(random()::numeric, 4)::float8, n %% 2 = 0 FROM generate_series(0, %(trades)s - 1) AS n",
            {"start": START_S, "days": DAYS, "trades": trades},
        )
        connection.execute(
            "INSERT INTO trade_reach VALUES ('binance_spot', 'ETHUSDT', 0, %s, to_timestamp(%s), to_timestamp(%s))",
            [trades - 1, START_S, END_S],
        )
        connection.execute(
            "INSERT INTO pools VALUES ('ethereum', %s, '0x' || repeat('1', 40), '0x' || repeat('2', 40),"
            " 'WETH', 'USDT', 18, 6, 500, 10, 0)",
            [POOL],
        )
        connection.execute(
            "INSERT INTO uniswap_swaps (chain, pool, block_time, block_number, price, gas_used, log_index,"
            " transaction_index, tick, amount0, amount1, sqrt_price_x96, liquidity, gas_price, base_fee, block_hash,"
            " transaction_hash, sender, recipient)"
            " SELECT 'ethereum', %(pool)s, to_timestamp(%(start)s + block * 12), block,"
            " (2000.5 + 20 * sin(n * %(trades)s / %(swaps)s / 1e5)) * (0.997 + 0.006 * random()), 150000,"
            " n, 0, -200000, 1e18, -2e9, 3543191142285914205922034, 1e19, 1e10, 1e10,"
            " '0x' || lpad(to_hex(block), 64, '0'), '0x' || lpad(to_hex(n), 64, '0'), 's', 'r'"
            " FROM (SELECT n, floor(n * %(days)s * 7200.0 / %(swaps)s)::bigint AS block"
            " FROM generate_series(0, %(swaps)s - 1) AS n) AS made",
            {"pool": POOL, "start": START_S, "days": DAYS, "swaps": swaps, "trades": float(trades)},
        )
        connection.execute(
            "INSERT INTO swap_ranges VALUES"
            " ('ethereum', %s, 0, %s, to_timestamp(%s), to_timestamp(%s), %s, to_timestamp(%s))",
            [POOL, DAYS * 7_200, START_S, END_S, DAYS * 7_200, END_S],
        )
        connection.execute("VACUUM (ANALYZE) agg_trades")
        connection.execute("VACUUM (ANALYZE) uniswap_swaps")
