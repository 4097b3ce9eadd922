"""The checks of ``marketd doctor`` about ways out: the proxy, the stream and the archive, each as the daemon goes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import aiohttp

from ...adapters.binance.rest.http import failure_of
from ...config import Settings
from ...config.network import is_loopback_url
from ...errors import Unavailable
from ...wiring.options import plain, stream_options
from .checkup import Finding

_DIAL_S = 10.0
_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080, "socks4": 1080}
_STREAM_ADVICE = {
    "dns": "see that this machine looks up names (/etc/resolv.conf)",
    "tls": "see that nothing on the way breaks TLS open, and that CA certificates are installed (ca-certificates)",
    "proxy": "see that HTTP_PROXY is right, with its user and password, and lets WebSockets through to that host",
}
"""By the reason of a failed dial; every other one is a matter of the way there."""
_HUNG_UP = "see that a firewall or proxy lets WebSockets through, and that BINANCE_WS_URL is right"


async def check_ways(settings: Settings) -> list[Finding]:
    """All of them, in the order in which one needs the other."""
    checks: tuple[Callable[[Settings], Awaitable[list[Finding]]], ...] = (
        check_proxy,
        check_stream,
        check_archive,
    )
    return [finding for check in checks for finding in await check(settings)]


async def check_proxy(settings: Settings) -> list[Finding]:
    """HTTP_PROXY takes connections; nothing where it is not set."""
    proxy = plain(settings.http_proxy)
    if proxy is None:
        return []
    parts = urlsplit(proxy)
    host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 80)
    place = f"HTTP_PROXY at {host}:{port}"
    try:
        async with asyncio.timeout(_DIAL_S):
            _, writer = await asyncio.open_connection(host, port)
    except OSError as error:
        reason = (
            f"no answer within {_DIAL_S:g} s"
            if isinstance(error, TimeoutError)
            else error.strerror or str(error)
        )
        advice = "start the proxy, or correct HTTP_PROXY: everything but loopback goes through it and nothing round it"
        return [Finding("proxy", "bad", f"{place}: {reason}", advice)]
    writer.close()
    used = (
        "is not used for loopback addresses"
        if is_loopback_url(settings.binance_rest_url)
        else "takes connections"
    )
    return [Finding("proxy", "ok", f"{place} {used}")]


async def check_stream(settings: Settings) -> list[Finding]:
    """One WebSocket connection to the venue, made as the daemon makes it and closed at once."""
    from picows import WSListener, WSTransport

    from ...adapters.binance.stream.dial import Dialer

    class Greeted(WSListener):
        """Somebody who hangs up instead of answering the upgrade makes no dial fail."""

        greeted = False

        def on_ws_connected(self, transport: WSTransport) -> None:
            self.greeted = True

    place, listener = settings.binance_ws_url, Greeted()
    try:
        transport = await Dialer(stream_options(settings)).dial(lambda: listener)
    except Unavailable as error:
        advice = _STREAM_ADVICE.get(error.reason, _HUNG_UP)
        return [Finding("stream", "bad", f"{place}: {error}", advice)]
    transport.disconnect()
    if not listener.greeted:
        return [Finding("stream", "bad", f"{place}: hung up without an answer", _HUNG_UP)]
    return [Finding("stream", "ok", f"{place} takes connections")]


async def check_archive(settings: Settings) -> list[Finding]:
    """The archive's listing answers; without it history is filled over REST, which is slow."""
    url = settings.binance_archive_list_url
    proxy = None if is_loopback_url(url) else plain(settings.http_proxy)
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_DIAL_S), trust_env=False) as session,
            session.get(url, params={"max-keys": "1"}, proxy=proxy, allow_redirects=False) as answer,
        ):
            status = answer.status
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        text = f"{url}: {failure_of(error)}"
        return [Finding("archive", "warning", text, _ARCHIVE_ADVICE)]
    if status != 200:
        return [Finding("archive", "warning", f"{url} answers {status}", _ARCHIVE_ADVICE)]
    return [Finding("archive", "ok", f"{url} answers")]


_ARCHIVE_ADVICE = (
    "see that this machine reaches it (BINANCE_ARCHIVE_LIST_URL); until then history comes slowly, over REST"
)
