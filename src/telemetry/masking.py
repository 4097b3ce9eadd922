"""Makes any value fit for one log line: no secret, no control character, no endless text.

Masking works on three signs, because no single one is enough: the name of the key, the shape of the text
(URLs with a user part, ``password=``, bearer tokens), and the secrets themselves where the caller knows them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Set
from typing import Any

MASK = "***"
# A REST error page or a whole frame must not fill the disk; a traceback needs more room than a value.
MAX_VALUE_CHARS = 2_000
MAX_TRACEBACK_CHARS = 12_000
_MAX_ITEMS = 50
_MAX_DEPTH = 4

# A secret shorter than this is some ordinary word of every line.
_MIN_SECRET_CHARS = 4

_NAME = r"[\w.-]*(?:passw(?:or)?d|passphrase|pwd|secret|token|api[_-]?key|apikey|credential)s?"
_SECRET_KEY = re.compile(rf"(?i)^(?:{_NAME}|authorization|(?:[\w.-]*_)?dsn|conninfo|database_\w*url)$")
_DATABASE_URL = re.compile(r"(?i)\bpostgres(?:ql)?(?:\+\w+)?://[^\s'\"<>]+")
_URL_USER = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)[^\s'\"<>/?#]*@")
_BEARER = re.compile(r"\b([Bb]earer|Basic)\s+[\w.~+/=-]{8,}")
_ASSIGNMENT = re.compile(
    rf"(?i)\b({_NAME}|authorization)(['\"]?\s*[=:]\s*)(\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|[^\s,;&)}}\]]+)"
)

# What JSON would pass on raw although terminals and line readers act on it: DEL and C1 controls, line and
# paragraph separators, bidirectional overrides, and lone surrogates, which no encoder takes.
_RAW_IN_JSON = "\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_UNSAFE_JSON = re.compile(f"[{_RAW_IN_JSON}]")
_UNSAFE_TEXT = re.compile(f"[\x00-\x1f{_RAW_IN_JSON}]")


def mask_text(text: str, secrets: Iterable[str] = ()) -> str:
    """``text`` without connection strings, passwords, tokens and the given ``secrets``."""
    for secret in secrets:
        if len(secret) >= _MIN_SECRET_CHARS:
            text = text.replace(secret, MASK)
    text = _DATABASE_URL.sub(f"postgresql://{MASK}", text)
    text = _URL_USER.sub(rf"\g<1>{MASK}@", text)
    text = _BEARER.sub(rf"\g<1> {MASK}", text)
    return _ASSIGNMENT.sub(rf"\g<1>\g<2>{MASK}", text)


def is_secret_name(name: str) -> bool:
    """True if a value under this key must never be shown, whatever it looks like."""
    return _SECRET_KEY.match(name) is not None


def escape_controls(text: str) -> str:
    """``text`` on one line: every control character, ANSI introducer and lone surrogate as an escape."""
    return _UNSAFE_TEXT.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    return match.group().encode("unicode_escape").decode("ascii")


class Cleaner:
    """Turns values of log events into plain JSON values: masked, escaped, bounded in size and depth."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        # Longest first, so that a secret that holds another one goes whole.
        self._secrets = tuple(sorted({secret for secret in secrets if secret}, key=len, reverse=True))

    def text(self, text: str, limit: int = MAX_VALUE_CHARS) -> str:
        """Masked before it is cut, so that no half of a secret stays at the end."""
        text = mask_text(text, self._secrets)
        if len(text) > limit:
            text = f"{text[:limit]}... ({len(text)} characters)"
        return _UNSAFE_JSON.sub(_escape, text)

    def value(self, value: object, depth: int = 0) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, int):
            return int(value) if -(2**63) <= value < 2**64 else str(value)
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else str(value)
        if isinstance(value, BaseException):
            return self.text(f"{type(value).__name__}: {value}")
        return self._container(value, depth)

    def _container(self, value: object, depth: int) -> Any:
        if depth < _MAX_DEPTH and isinstance(value, Mapping):
            items = list(value.items())[:_MAX_ITEMS]
            return {self.text(str(key)): self.named(str(key), item, depth + 1) for key, item in items}
        if depth < _MAX_DEPTH and isinstance(value, list | tuple | Set):
            return [self.value(item, depth + 1) for item in list(value)[:_MAX_ITEMS]]
        return self.text(_represent(value))

    def named(self, name: str, value: object, depth: int = 0) -> Any:
        """The value under ``name``; masked whole if the name says that it is a secret."""
        if is_secret_name(name) and value is not None and not isinstance(value, bool | int | float):
            return MASK
        return self.value(value, depth)


def _represent(value: object) -> str:
    try:
        return repr(value)
    except Exception:  # a broken __repr__ of somebody else's object must not lose the log line
        return f"<{type(value).__name__}>"
