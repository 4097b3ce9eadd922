"""ccxt's binanceusdm with our transport under it and our errors out of it.

Importing this module imports ccxt, so it is imported when the connection is opened and not before: ``--help``
and the tests of other parts never pay for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from .errors import error_of
from .http import GuardedSession
from .lean_ccxt import import_ccxt

_Binance: Any = import_ccxt().binanceusdm

_LONG = 8_192
"""Characters: a tenth of a millisecond."""


@dataclass(frozen=True, slots=True)
class Unread:
    """An answer that takes a moment to read: whoever asked for it does so when it is its turn on the loop."""

    text: str


class Exchange(_Binance):
    """Only its implicit methods are used (``fapiPublicGetKlines``): raw answers, no markets loaded.

    Three things are replaced: the throttler (ours counts for all of the process), the JSON reader (ccxt's
    takes NaN and Infinity) and the sorting of errors.
    """

    def __init__(self, base_url: str, now: Callable[[], float]) -> None:
        super().__init__({"enableRateLimit": False, "options": {"fetchCurrencies": False}, "session": None})
        self.venue_now = now
        self.userAgent = "marketd"
        self.timeout_on_exit = 0  # our session ends its own connections; ccxt would sleep 250 ms
        # Bodies and headers of the last answer, kept for callers that we are not: an exchangeInfo is 2 MB.
        self.enableLastHttpResponse = self.enableLastResponseHeaders = False
        self.urls["api"]["fapiPublic"] = f"{base_url}/fapi/v1"
        self.urls["api"]["fapiData"] = f"{base_url}/futures/data"
        self.urls["api"]["public"] = f"{base_url}/api/v3"

    def use(self, session: GuardedSession) -> None:
        """Send everything over ``session``; ccxt opens none of its own."""
        self.session = session
        self.own_session = False
        self.ssl_context = False  # not used: the session verifies with its own, and making one takes 30 ms

    def parse_json(self, http_response: str) -> object:
        """``None`` for anything that is no JSON, which ``handle_errors`` then names; long texts stay ``Unread``."""
        return Unread(http_response) if len(http_response) > _LONG else _loaded(http_response)

    def read(self, answer: Unread) -> object:
        """What a long answer says. Raises like ``handle_errors``."""
        response = _loaded(answer.text)
        self.handle_errors(200, "", "", "", {}, answer.text, response, None, None)
        return response

    def handle_errors(
        self,
        code: int,
        reason: str,
        url: str,
        method: str,
        headers: Mapping[str, str],
        body: str,
        response: object,
        requestHeaders: object,
        requestBody: object,
    ) -> None:
        """Called by ccxt with every answer, good or bad."""
        is_error = isinstance(response, Mapping) and _is_error_code(response.get("code"))
        if not 200 <= code < 300 or response is None or is_error:
            folded = {name.title(): value for name, value in headers.items()}
            raise error_of(code, folded, body, response, self.venue_now())


def _loaded(text: str) -> object:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _is_error_code(code: Any) -> bool:
    return isinstance(code, int) and code < 0
