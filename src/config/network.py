"""Addresses: what is loopback, and which URLs are taken."""

from __future__ import annotations

import ipaddress
from urllib.parse import SplitResult, unquote, urlsplit

_DATABASE_SCHEMES = ("postgresql", "postgres")


def is_loopback(host: str) -> bool:
    """True for ``localhost``, 127.0.0.0/8 and ::1, which never leave this machine; no name is looked up."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def is_loopback_url(url: str) -> bool:
    """True if the URL's host is loopback."""
    return is_loopback(urlsplit(url).hostname or "")


def endpoint(url: str, *, secure: str, plain: str) -> str:
    """A base URL without its trailing slash; ``plain`` is taken for loopback only. Raises ``ValueError``."""
    parts = _split(url)
    if parts.scheme not in (secure, plain):
        raise ValueError(f"must begin with {secure}://")
    if parts.scheme == plain and not is_loopback(parts.hostname or ""):
        raise ValueError(f"{plain}:// is taken for 127.0.0.1, ::1 and localhost only, use {secure}://")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("must be host, port and path only, without user, query or fragment")
    return url.rstrip("/")


def database_url(url: str) -> str:
    """A libpq URL; the host may be missing or be a socket folder in the query. Raises ``ValueError``."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise ValueError(
            "is not a URL; a password with special characters must be percent-encoded"
        ) from error
    base, _, driver = parts.scheme.partition("+")
    if driver and base in _DATABASE_SCHEMES:
        raise ValueError(f"must begin with postgresql://, without the driver's name (+{driver})")
    if parts.scheme not in _DATABASE_SCHEMES or not url.startswith(f"{parts.scheme}://"):
        raise ValueError("must begin with postgresql://")
    if not parts.path.strip("/") and "dbname=" not in parts.query:
        raise ValueError("must name the database, as in postgresql://user@host:5432/market")
    return url


def proxy_url(url: str) -> str:
    """``http://[user:password@]host:port``. Raises ``ValueError``."""
    parts = _split(url)
    if parts.scheme != "http":
        raise ValueError("must begin with http:// (the proxy is asked to CONNECT, TLS runs inside)")
    if parts.port is None:
        raise ValueError("must name the port, as in http://127.0.0.1:7890")
    if parts.path not in ("", "/") or parts.query:
        raise ValueError("must be host and port only, without a path")
    return url.rstrip("/")


def mask_url(url: str) -> str:
    """The URL without its password and its query: ``postgresql://user:***@host/db?***``."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "***"
    if not parts.scheme or "://" not in url:
        return "***"
    account, at, place = parts.netloc.rpartition("@")
    user, colon, _ = account.partition(":")
    query = "?***" if parts.query else ""
    return f"{parts.scheme}://{user}{':***' if colon else ''}{at}{place}{parts.path}{query}"


def secret_parts(text: str) -> tuple[str, ...]:
    """A secret, and the password inside it, as written and decoded, if it is a URL."""
    try:
        password = urlsplit(text).password
    except ValueError:
        password = None
    return tuple(dict.fromkeys((text, *((password, unquote(password)) if password else ()))))


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise ValueError("is not a URL") from error
    if not parts.hostname:
        raise ValueError("must name a host, as in https://fapi.binance.com")
    return parts
