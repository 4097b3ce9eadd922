"""Every setting of marketd: type, unit, range, default and description, in one place."""

from __future__ import annotations

from typing import Any

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from ..errors import ConfigError
from . import checks, network
from .checks import CONTRACT_TYPES, LEVELS


def _setting(default: object, text: str, *, group: str, accepts: str, **constraints: Any) -> Any:
    """One field. ``accepts`` says what may be written, with unit and range; errors repeat it as the fix."""
    extra: dict[str, Any] = {"group": group, "accepts": accepts}
    return Field(default, description=text, json_schema_extra=extra, **constraints)


def _first(*urls: SecretStr | None) -> str | None:
    return next((url.get_secret_value() for url in urls if url is not None), None)


class Settings(BaseSettings):
    """The whole configuration, frozen. Constructing raises pydantic's ``ValidationError`` for single fields.

    Only ``load`` reads the environment and files; constructing this class takes its arguments and defaults
    alone, so a test never sees the machine's settings.
    """

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        str_strip_whitespace=True,
        validate_default=True,
        hide_input_in_errors=True,
    )

    database_url: checks.DatabaseUrl | None = _setting(
        None,
        "Where candles are written. The role needs SELECT, INSERT and UPDATE, no DELETE."
        " scripts/start.sh brings a private database of its own when this is not set.",
        group="Database",
        accepts="a URL such as postgresql://marketd:password@127.0.0.1:5432/market",
    )
    database_owner_url: checks.DatabaseUrl | None = _setting(
        None,
        "The role that owns the tables, for `marketd migrate` only. Default: DATABASE_URL.",
        group="Database",
        accepts="a URL such as postgresql://owner:password@127.0.0.1:5432/market",
    )
    database_reader_url: checks.DatabaseUrl | None = _setting(
        None,
        "A role with SELECT alone, for `marketd status` and later the API. Default: DATABASE_URL.",
        group="Database",
        accepts="a URL such as postgresql://reader:password@127.0.0.1:5432/market",
    )
    kline_db_schema: checks.Schema = _setting(
        "market_data",
        "The schema that holds every table of marketd.",
        group="Database",
        accepts="a lower-case PostgreSQL name of at most 63 characters",
    )
    chunk_days: int = _setting(
        7,
        "Days in one chunk of the candle table, decided by the first `marketd migrate`. Weekly chunks"
        " keep years of minutes cheap to plan; smaller ones cost every query, larger ones memory.",
        group="Database",
        accepts="a whole number of days, 1 to 90",
        ge=1,
        le=90,
    )
    binance_ws_db_exchange: checks.Label = _setting(
        "binance_futures_um",
        "The word in the column `exchange` of every row.",
        group="Database",
        accepts="1 to 40 of a-z, 0-9 and _",
    )
    binance_ws_source: checks.Label = _setting(
        "binance_ws",
        "The word in the column `source` of rows that came by the stream; a label for people.",
        group="Database",
        accepts="1 to 40 of a-z, 0-9 and _",
    )

    symbols: checks.Globs = _setting(
        ("*",),
        "Which symbols to keep, among USDT perpetuals.",
        group="Universe",
        accepts="symbols or globs, comma-separated, such as BTCUSDT,1000*",
    )
    exclude_symbols: checks.Globs = _setting(
        (),
        "Which of those to leave out.",
        group="Universe",
        accepts="symbols or globs, comma-separated, such as USDCUSDT",
    )
    contract_types: checks.ContractTypes = _setting(
        CONTRACT_TYPES,
        "The venue's contract types to keep; TRADIFI_PERPETUAL are perpetuals on shares and metals.",
        group="Universe",
        accepts=f"one or both of {', '.join(CONTRACT_TYPES)}",
    )

    binance_rest_url: checks.RestUrl = _setting(
        "https://fapi.binance.com",
        "The venue's REST address. The sandbox's is taken over http:// on loopback.",
        group="Exchange",
        accepts="an https:// URL, or http:// on loopback",
    )
    binance_ws_url: checks.StreamUrl = _setting(
        "wss://fstream.binance.com/market",
        "The venue's stream address, with the /market route: without it the venue accepts the connection"
        " and sends no klines. The sandbox's is taken over ws:// on loopback.",
        group="Exchange",
        accepts="a wss:// URL that ends in /market, or a ws:// one on loopback",
    )
    http_proxy: checks.Proxy | None = _setting(
        None,
        "The proxy for REST and stream. Everything but loopback goes through it, and nothing round it.",
        group="Exchange",
        accepts="a URL such as http://127.0.0.1:7890",
    )
    rate_limit_per_minute: int = _setting(
        1800,
        "REST weight to spend in one of the venue's minutes. The venue allows an address 2400; the rest"
        " is left to other programs on it.",
        group="Exchange",
        accepts="a whole number of weight units a minute, 60 to 2400",
        ge=60,
        le=2400,
    )
    streams_per_connection: int = _setting(
        200,
        "Streams on one connection: one a symbol, and two of our own for the canary and contract events. The"
        " venue cuts it at 1024 streams; fewer lose less at once.",
        group="Exchange",
        accepts="a whole number of streams, 1 to 1000",
        ge=1,
        le=1000,
    )
    binance_ws_gap_interval: float = _setting(
        600.0,
        "How often the last 25 h are searched for holes, which are then asked over REST.",
        group="Exchange",
        accepts="a number of seconds, 30 to 86400",
        ge=30,
        le=86400,
    )
    speed: float = _setting(
        1.0,
        "Venue seconds per wall second. Above 1 only against the sandbox, whose --speed must be the same.",
        group="Exchange",
        accepts="a number, 1 to 1000; other than 1 only with loopback addresses",
        ge=1,
        le=1000,
    )

    flush_interval: float = _setting(
        3.0,
        "How long the oldest waiting candle may wait for its commit.",
        group="Writer",
        accepts="a number of seconds, 0.1 to 60",
        ge=0.1,
        le=60,
    )
    buffer_rows: int = _setting(
        200_000,
        "Candles kept in memory while the database is away (about 4.5 h of 740 symbols, 90 MB). Beyond"
        " it the oldest go, and their minutes are fetched again later.",
        group="Writer",
        accepts="a whole number of rows, 1000 to 5000000",
        ge=1000,
        le=5_000_000,
    )

    metrics_host: str = _setting(
        "127.0.0.1",
        "The address of /metrics, /healthz and /readyz. Another one than loopback needs METRICS_TOKEN.",
        group="Metrics",
        accepts="an IP address or host name",
        min_length=1,
    )
    metrics_port: int = _setting(
        9108,
        "The port of /metrics, /healthz and /readyz. 0 takes a free one and logs it.",
        group="Metrics",
        accepts="a whole number, 0 to 65535",
        ge=0,
        le=65535,
    )
    metrics_token: checks.Token | None = _setting(
        None,
        "When set, /metrics answers only to `Authorization: Bearer TOKEN`.",
        group="Metrics",
        accepts="at least 16 characters, such as the output of `openssl rand -hex 24`",
    )
    symbol_metric: bool = _setting(
        False,
        "Export marketd_symbol_last_open_time_seconds{symbol}: some 700 series more.",
        group="Metrics",
        accepts="on or off",
    )

    log_level: checks.Level = _setting(
        "info",
        "The least severe line to write.",
        group="Logs",
        accepts=f"one of {', '.join(LEVELS)}",
    )
    log_levels: checks.Levels = _setting(
        {},
        "Levels of single components, which win over LOG_LEVEL.",
        group="Logs",
        accepts="component=level pairs, comma-separated, such as writer=debug,stream=warning",
    )
    log_format: checks.LogFormat = _setting(
        "auto",
        "json is one object a line, text is for people; auto is text on a terminal, else json.",
        group="Logs",
        accepts="one of auto, json, text",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)

    def owner_url(self) -> str | None:
        """The URL to migrate with."""
        return _first(self.database_owner_url, self.database_url)

    def reader_url(self) -> str | None:
        """The URL to look with."""
        return _first(self.database_reader_url, self.database_url)

    def secrets(self) -> tuple[str, ...]:
        """Every value that no log line may hold, passwords inside URLs by themselves too."""
        values = [value for _, value in self if isinstance(value, SecretStr)]
        return tuple(part for value in values for part in network.secret_parts(value.get_secret_value()))

    def check(self) -> None:
        """Refuse settings that are fine alone and wrong together. Raises ``ConfigError``."""
        if problems := [text for _, text in self.conflicts()]:
            raise ConfigError(*problems)

    def conflicts(self) -> list[tuple[frozenset[str], str]]:
        """Settings that are fine alone and wrong together: the fields meant, and one sentence each."""
        found = []
        urls = (self.binance_rest_url, self.binance_ws_url)
        if self.speed != 1 and not all(network.is_loopback_url(url) for url in urls):
            found.append(
                (
                    frozenset({"speed", "binance_rest_url", "binance_ws_url"}),
                    f"SPEED={self.speed:g}: a real exchange runs at speed 1; point BINANCE_REST_URL and"
                    " BINANCE_WS_URL at the sandbox, or leave SPEED out",
                )
            )
        if not network.is_loopback(self.metrics_host) and self.metrics_token is None:
            found.append(
                (
                    frozenset({"metrics_host", "metrics_token"}),
                    f"METRICS_HOST={self.metrics_host}: other machines could read it; set METRICS_TOKEN"
                    " (or METRICS_TOKEN_FILE), or use 127.0.0.1",
                )
            )
        return found
