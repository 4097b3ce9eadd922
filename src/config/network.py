"""Addresses: what is loopback, and which URLs are taken."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

_DATABASE_SCHEMES = ("postgresql", "postgres")
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - these are replaced
_TARGET = re.compile(r"[a-z0-9_-]{1,40}")
_ENCODE = "a password with special characters must be percent-encoded"
# Only known ones are shown: the beginning of any other text may be a secret as well.
_PART = re.compile(r"[^/?&=#,;]{12,}")
"""What of a path or query may be a key: no word of an address is as long."""
_SCHEME = re.compile(r"(?:postgres(?:ql)?|mysql|https?|wss?|socks[45]h?)://")


def is_loopback(host: str) -> bool:
    """True for ``localhost``, 127.0.0.0/8 and ::1, which never leave this machine; no name is looked up."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def connectable(host: str) -> str:
    """Where on this machine something that listens on ``host`` is reached: 0.0.0.0 and :: mean every address."""
    return _WILDCARDS.get(host, host)


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
    if "@" in url or parts.query or parts.fragment:
        raise ValueError("must be host, port and path only, without user, query or fragment")
    return url.rstrip("/")


def named_endpoints(text: str) -> dict[str, str]:
    """``name=url,name=url`` by name; a query may hold a secret. Raises ``ValueError`` that shows no URL."""
    found: dict[str, str] = {}
    for item in filter(None, (item.strip() for item in text.split(","))):
        name, equals, url = item.partition("=")
        if not equals or not _TARGET.fullmatch(name.strip()):
            raise ValueError("must be name=https://... pairs; a name has 1 to 40 of a-z, 0-9, _ and -")
        name, url = name.strip(), url.strip()
        if name in found:
            raise ValueError(f"{name} is given twice")
        try:
            endpoint(url.partition("?")[0], secure="https", plain="http")
        except ValueError as error:
            raise ValueError(f"the URL of {name} {error}") from None
        found[name] = url
    return found


def database_url(url: str) -> str:
    """A libpq URL; the host may be missing or be a socket folder in the query, or there may be several, each with its
    port: a primary and its standbys. Raises ``ValueError``."""
    try:
        parts = urlsplit(url)
        for place in parts.netloc.rpartition("@")[2].split(","):
            _ = urlsplit(f"//{place}").port
    except ValueError as error:
        raise ValueError(f"is not a URL; {_ENCODE}") from error
    if "@" in parts.netloc.rpartition("@")[0] or "@" in parts.path or "@" in parts.fragment:
        # libpq ends the account at the first @, and would look for the rest of the password as a host.
        raise ValueError(_ENCODE)
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
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(f"must be host and port only, without a path; {_ENCODE}")
    return url.rstrip("/")


def mask_url(url: str) -> str:
    """A URL that was taken, without account and query: ``postgresql://***@host/db?***``; ``https://host/***``, since
    nodes are told keys in the path.

    Where the host begins is not sure when an @ follows a ? or #: then nothing but the scheme is shown.
    """
    scheme = _scheme(url)
    place, *rest = re.split("[?#]", url.removeprefix(scheme), maxsplit=1)
    if not scheme or "@" in "".join(rest):
        return hide_url(url)
    _, at, host = place.rpartition("@")
    if not scheme.startswith("postgres"):
        host = re.sub("/.+", "/***", host)
    return f"{scheme}{'***@' if at else ''}{host}{'?***' if rest else ''}"


def hide_url(url: str) -> str:
    """All that may be shown of a secret that was refused: ``scheme://***``, or ``***`` if it is no URL."""
    return f"{_scheme(url)}***"


def without_account(text: str) -> str:
    """The text as it is, hidden like a secret if it may hold an account: somebody's password may be in it."""
    return hide_url(text) if "@" in text else text


def _scheme(url: str) -> str:
    found = _SCHEME.match(url)
    return found.group() if found else ""


def secret_parts(text: str) -> tuple[str, ...]:
    """A secret, and what is secret by itself inside it if it is a URL, or ``name=url`` pairs: the password, as written
    and decoded, and the keys in path and query."""
    urls = (text, *re.findall(r"https?://[^\s,]+", text))
    found = [part for url in urls for part in (url, *_secrets_in(url))]
    return tuple(dict.fromkeys([*found, *map(unquote, found)]))


def _secrets_in(url: str) -> list[str]:
    try:
        parts = urlsplit(url)
    except ValueError:
        return []
    found = [parts.password] if parts.password else []
    if parts.scheme in _DATABASE_SCHEMES:
        return found + [value for name, value in parse_qsl(parts.query) if name.endswith("password")]
    return (
        found + _PART.findall(f"{parts.path}?{parts.query}") if parts.scheme in ("http", "https") else found
    )


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise ValueError("is not a URL") from error
    if not parts.hostname:
        raise ValueError("must name a host, as in https://fapi.binance.com")
    return parts
