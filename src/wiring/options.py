"""From the settings to what each adapter is constructed with."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import SecretStr

from .. import __version__
from ..adapters.binance.archive.client import ArchiveOptions
from ..adapters.binance.rest.client import RestOptions
from ..adapters.binance.stream.options import StreamOptions
from ..adapters.timescale.options import DatabaseOptions
from ..collectors.listings.selection import Selection
from ..config import Settings


def plain(secret: SecretStr | None) -> str | None:
    """The value behind the mask."""
    return None if secret is None else secret.get_secret_value()


def rest_options(settings: Settings) -> RestOptions:
    """How to ask the venue."""
    return RestOptions(base_url=settings.binance_rest_url, proxy=plain(settings.http_proxy))


def archive_options(settings: Settings) -> ArchiveOptions:
    """How to read the venue's archive."""
    return ArchiveOptions(
        url=settings.binance_archive_url,
        list_url=settings.binance_archive_list_url,
        proxy=plain(settings.http_proxy),
    )


def egress(settings: Settings) -> str:
    """The address that the venue sees: our own, or the proxy's (host and port, never its account)."""
    proxy = plain(settings.http_proxy)
    return urlsplit(proxy).netloc.rpartition("@")[2] if proxy else "direct"


def stream_options(settings: Settings) -> StreamOptions:
    """How to listen to the venue."""
    return StreamOptions(
        url=settings.binance_ws_url,
        proxy=plain(settings.http_proxy),
        streams_per_connection=settings.streams_per_connection,
        source=settings.binance_ws_source,
    )


def database_options(settings: Settings, run_id: str, role: str) -> DatabaseOptions:
    """How to reach the database as the daemon in one of its roles. ``DATABASE_URL`` must be set."""
    return DatabaseOptions(
        url=plain(settings.database_url) or "",
        schema=settings.kline_db_schema,
        exchange=settings.binance_ws_db_exchange,
        role=role,
        run_id=run_id,
        version=__version__,
    )


def selection(settings: Settings) -> Selection:
    """Which instruments are collected."""
    return Selection(
        contract_types=frozenset(settings.contract_types),
        include=settings.symbols,
        exclude=settings.exclude_symbols,
    )
