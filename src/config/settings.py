"""Every setting of marketd: type, unit, range, default and description, in ``sources`` to ``api`` and here."""

from __future__ import annotations

from pydantic import SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from ..errors import ConfigError
from . import checks, network
from .api import ApiSettings
from .checks import LEVELS
from .fields import setting

_HISTORY_URLS = ("binance_archive_url", "binance_archive_list_url", "binance_alpha_url")


def _first(*urls: SecretStr | None) -> str | None:
    return next((url.get_secret_value() for url in urls if url is not None), None)


class Settings(ApiSettings):
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

    backfill_from: checks.BackfillFrom = setting(
        "30d",
        "How far back --backfill and --all fill the history by themselves. `marketd backfill --from` reaches"
        " further on request.",
        group="History",
        accepts="a number of days such as 30d, a date such as 2024-01-01, or listing",
    )
    backfill_workers: int = setting(
        2,
        "Archive files imported side by side. Each is a process and a database connection of its own.",
        group="History",
        accepts="a whole number, 1 to 8",
        ge=1,
        le=8,
    )
    archive_folder: str = setting(
        "var/archive",
        "Where archive files are downloaded to; they are removed once imported.",
        group="History",
        accepts="a folder that can be written",
        min_length=1,
    )
    verify_archive: bool = setting(
        True,
        "Compare every complete day with the venue's daily file once that is published.",
        group="History",
        accepts="on or off",
    )
    retention_days: int | None = setting(
        None,
        "Drop what is older than this. Nothing is filled that would be dropped. Default: keep everything.",
        group="History",
        accepts="a whole number of days, 8 or more",
        ge=8,
    )

    flush_interval: float = setting(
        3.0,
        "How long the oldest waiting candle may wait for its commit.",
        group="Writer",
        accepts="a number of seconds, 0.1 to 60",
        ge=0.1,
        le=60,
    )
    buffer_rows: int = setting(
        200_000,
        "Candles kept in memory while the database is away (about 4.5 h of 740 symbols, 90 MB). Beyond"
        " it the oldest go, and their minutes are fetched again later.",
        group="Writer",
        accepts="a whole number of rows, 1000 to 5000000",
        ge=1000,
        le=5_000_000,
    )

    metrics_host: str = setting(
        "127.0.0.1",
        "The address of /metrics, /healthz and /readyz. Another one than loopback needs METRICS_TOKEN.",
        group="Metrics",
        accepts="an IP address or host name",
        min_length=1,
    )
    metrics_port: int = setting(
        9108,
        "The port of /metrics, /healthz and /readyz. 0 takes a free one and logs it.",
        group="Metrics",
        accepts="a whole number, 0 to 65535",
        ge=0,
        le=65535,
    )
    metrics_token: checks.Token | None = setting(
        None,
        "When set, /metrics answers only to `Authorization: Bearer TOKEN`.",
        group="Metrics",
        accepts="at least 16 characters, such as the output of `openssl rand -hex 24`",
    )
    symbol_metric: bool = setting(
        False,
        "Export marketd_symbol_last_open_time_seconds{symbol}: some 700 series more.",
        group="Metrics",
        accepts="on or off",
    )

    log_level: checks.Level = setting(
        "info",
        "The least severe line to write.",
        group="Logs",
        accepts=f"one of {', '.join(LEVELS)}",
    )
    log_levels: checks.Levels = setting(
        {},
        "Levels of single components, which win over LOG_LEVEL.",
        group="Logs",
        accepts="component=level pairs, comma-separated, such as writer=debug,stream=warning",
    )
    log_format: checks.LogFormat = setting(
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
        spot = ("binance_spot_rest_url",) if self.spot_trade_symbols else ()
        urls = ("binance_rest_url", "binance_ws_url", *_HISTORY_URLS, *spot)
        if self.speed != 1 and not all(network.is_loopback_url(getattr(self, name)) for name in urls):
            others = ", ".join(name.upper() for name in (*_HISTORY_URLS, *spot))
            found.append(
                (
                    frozenset({"speed", *urls}),
                    f"SPEED={self.speed:g}: a real exchange runs at speed 1; point BINANCE_REST_URL and"
                    f" BINANCE_WS_URL (and {others}) at the sandbox, or leave SPEED out",
                )
            )
        if self.uniswap_pools and self.eth_rpc_url is None:
            found.append(
                (
                    frozenset({"uniswap_pools", "eth_rpc_url"}),
                    "UNISWAP_POOLS: their swaps are read from a node; set ETH_RPC_URL (or ETH_RPC_URL_FILE)",
                )
            )
        if self.alert_targets is not None and self.alert_secret is None:
            found.append(
                (
                    frozenset({"alert_targets", "alert_secret"}),
                    "ALERT_TARGETS: what they are sent is signed; set ALERT_SECRET (or ALERT_SECRET_FILE)",
                )
            )
        if not network.is_loopback(self.api_host) and self.api_tokens_file is None:
            found.append(
                (
                    frozenset({"api_host", "api_tokens_file"}),
                    f"API_HOST={self.api_host}: other machines could use it; set API_TOKENS_FILE, or use 127.0.0.1",
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
