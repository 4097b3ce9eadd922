"""What each setting takes."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import ValidationError

from src.config import Settings, masked, setting_names
from src.config.describe import accepts
from src.errors import ConfigError

ANYWHERE = "0.0.0.0"  # noqa: S104 - it is what must be refused without a token


def make(**values: Any) -> Settings:
    """Settings from values as they are written, which pydantic turns into their types."""
    return Settings(**values)


def test_the_defaults_are_a_working_configuration() -> None:
    Settings().check()


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        Settings().speed = 2.0  # type: ignore[misc]


def test_settings_look_at_nothing_but_their_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://real/database")
    assert Settings().database_url is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("database_url", "postgresql://u:p@h:5432/db"),
        ("database_url", "postgresql://u:p@h:5432,[::1]:5433,other/db?target_session_attrs=any"),
        ("database_url", "postgres:///db?host=/run/postgresql"),
        ("database_url", "postgresql://h?dbname=db"),
        ("binance_rest_url", "http://127.0.0.1:8787/"),
        ("binance_rest_url", "http://[::1]:8787"),
        ("binance_ws_url", "ws://localhost:8787/market"),
        ("http_proxy", "http://user:pass@proxy:3128"),
        ("symbol_metric", "on"),
        ("log_level", "DEBUG"),
        ("log_levels", "writer=debug, lib.aiohttp=info"),
        ("contract_types", "perpetual"),
        ("exclude_symbols", "USDCUSDT,*[0-9]USDT"),
    ],
)
def test_taken(name: str, value: Any) -> None:
    make(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("database_url", "mysql://h/db"),
        ("database_url", "postgresql:db"),
        ("database_url", "postgresql://h:5432"),
        ("database_url", "postgresql://u:p#w@h:x/db"),
        ("database_url", "postgresql://u:p@h:5432,other:x/db"),
        ("database_url", "host=h dbname=db"),
        ("binance_rest_url", "http://fapi.binance.com"),
        ("binance_rest_url", "http://127.0.0.1.example.com"),
        ("binance_rest_url", "https://user@fapi.binance.com"),
        ("binance_rest_url", "https://"),
        ("binance_ws_url", "https://fstream.binance.com/market"),
        ("binance_ws_url", "ws://10.0.0.1/market"),
        ("binance_ws_url", "wss://fstream.binance.com/stream"),
        ("binance_ws_url", "wss://h:99999/market"),
        ("http_proxy", "proxy:3128"),
        ("http_proxy", "http://proxy"),
        ("http_proxy", "http://proxy:3128/path"),
        ("flush_interval", "nan"),
        ("flush_interval", "inf"),
        ("speed", 0),
        ("buffer_rows", "1e6"),
        ("rate_limit_per_minute", 2401),
        ("metrics_port", 65536),
        ("metrics_token", "short"),
        ("symbol_metric", "perhaps"),
        ("log_format", "xml"),
        ("log_levels", "writer"),
        ("contract_types", "CURRENT_QUARTER"),
        ("contract_types", ""),
        ("symbols", "BTC USDT"),
        ("kline_db_schema", "Market"),
        ("kline_db_schema", "pg_toast"),
        ("kline_db_schema", "information_schema"),
        ("kline_db_schema", "x" * 64),
        ("binance_ws_source", "Binance WS"),
        ("no_such_setting", 1),
    ],
)
def test_refused(name: str, value: Any) -> None:
    with pytest.raises(ValidationError):
        make(**{name: value})


_SANDBOX_HISTORY: dict[str, Any] = {
    "binance_archive_url": "http://127.0.0.1:1/archive",
    "binance_archive_list_url": "http://127.0.0.1:1/archive-list",
    "binance_alpha_url": "http://127.0.0.1:1",
}


@pytest.mark.parametrize("rest", ["http://127.0.0.1:1", "https://fapi.binance.com"])
@pytest.mark.parametrize("stream", ["ws://127.0.0.1:1/market", "wss://fstream.binance.com/market"])
def test_only_a_sandbox_runs_fast(rest: str, stream: str) -> None:
    settings = Settings(speed=20, binance_rest_url=rest, binance_ws_url=stream, **_SANDBOX_HISTORY)
    if rest.startswith("http:") and stream.startswith("ws:"):
        settings.check()
    else:
        with pytest.raises(ConfigError, match="SPEED=20"):
            settings.check()


@pytest.mark.parametrize("name", ["binance_archive_url", "binance_archive_list_url", "binance_alpha_url"])
def test_only_a_sandboxs_history_runs_fast(name: str) -> None:
    urls: dict[str, Any] = _SANDBOX_HISTORY | {
        "binance_rest_url": "http://[::1]:1",
        "binance_ws_url": "ws://[::1]:1/market",
    }
    Settings(speed=20, **urls).check()
    del urls[name]
    with pytest.raises(ConfigError, match=name.upper()):
        Settings(speed=20, **urls).check()


def test_another_address_than_loopback_needs_a_token() -> None:
    with pytest.raises(ConfigError, match="METRICS_TOKEN"):
        make(metrics_host=ANYWHERE).check()
    make(metrics_host=ANYWHERE, metrics_token="x" * 16).check()
    make(metrics_host="::1").check()


def test_no_secret_is_shown() -> None:
    settings = make(
        database_url="postgresql://u:hunter2hunter2@h/db?sslpassword=hunter2",
        http_proxy="http://u:hunter2hunter2@h:1",
        metrics_token="hunter2hunter2hunter2",
    )
    shown = masked(settings)
    assert "hunter2" not in repr(settings) + str(settings) + repr(shown)
    assert shown["DATABASE_URL"] == "postgresql://***@h/db?***"
    assert shown["METRICS_TOKEN"] == "***"


@pytest.mark.parametrize("name", setting_names())
def test_the_range_is_told(name: str) -> None:
    """The words that errors and documents show name the limits that the code keeps."""
    told = [float(number) for number in re.findall(r"\d+(?:\.\d+)?", accepts(name))]
    for constraint in Settings.model_fields[name.lower()].metadata:
        for limit in (getattr(constraint, "ge", None), getattr(constraint, "le", None)):
            assert limit is None or limit in told
