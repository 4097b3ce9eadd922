"""Settings of what is copied from where to where: database, universe, exchange."""

from __future__ import annotations

from pydantic_settings import BaseSettings

from . import checks
from .checks import CONTRACT_TYPES
from .fields import setting


class SourceSettings(BaseSettings):
    """The first half of ``Settings``."""

    database_url: checks.DatabaseUrl | None = setting(
        None,
        "Where candles are written. The role needs SELECT, INSERT and UPDATE, no DELETE."
        " Several servers, each host:port, are tried until one takes writes. SIGHUP takes another account or password."
        " scripts/start.sh brings a private database of its own when this is not set.",
        group="Database",
        accepts="a URL such as postgresql://marketd:password@127.0.0.1:5432/market",
    )
    database_owner_url: checks.DatabaseUrl | None = setting(
        None,
        "The role that owns the tables, for `marketd migrate` only. Default: DATABASE_URL.",
        group="Database",
        accepts="a URL such as postgresql://owner:password@127.0.0.1:5432/market",
    )
    database_reader_url: checks.DatabaseUrl | None = setting(
        None,
        "A role with SELECT alone, for `marketd status` and the API. Default: DATABASE_URL.",
        group="Database",
        accepts="a URL such as postgresql://reader:password@127.0.0.1:5432/market",
    )
    kline_db_schema: checks.Schema = setting(
        "market_data",
        "The schema that holds every table of marketd.",
        group="Database",
        accepts="a lower-case PostgreSQL name of at most 63 characters",
    )
    chunk_days: int = setting(
        7,
        "Days in one chunk of the candle table, decided by the first `marketd migrate`. Weekly chunks"
        " keep years of minutes cheap to plan; smaller ones cost every query, larger ones memory.",
        group="Database",
        accepts="a whole number of days, 1 to 90",
        ge=1,
        le=90,
    )
    binance_ws_db_exchange: checks.Label = setting(
        "binance_futures_um",
        "The word in the column `exchange` of every row.",
        group="Database",
        accepts="1 to 40 of a-z, 0-9 and _",
    )
    binance_ws_source: checks.Label = setting(
        "binance_ws",
        "The word in the column `source` of rows that came by the stream; a label for people.",
        group="Database",
        accepts="1 to 40 of a-z, 0-9 and _",
    )

    symbols: checks.Globs = setting(
        ("*",),
        "Which symbols to keep, among USDT perpetuals.",
        group="Universe",
        accepts="symbols or globs, comma-separated, such as BTCUSDT,1000*",
    )
    exclude_symbols: checks.Globs = setting(
        (),
        "Which of those to leave out.",
        group="Universe",
        accepts="symbols or globs, comma-separated, such as USDCUSDT",
    )
    contract_types: checks.ContractTypes = setting(
        CONTRACT_TYPES,
        "The venue's contract types to keep; TRADIFI_PERPETUAL are perpetuals on shares and metals.",
        group="Universe",
        accepts=f"one or both of {', '.join(CONTRACT_TYPES)}",
    )

    binance_rest_url: checks.RestUrl = setting(
        "https://fapi.binance.com",
        "The venue's REST address. The sandbox's is taken over http:// on loopback.",
        group="Exchange",
        accepts="an https:// URL, or http:// on loopback",
    )
    binance_ws_url: checks.StreamUrl = setting(
        "wss://fstream.binance.com/market",
        "The venue's stream address, with the /market route: without it the venue accepts the connection"
        " and sends no klines. The sandbox's is taken over ws:// on loopback.",
        group="Exchange",
        accepts="a wss:// URL that ends in /market, or a ws:// one on loopback",
    )
    binance_archive_url: checks.RestUrl = setting(
        "https://data.binance.vision",
        "Where the venue's published archive files are read.",
        group="Exchange",
        accepts="an https:// URL, or http:// on loopback",
    )
    binance_archive_list_url: checks.RestUrl = setting(
        "https://s3-ap-northeast-1.amazonaws.com/data.binance.vision",
        "Where the list of archive files is read: the bucket behind BINANCE_ARCHIVE_URL.",
        group="Exchange",
        accepts="an https:// URL, or http:// on loopback",
    )
    binance_alpha_url: checks.RestUrl = setting(
        "https://www.binance.com",
        "Where the list of Binance Alpha tokens is read.",
        group="Exchange",
        accepts="an https:// URL, or http:// on loopback",
    )
    http_proxy: checks.Proxy | None = setting(
        None,
        "The proxy for REST and stream. Everything but loopback goes through it, and nothing round it.",
        group="Exchange",
        accepts="a URL such as http://127.0.0.1:7890",
    )
    rate_limit_per_minute: int = setting(
        1800,
        "REST weight to spend in one of the venue's minutes. The venue allows an address 2400; the rest"
        " is left to other programs on it.",
        group="Exchange",
        accepts="a whole number of weight units a minute, 60 to 2400",
        ge=60,
        le=2400,
    )
    streams_per_connection: int = setting(
        200,
        "Streams on one connection: one a symbol, and two of our own for the canary and contract events. The"
        " venue cuts it at 1024 streams; fewer lose less at once.",
        group="Exchange",
        accepts="a whole number of streams, 1 to 1000",
        ge=1,
        le=1000,
    )
    binance_ws_gap_interval: float = setting(
        600.0,
        "How often the last 25 h are searched for holes, which are then asked over REST.",
        group="Exchange",
        accepts="a number of seconds, 30 to 86400",
        ge=30,
        le=86400,
    )
    speed: float = setting(
        1.0,
        "Venue seconds per wall second. Above 1 only against the sandbox, whose --speed must be the same.",
        group="Exchange",
        accepts="a number, 1 to 1000; other than 1 only with loopback addresses",
        ge=1,
        le=1000,
    )
