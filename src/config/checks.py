"""What a setting's value must look like; every failure is one sentence without the value of a secret."""

from __future__ import annotations

import fnmatch
import re
from datetime import date
from typing import Annotated, Literal

from pydantic import BeforeValidator, SecretStr
from pydantic.functional_validators import AfterValidator

from . import network, schedules

LEVELS = ("debug", "info", "warning", "error", "critical")
CONTRACT_TYPES = ("PERPETUAL", "TRADIFI_PERPETUAL")

# PostgreSQL cuts names at 63 bytes without a word: a longer one would be another schema than the one named.
_SCHEMA = re.compile(r"(?!pg_)[a-z_][a-z0-9_]{0,62}")
_DAYS = re.compile(r"[1-9][0-9]{0,4}d")
_ADDRESS = re.compile(r"0x[0-9a-f]{40}")
_LABEL = re.compile(r"[a-z0-9_]{1,40}")
_HOST_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_-]{1,63})*")


def _items(value: object) -> object:
    """``a, b`` or a list of texts as a tuple without blanks and repetitions."""
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise ValueError("must be a list of texts (in YAML, put quotes round ON, NO and the like)")
    return tuple(dict.fromkeys(item.strip() for item in value if item.strip()))


def _upper_items(value: object) -> object:
    items = _items(value)
    return tuple(dict.fromkeys(item.upper() for item in items)) if isinstance(items, tuple) else items


def _lower_items(value: object) -> object:
    items = _items(value)
    return tuple(dict.fromkeys(item.lower() for item in items)) if isinstance(items, tuple) else items


def _contract_types(value: tuple[str, ...]) -> tuple[str, ...]:
    unknown = [item for item in value if item not in CONTRACT_TYPES]
    if unknown or not value:
        raise ValueError(f"must be among {', '.join(CONTRACT_TYPES)}")
    return value


def _globs(value: tuple[str, ...]) -> tuple[str, ...]:
    for item in value:
        if any(character.isspace() or character in "/'\"" for character in item):
            raise ValueError(f"{item!r} is not a symbol or glob such as BTCUSDT or 1000*")
        re.compile(fnmatch.translate(item))
    return value


def _stream_url(value: str) -> str:
    url = network.endpoint(value, secure="wss", plain="ws")
    if not url.endswith("/market"):
        raise ValueError("must end in /market: other paths accept the connection and send no klines")
    return url


def _names(value: tuple[str, ...]) -> tuple[str, ...]:
    for item in _globs(value):
        if not frozenset("*?[]").isdisjoint(item):
            raise ValueError(f"{item!r}: name each symbol; globs are not taken here")
    return value


def _schema(value: str) -> str:
    if not _SCHEMA.fullmatch(value) or value == "information_schema":
        raise ValueError(
            "must be a lower-case PostgreSQL name of at most 63 characters that is not the system's"
        )
    return value


def _label(value: str) -> str:
    if not _LABEL.fullmatch(value):
        raise ValueError("must be 1 to 40 of a-z, 0-9 and _")
    return value


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _log_levels(value: object) -> object:
    if isinstance(value, str):
        value = dict(_pair(item) for item in value.split(",") if item.strip())
    if not isinstance(value, dict):
        raise ValueError("must be component=level pairs, as in writer=debug,stream=warning")  # noqa: TRY004
    levels = {str(name).strip().lower(): str(level).strip().lower() for name, level in value.items()}
    for name, level in levels.items():
        if not name or level not in LEVELS:
            raise ValueError(f"{name or 'a component'}={level}: the level must be one of {', '.join(LEVELS)}")
    return levels


def _pair(item: str) -> tuple[str, str]:
    name, equals, level = item.partition("=")
    if not equals:
        raise ValueError(f"{item.strip()!r} is not component=level, as in writer=debug")
    return name, level


def _pools(value: object) -> object:
    lower = _lower_items(value)
    if not isinstance(lower, tuple):
        return lower
    for item in lower:
        if not _ADDRESS.fullmatch(item):
            raise ValueError(f"{item!r} is not an address: 0x and 40 hexadecimal digits")
    return lower


def _rpc_url(value: SecretStr) -> SecretStr:
    return SecretStr(network.endpoint(value.get_secret_value(), secure="https", plain="http"))


def _since(value: str) -> str:
    if value == "listing":
        raise ValueError("must be a number of days such as 1d, or a date such as 2026-01-01")
    return value


def _secret_url(value: SecretStr) -> SecretStr:
    network.database_url(value.get_secret_value())
    return value


def _proxy(value: SecretStr) -> SecretStr:
    return SecretStr(network.proxy_url(value.get_secret_value()))


def _token(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value()) < 16:
        raise ValueError("must be at least 16 characters long")
    return value


def _host_names(value: tuple[str, ...]) -> tuple[str, ...]:
    for item in value:
        if not _HOST_NAME.fullmatch(item):
            raise ValueError(
                f"{item!r} is not a host name such as market.example.org, without scheme and port"
            )
    return value


def _origins(value: tuple[str, ...]) -> tuple[str, ...]:
    for item in value:
        if network.endpoint(item, secure="https", plain="http") != item or item.count("/") != 2:
            raise ValueError(f"{item!r} is not an origin such as https://charts.example.org, without a path")
    return value


def _targets(value: SecretStr) -> SecretStr:
    network.named_endpoints(value.get_secret_value())
    return value


def _backfill_from(value: object) -> object:
    text = str(value).strip().lower()
    if text == "listing" or _DAYS.fullmatch(text):
        return text
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise ValueError(
            "must be a number of days such as 30d, a date such as 2024-01-01, or listing"
        ) from None


LogLevel = Literal["debug", "info", "warning", "error", "critical"]
Level = Annotated[LogLevel, BeforeValidator(_lower)]
Levels = Annotated[dict[str, LogLevel], BeforeValidator(_log_levels)]
Schedules = Annotated[dict[str, str], BeforeValidator(schedules.schedules)]
LogFormat = Annotated[Literal["auto", "json", "text"], BeforeValidator(_lower)]
Schema = Annotated[str, AfterValidator(_schema)]
DatabaseUrl = Annotated[SecretStr, AfterValidator(_secret_url)]
Proxy = Annotated[SecretStr, AfterValidator(_proxy)]
Token = Annotated[SecretStr, AfterValidator(_token)]
BackfillFrom = Annotated[str, BeforeValidator(_backfill_from)]
Since = Annotated[str, BeforeValidator(_backfill_from), AfterValidator(_since)]
Pools = Annotated[tuple[str, ...], BeforeValidator(_pools)]
RpcUrl = Annotated[SecretStr, AfterValidator(_rpc_url)]
HostNames = Annotated[tuple[str, ...], BeforeValidator(_lower_items), AfterValidator(_host_names)]
Origins = Annotated[tuple[str, ...], BeforeValidator(_lower_items), AfterValidator(_origins)]
Targets = Annotated[SecretStr, AfterValidator(_targets)]
Globs = Annotated[tuple[str, ...], BeforeValidator(_upper_items), AfterValidator(_globs)]
Names = Annotated[tuple[str, ...], BeforeValidator(_upper_items), AfterValidator(_names)]
ContractTypes = Annotated[tuple[str, ...], BeforeValidator(_upper_items), AfterValidator(_contract_types)]
Label = Annotated[str, AfterValidator(_label)]
RestUrl = Annotated[str, AfterValidator(lambda url: network.endpoint(url, secure="https", plain="http"))]
StreamUrl = Annotated[str, AfterValidator(_stream_url)]
