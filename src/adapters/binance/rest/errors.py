"""What an answer of the venue's REST side means for the caller, pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

from ....errors import (
    MarketdError,
    NotPublished,
    Permanent,
    RateLimited,
    Retryable,
    Unavailable,
    UnknownSymbol,
)

# Bans last 2 minutes to 3 days (general-info of the venue's documentation). A longer word than that is not the
# venue's (a broken proxy, a wrong unit) and is treated as no word at all.
MAX_BAN_S = 3 * 86_400.0
# The shortest documented ban, and one whole budget minute, where the answer does not say how long.
DEFAULT_BAN_S = 120.0
DEFAULT_WAIT_S = 60.0
# The firewall and the country block judge the address, not the request: asking on makes a ban of it.
FORBIDDEN_WAIT_S = 30.0
RESTRICTED_WAIT_S = 60.0

# "Way too many requests; IP(88.238.33.41) banned until 1721393459728. Please use the websocket ..."
_BANNED_UNTIL = re.compile(r"banned until ([0-9]{10,16})")
_SECONDS = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,6})?")
_SHOWN_CHARS = 200

_TOO_MANY = (-1003, -1015)
_OVERLOADED = -1008
_VENUE_TIMEOUT = -1007
_INVALID_SYMBOL = -1121
_TOO_OLD = -4166


def error_of(status: int, headers: Mapping[str, str], text: str, answer: object, now: float) -> MarketdError:
    """The error for an answer that is not a good one.

        {"code":-1121,"msg":"Invalid symbol."}
        {"code":-1003,"msg":"Way too many requests; IP(1.2.3.4) banned until 1721393459728. Please ..."}

    ``answer`` is the decoded body or ``None``, ``now`` venue epoch seconds, used where an absolute time is
    given. ``headers`` must find names in any case.
    """
    code, shown = _code(answer), f"{status} {text[:_SHOWN_CHARS]}"
    if status in (418, 429) or code in _TOO_MANY:
        return _rate_limited(status, headers, text, now)
    if code == _INVALID_SYMBOL:
        return UnknownSymbol(shown, reason="unknown_symbol")
    if code == _TOO_OLD:
        return NotPublished(f"no longer over REST: {shown}", reason="too_old")
    if status == 403:
        return Unavailable(
            f"refused by the firewall: {shown}", reason="forbidden", retry_after=FORBIDDEN_WAIT_S
        )
    if status == 451:
        wait = RESTRICTED_WAIT_S
        return Unavailable(f"not served to this location: {shown}", reason="restricted", retry_after=wait)
    if status == 408 or code == _VENUE_TIMEOUT:
        return Unavailable(f"the venue timed out: {shown}", reason="venue_timeout")
    if status >= 500 or code == _OVERLOADED:
        wait = _retry_after(headers, now) or 0.0
        reason = "overloaded" if code == _OVERLOADED else "server_error"
        return Unavailable(f"the venue is not well: {shown}", reason=reason, retry_after=min(wait, 60.0))
    if 300 <= status < 400:
        return Unavailable(f"redirected, which is not followed: {shown}", reason="redirect")
    if status >= 400:
        return Permanent(f"refused: {shown}", reason="refused")
    return _unusable_body(text, shown)


def is_about_address(error: Retryable) -> bool:
    """True if every further request of this address would be refused alike."""
    return isinstance(error, RateLimited) or error.reason in ("forbidden", "restricted")


def _unusable_body(text: str, shown: str) -> Unavailable:
    """A 2xx answer that is no JSON: somebody between us and the venue, or a body cut short."""
    start = text.lstrip()[:1]
    if start == "<":
        return Unavailable(f"a page instead of data: {shown}", reason="html")
    if not start:
        return Unavailable(f"an empty answer: {shown}", reason="empty")
    return Unavailable(f"the answer is no JSON: {shown}", reason="bad_json")


def _rate_limited(status: int, headers: Mapping[str, str], text: str, now: float) -> RateLimited:
    banned = _BANNED_UNTIL.search(text)
    is_ban = status == 418 or banned is not None
    told = [_plausible(int(banned.group(1)) / 1000 - now) if banned else None, _retry_after(headers, now)]
    waits = [wait for wait in told if wait is not None]
    wait = max(waits) if waits else (DEFAULT_BAN_S if is_ban else DEFAULT_WAIT_S)
    reason = "banned" if is_ban else "rate_limited"
    return RateLimited(f"{status} {text[:_SHOWN_CHARS]}", reason=reason, retry_after=wait)


def _retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds from a Retry-After header (seconds or an HTTP date), ``None`` if missing or absurd."""
    value = headers.get("Retry-After", "").strip()
    if _SECONDS.fullmatch(value):
        return _plausible(float(value))
    until = _http_date(value)
    if until is None:
        return None
    # Against the sender's own clock where it tells one: ours may be off, its answer is consistent with itself.
    asked = _http_date(headers.get("Date", ""))
    return _plausible(until - (now if asked is None else asked))


def _http_date(value: str) -> float | None:
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _plausible(seconds: float) -> float | None:
    return max(seconds, 1.0) if 0 <= seconds <= MAX_BAN_S else None


def _code(answer: object) -> int | None:
    code = answer.get("code") if isinstance(answer, Mapping) else None
    try:
        return int(code) if isinstance(code, int | str) else None
    except ValueError:
        return None
