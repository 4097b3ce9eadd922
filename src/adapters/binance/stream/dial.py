"""Making a WebSocket connection: name look-up, proxy, TLS and upgrade, each failure with its bounded reason."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable
from typing import Any

from picows import WSError, WSListener, WSTransport, ws_connect
from picows.url import WSParsedURL
from python_socks import ProxyError

from ....errors import Unavailable
from .. import venue
from ..names import Resolver, public_name
from .options import StreamOptions
from .reasons import dial_reason

_ADDRESS_WALL_S = 3.0
"""Wall seconds for one address of several: a dead IPv6 route leaves time for the others."""

_LOGGER = logging.getLogger("picows")
"""picows would number its loggers, one more for every connection."""


class _Connected(socket.socket):
    """A socket that keeps to the peer it once had. picows looks at it again, and one that was reset meanwhile it would
    connect anew, by name and without our deadline, and on failure leave to nobody. The loop sees the reset, too."""

    peer: Any = None

    def getpeername(self) -> Any:
        return self.peer or super().getpeername()


class Dialer:
    """Connects to the one address of the options, through its proxy or not at all."""

    def __init__(self, options: StreamOptions) -> None:
        self._options = options
        # Through a proxy its name alone is looked up, which may be of this network.
        self._resolver = Resolver(public="" if options.effective_proxy else public_name(options.url))
        self._tls: ssl.SSLContext | None = None

    async def dial(self, make_listener: Callable[[], WSListener]) -> WSTransport:
        """One try. Raises ``Unavailable`` whose ``reason`` says which step failed."""
        options = self._options
        made: list[socket.socket] = []

        async def connect(target: WSParsedURL) -> socket.socket:
            made.append(await self._socket(target))
            return made[-1]

        try:
            async with asyncio.timeout(options.handshake_wall):
                transport, _ = await ws_connect(
                    make_listener,
                    options.url.rstrip("/") + venue.STREAM_PATH,
                    ssl_context=self._context(),
                    websocket_handshake_timeout=options.handshake_wall,
                    enable_auto_pong=False,
                    max_frame_size=venue.MAX_FRAME_BYTES,
                    max_redirects=0,
                    proxy=options.effective_proxy,
                    socket_factory=connect,
                    disconnect_on_exception=False,
                    logger_name=_LOGGER,
                )
        except (OSError, WSError, ProxyError) as error:
            reason = dial_reason(error, proxied=options.effective_proxy is not None)
            _hang_up(made)
            # A traceback would print what the proxy's errors hold: its URL with the password.
            shown = None if reason == "proxy" else error
            raise Unavailable(f"stream: {reason}: {error!r:.300}", reason=reason) from shown
        except BaseException:
            _hang_up(made)
            raise
        return transport

    def _context(self) -> ssl.SSLContext | None:
        """Made at the first dial, because it reads files; verification stays on whatever happens."""
        if self._tls is None and self._options.url.startswith("wss:"):
            self._tls = ssl.create_default_context(cafile=self._options.ca_file)
        return self._tls

    async def _socket(self, target: WSParsedURL) -> socket.socket:
        """A connected socket to the venue, or to the proxy if there is one: picows says which."""
        error: OSError = socket.gaierror(socket.EAI_NONAME, "no address")
        for family, kind, protocol, _, address in await self._resolver.resolve(target.host, target.port):
            sock = _Connected(family, kind, protocol)
            try:
                sock.setblocking(False)
                async with asyncio.timeout(_ADDRESS_WALL_S):
                    await asyncio.get_running_loop().sock_connect(sock, address)
                sock.peer = sock.getpeername()
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return sock
            except OSError as failed:
                sock.close()
                error = failed
            except BaseException:
                sock.close()
                raise
        raise error


def _hang_up(sockets: list[socket.socket]) -> None:
    """End what a failed or cancelled dial left: picows would keep it until its own deadline.

    The loop owns the socket by now and closes it when it sees the end.
    """
    for sock in sockets:
        with contextlib.suppress(OSError):  # closed already
            sock.shutdown(socket.SHUT_RDWR)
