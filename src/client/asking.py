"""Asking over HTTP: one question at a time, with patience, and what a refusal means."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping
from typing import Any, NamedTuple, NoReturn
from urllib.parse import urlencode, urlsplit

from ..errors import BadData, ConfigError, MarketdError, RateLimited, Unavailable, UnknownSymbol

_TRIES = 5
_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 60.0


class Answer(NamedTuple):
    """The body, and the headers by their names in small letters."""

    body: bytes
    headers: Mapping[str, str]


class Asking:
    """A server and how to ask it. Nothing but that server is ever spoken to: no proxy, no redirect.

    Raises ``ConfigError`` for an address that is none, and for a token that no server could have given.
    """

    def __init__(self, url: str, token: str | None, timeout_s: float) -> None:
        wrong = f"{url!r}: give the address of marketd's API, such as http://127.0.0.1:8000"
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise ConfigError(f"{wrong} ({error})") from error
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ConfigError(wrong)
        self._secure = parts.scheme == "https"
        self._host, self._port, self._path = parts.hostname, port, parts.path.rstrip("/")
        self._token, self._timeout_s = _checked(token), timeout_s

    def get(self, path: str, query: Mapping[str, Any], *, accept: str) -> Answer:
        """The answer to one question; asked again, a few times, while the server says that it is busy or away.

        Raises ``UnknownSymbol``, ``BadData`` (a wrong question), ``ConfigError`` (no right to ask it, or nobody who
        answers with ``accept``), ``RateLimited`` or ``Unavailable``.
        """
        told = {name: str(value) for name, value in query.items() if value is not None}
        target = f"{self._path}{path}?{urlencode(told)}"
        for attempt in range(_TRIES):
            try:
                return self._once(target, accept)
            except (RateLimited, Unavailable) as error:
                if attempt == _TRIES - 1:
                    raise
                time.sleep(min(max(error.retry_after, _FIRST_WAIT_S * 2**attempt), _LONGEST_WAIT_S))
        raise AssertionError("unreachable")

    def _once(self, target: str, accept: str) -> Answer:
        headers = {"Accept": accept, "User-Agent": "marketd-client"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=self._timeout_s)
        try:
            connection.request("GET", target, headers=headers)
            answer = connection.getresponse()
            body = answer.read()
            found = {name.lower(): value for name, value in answer.getheaders()}
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(f"{self._host}: {type(error).__name__} {error}") from error
        finally:
            connection.close()
        if answer.status != 200:
            _refuse(answer.status, body, found)
        if found.get("content-type", "").partition(";")[0].strip() != accept:
            raise ConfigError(f"{self._host}: what answers there is not marketd's API")
        return Answer(body, found)


def _checked(token: str | None) -> str | None:
    """The token without the end of the line that it was read from; an empty one is none. No error tells it."""
    found = (token or "").strip()
    if not all("!" <= letter <= "~" for letter in found):
        raise ConfigError("token: give one word of printable ASCII, as it stands in the file of tokens")
    return found or None


def _refuse(status: int, body: bytes, headers: Mapping[str, str]) -> NoReturn:
    """Raise what a refusal means."""
    try:
        told = json.loads(body)
        text = (
            "; ".join(error["message"] for error in told.get("errors", ()))
            or told.get("detail")
            or told["title"]
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        text = f"the server answered {status}"
    wait = headers.get("retry-after", "")
    retry_after = float(wait) if wait.isdecimal() else 0.0
    raise _meaning(status, text, retry_after)


def _meaning(status: int, text: str, retry_after: float) -> MarketdError:
    match status:
        case 404:
            return UnknownSymbol(text)
        case 401 | 403:
            return ConfigError(f"token: {text}")
        case 429:
            return RateLimited(text, retry_after=retry_after)
        case _ if status >= 500:
            return Unavailable(text, retry_after=retry_after)
        case _:
            return BadData(text)
