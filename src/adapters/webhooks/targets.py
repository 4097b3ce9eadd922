"""``ports.alerts.Targets``: signed POSTs to the addresses of ``ALERT_TARGETS``, and to no others.

A receiver checks ``X-Marketd-Signature: sha256=HEX``, HMAC-SHA256 with ``ALERT_SECRET`` of ``TIMESTAMP.BODY``, where
TIMESTAMP is ``X-Marketd-Timestamp`` (Unix seconds); ``X-Marketd-Event`` is the same when an event comes again.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Mapping
from hashlib import sha256

import aiohttp

from ...errors import BadData, Unavailable

_DEADLINE_S = 10.0
_TRY_AGAIN = frozenset({408, 425, 429})
_LONGEST_WAIT_S = 3600.0


class WebhookTargets:
    """Construct, ``close``. No redirect is followed, no proxy of the environment used, no answer's body read."""

    def __init__(self, addresses: Mapping[str, str], secret: str) -> None:
        self._addresses = dict(addresses)
        self._secret = secret.encode()
        self._session: aiohttp.ClientSession | None = None

    @property
    def names(self) -> Collection[str]:
        return self._addresses.keys()

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def send(self, target: str, event_id: int, body: bytes, *, now_s: int) -> None:
        """See ``ports.alerts.Targets``. Raises ``Unavailable``, or ``BadData`` for a target that is not there any more,
        or that refuses what it is sent."""
        address = self._addresses.get(target)
        if address is None:
            raise BadData(f"{target} is not in ALERT_TARGETS any more", reason="target")
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "marketd",
            "X-Marketd-Event": str(event_id),
            "X-Marketd-Timestamp": str(now_s),
            "X-Marketd-Signature": f"sha256={signature(self._secret, now_s, body)}",
        }
        try:
            async with self._opened().post(
                address, data=body, headers=headers, allow_redirects=False
            ) as answer:
                _check(answer.status, answer.headers.get("Retry-After", ""))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            # The text of these names the address.
            raise Unavailable(
                f"{target} cannot be reached: {type(error).__name__}", reason="target"
            ) from None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=_DEADLINE_S),
                trust_env=False,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session


def signature(secret: bytes, now_s: int, body: bytes) -> str:
    """What the header holds, in hexadecimal."""
    return hmac.new(secret, b"%d." % now_s + body, sha256).hexdigest()


def _check(status: int, retry_after: str) -> None:
    if 200 <= status < 300:
        return
    if status >= 500 or status in _TRY_AGAIN:
        wait = min(float(retry_after), _LONGEST_WAIT_S) if retry_after.isdecimal() else 0.0
        raise Unavailable(f"the target answers {status}", reason="target", retry_after=wait)
    raise BadData(f"the target answers {status}", reason="target")
