"""What Binance USDT-margined futures is, as constants: each with its unit, its reason and its source.

Sources: NOTICE is the "Important WebSocket Change Notice" (Base URL Split) on developers.binance.com, DOCS
its page "Websocket Market Streams", MEASURED what the live host did on 2026-10-07 where it differs.
"""

from __future__ import annotations

STREAM_PATH = "/stream"
"""Combined mode, below the ``/market`` route of the stream address: frames name their stream (DOCS). Without
the route the host acknowledges everything and has sent no klines since 2026-04-23 (NOTICE)."""

INTERVAL = "1m"
KLINE_SUFFIX = f"@kline_{INTERVAL}"
"""Stream name of a symbol's candles: the symbol with ASCII letters in lower case, then this (DOCS)."""

TRADE_SUFFIX = "@aggTrade"
"""Stream name of a symbol's aggregate trades (DOCS)."""

CANARY_STREAM = "btcusdt@markPrice@1s"
"""Pushed every second whatever trades (DOCS), so its silence means a dead connection, not a quiet market."""

CONTRACT_STREAM = "!contractInfo"
"""Listings, halts and delistings of every contract as they happen (DOCS)."""

STREAMS_PER_CONNECTION = 200
"""Streams. The host takes 1024 (200 until 2025-07-02) and closes with 1008 at the next, losing all (MEASURED);
fewer lose less at once."""

NAMES_PER_REQUEST = 200
"""Names in one SUBSCRIBE, the largest number that was tried and accepted (MEASURED)."""

REQUESTS_PER_SECOND = 5
"""Messages from us on one connection in a wall second; the host closes above 10 (DOCS), pongs may count."""

LIFETIME_S = 86_400
"""Venue seconds after which the host cuts a connection (DOCS)."""

TAKEOVER_AGE_S = 82_800
"""Venue seconds (23 h) after which a replacement is made: an hour for one connection after the other."""

ATTEMPTS_PER_WINDOW = 60
"""Handshakes over all connections in ``ATTEMPT_WINDOW_S``. A fifth of the 300 an address is allowed (stated
for spot and the WebSocket API only), because other programs may share the address."""

ATTEMPT_WINDOW_S = 300
"""Venue seconds: the window of the limit on new connections."""

MAX_FRAME_BYTES = 1_048_576
"""Largest message that is taken. A kline frame has 325 bytes, the largest contract event some 2 kB; 1 MiB
is far above both and bounds what a broken or hostile sender can make us hold."""

OLDEST_OPEN_MS = 1_567_296_000_000
"""2019-09-01 UTC in milliseconds, the month in which the market opened: nothing is older."""

NEWEST_OPEN_MS = 9_999_999_999_999
"""Year 2286 in milliseconds. Larger numbers are microseconds or garbage; seconds fall below the oldest."""

MAX_AHEAD_MS = 120_000
"""Milliseconds that a time may lie ahead of the venue's clock before it counts as wrong."""

SIGNIFICANT_DIGITS = 15
"""Decimal digits that every float8 keeps exactly (IEEE 754 binary64, DBL_DIG)."""

MAX_SYMBOL_CHARS = 40
"""Longest live name has 17 characters (MEASURED); twice that and more is surely no symbol."""
