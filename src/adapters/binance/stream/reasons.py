"""Why a connection ended or never began: every cause as one word of a fixed list, for metric labels.

``REASONS`` is the list. A FIN and a RST are told apart because the first is the other side's wish and the
second often a box in between.
"""

from __future__ import annotations

import socket
import ssl
from http import HTTPStatus

from picows import WSCloseCode, WSError, WSHandshakeError, WSProtocolError, WSTransport
from python_socks import ProxyError

_STATUS_REASONS = {
    403: "handshake_403",
    418: "handshake_429",
    429: "handshake_429",
    451: "handshake_451",
}

_TCP_CLOSED = 7
"""``TCP_CLOSE`` of linux/tcp_states.h: what a socket shows after a RST; after a FIN it is CLOSE_WAIT."""

_CLOSE_REASONS = {
    1000: "close_1000",
    1001: "close_1001",
    1008: "policy",
    1009: "close_1009",
    1011: "close_1011",
    1012: "close_1012",
    1013: "close_1013",
}


REASONS = frozenset(
    {
        *_CLOSE_REASONS.values(),
        *_STATUS_REASONS.values(),
        "close_other",  # any other close code
        "closed",  # by us, in order
        "dns",
        "fin",
        "handshake_5xx",
        "handshake_other",
        "idle",  # no data frame for ten venue seconds
        "lifetime",  # replaced before the venue's 24 h cut
        "network",
        "oversize",
        "private_address",  # the venue's name leads into a private network
        "protocol",
        "proxy",
        "refused",
        "reset",
        "server_shutdown",
        "takeover_timeout",
        "timeout",  # of the handshake
        "tls",
        "write_timeout",
    }
)


def close_reason(code: object) -> str:
    """The other side closed with this code."""
    return next((reason for known, reason in _CLOSE_REASONS.items() if known == code), "close_other")


def protocol_reason(error: WSProtocolError) -> str:
    """We closed because of what the other side sent."""
    return "oversize" if error.code == WSCloseCode.MESSAGE_TOO_BIG else "protocol"


def network_reason(transport: WSTransport) -> str:
    """FIN or RST: the loop does not hand the difference on, the kernel still knows it."""
    sock = transport.underlying_transport.get_extra_info("socket")
    try:
        state = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
    except (OSError, AttributeError):
        return "fin"
    return "reset" if state == _TCP_CLOSED else "fin"


def dial_reason(error: Exception, *, proxied: bool) -> str:
    """The step that failed, as a word of a fixed list."""
    if isinstance(error, WSHandshakeError):
        return _status_reason(error)
    steps: tuple[tuple[type[Exception], str], ...] = (
        (ssl.SSLError, "tls"),
        (ProxyError, "proxy"),
        (WSError, "handshake_other"),
        (socket.gaierror, "dns"),
        (TimeoutError, "timeout"),
    )
    for kind, reason in steps:
        if isinstance(error, kind):
            return reason
    if proxied:
        return "proxy"
    return "refused" if isinstance(error, ConnectionRefusedError) else "network"


def _status_reason(error: WSHandshakeError) -> str:
    status = 0 if error.response is None else int(error.response.status)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return "handshake_5xx"
    return _STATUS_REASONS.get(status, "handshake_other")
