"""What an error of a node means, by its code and text: pure, one table.

Providers agree on neither. A range that is too wide is refused with -32602, -32600, -32005, -32614 or -32000, under
HTTP 200, 400 or 413, and the text is the only thing that tells it from a malformed request.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ...errors import MarketdError, Permanent, RateLimited, TooWide, Unavailable
from ...telemetry.masking import mask_text

PAUSE_S = 1.0
"""Wall seconds to wait where the node names none."""
_LONGEST_PAUSE_S = 3600.0
"""Whatever it names."""

_TOO_WIDE = re.compile(
    r"(block )?range .*(exceeds|bigger|larger|too (large|wide|high))|(limited to|exceed\w*|up to) .*(range|blocks)"
    r"|range is too|block range too|ranges? over|returned more than|response size|too many (results|logs)"
    r"|query timeout",
    re.IGNORECASE,
)
_RATE = re.compile(
    r"rate.?limit|too many requests|request limit|capacity|quota|throttl|limit exceeded", re.IGNORECASE
)
_LAG = re.compile(
    r"unknown block|header not found|block not found|not find block|after last accepted|future block|not yet available",
    re.IGNORECASE,
)
_PRUNED = re.compile(r"pruned|missing trie node|state .*not available|archive", re.IGNORECASE)
_REVERTED = re.compile(r"revert|vm execution error|invalid opcode", re.IGNORECASE)
_NO_METHOD = re.compile(r"method .*(not|n't) |not supported|unsupported", re.IGNORECASE)
_SHOWN = 200


def error_of(method: str, said: object, *, secrets: Iterable[str] = ()) -> MarketdError:
    """The error to raise for ``{"code":-32602,"message":"range 20000 exceeds limit of 10000"}``, or a mere text.

    Some providers repeat the key that they do not like: ``secrets`` are not shown.
    """
    error: Mapping[str, Any] = said if isinstance(said, Mapping) else {"message": said}
    code = error.get("code")
    text = f"{error.get('message', '')} {_payload(error.get('data'))}".strip()
    shown = f"node: {method}: {mask_text(text, secrets)[:_SHOWN]} ({code})"
    if method == "eth_getLogs" and _TOO_WIDE.search(text):
        return TooWide(shown, reason="range")
    if method == "eth_call" and _REVERTED.search(text):
        # Code 3 of some nodes; of others, and of geth for years where the contract gave no reason, any code.
        return Permanent(shown, reason="refused")
    if code in (429, -32029) or _RATE.search(text):
        return RateLimited(shown, reason="rate", retry_after=PAUSE_S)
    if _LAG.search(text):
        return Unavailable(shown, reason="lag")
    if _PRUNED.search(text):
        return Permanent(shown, reason="pruned")
    if code == -32601 or _NO_METHOD.search(text):
        return Permanent(shown, reason="method")
    if code in (-32600, -32602, -32700, 3):
        return Permanent(shown, reason="refused")
    return Unavailable(shown, reason="node")


def refused_status(status: int, headers: Mapping[str, str]) -> MarketdError | None:
    """The error of an HTTP status that says enough by itself, None where the body has to say more."""
    if status == 429:
        given = headers.get("Retry-After", "")
        pause = min(float(given), _LONGEST_PAUSE_S) if given.isdecimal() else PAUSE_S
        return RateLimited("node: HTTP 429: too many requests", reason="rate", retry_after=pause)
    if status in {401, 403}:
        return Permanent(
            f"node: HTTP {status}: it does not take the key in ETH_RPC_URL", reason="authorization"
        )
    if status >= 500:
        return Unavailable(f"node: HTTP {status}", reason="http")
    return None


def _payload(data: object) -> str:
    """What some say only there: ``{"error_id":"4ed9..","payload":"range 9009594 is bigger than range limit 2000"}``."""
    if isinstance(data, Mapping):
        return " ".join(str(value) for value in data.values() if isinstance(value, str))
    return data if isinstance(data, str) else ""
