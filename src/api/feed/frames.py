"""What is sent to whoever listens, and what they may say: plain JSON both ways.

To a client, one message a flush:

    {"type": "live", "at_ms": 1764201663120,
     "candles": [["BTCUSDT", 1764201600000, 91250.1, 91260.0, 91240.0, 91255.5, 12.3, 1122334.5, 345, 6.1, 556677.8]],
     "filled": {"ETHUSDT": [1764190000000, 1764190060000]},
     "tasks": {"7f3a": {"state": "RUNNING", "share": 0.5, "lines": [[17, 1764201663000, "info", "read 10 days"]]}},
     "alerts": [{"...": "..."}]}

A key stands there only when it has something. ``filled`` are older minutes that were stored late, first and last by
symbol: whoever shows them asks for them again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ...model import Candle
from ..problems import encode

T = TypeVar("T")

COLUMNS = (
    "symbol",
    "open_time",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "quote_volume",
    "trade_count",
    "taker_buy_volume",
    "taker_buy_quote_volume",
)
"""Of a candle, in order; ``open_time`` in UTC ms. A value that the venue did not say is null."""

EVERYTHING: Literal["*"] = "*"
_MOST_SYMBOLS = 2_000
_MOST_TASKS = 20
_MOST_ERRORS = 5


class Wanted(BaseModel):
    """What a client wants to hear. Each message that says so takes the place of the one before."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    candles: Literal["*"] | list[str] = Field(default=[], max_length=_MOST_SYMBOLS)
    tasks: list[str] = Field(default=[], max_length=_MOST_TASKS)
    alerts: bool = False


class Said(BaseModel):
    """A message of a client: its token, where tokens are set, and what it wants to hear."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    token: str | None = Field(default=None, max_length=1_000)
    subscribe: Wanted | None = None


@dataclass(frozen=True, slots=True)
class Subscription:
    """What somebody hears; equal ones get the same bytes. ``symbols`` None stands for all."""

    symbols: frozenset[str] | None = frozenset()
    tasks: frozenset[str] = frozenset()
    alerts: bool = False

    @classmethod
    def of(cls, wanted: Wanted) -> Subscription:
        symbols = None if wanted.candles == EVERYTHING else frozenset(wanted.candles)
        return cls(symbols, frozenset(wanted.tasks), wanted.alerts)


def parse_said(text: str) -> Said:
    """Raises ``ValueError`` that says what is wrong, field by field."""
    try:
        return Said.model_validate_json(text)
    except ValidationError as error:
        wrong = [
            f"{'.'.join(map(str, found['loc'])) or 'message'}: {found['msg']}"
            for found in error.errors(include_url=False, include_input=False)[:_MOST_ERRORS]
        ]
        raise ValueError("; ".join(wrong)) from None


@dataclass(frozen=True, slots=True)
class TaskNews:
    """How a task stands, and the new lines of its log: (number, UTC ms, level, line)."""

    state: str
    share: float | None
    lines: Sequence[tuple[int, int, str, str]] = ()

    def plain(self) -> dict[str, Any]:
        return {"state": self.state, "share": self.share, "lines": self.lines}


class Bundle:
    """All that is new since the last one, each piece encoded once, however many subscriptions it goes into."""

    def __init__(
        self,
        at_ms: int,
        *,
        filled: Mapping[str, tuple[int, int]] | None = None,
        tasks: Mapping[str, TaskNews] | None = None,
        alerts: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self._head = b'{"type":"live","at_ms":%d' % at_ms
        self._candles: dict[str, list[bytes]] = {}
        self._filled = {name: encode(name) + b":" + encode(span) for name, span in (filled or {}).items()}
        self._tasks = {
            name: encode(name) + b":" + encode(news.plain()) for name, news in (tasks or {}).items()
        }
        self._alerts = b",".join(map(encode, alerts))

    def add(self, candle: Candle) -> None:
        """One more candle."""
        row = encode([candle.symbol, candle.open_ms, *candle.values])
        self._candles.setdefault(candle.symbol, []).append(row)

    def text(self, wanted: Subscription) -> bytes | None:
        """The message for one subscription; None where it holds nothing for it."""
        rows = [row for rows in _chosen(self._candles, wanted.symbols) for row in rows]
        filled = _chosen(self._filled, wanted.symbols)
        tasks = _chosen(self._tasks, wanted.tasks)
        parts = [self._head]
        if rows:
            parts.append(b'"candles":[' + b",".join(rows) + b"]")
        if filled:
            parts.append(b'"filled":{' + b",".join(filled) + b"}")
        if tasks:
            parts.append(b'"tasks":{' + b",".join(tasks) + b"}")
        if wanted.alerts and self._alerts:
            parts.append(b'"alerts":[' + self._alerts + b"]")
        return b",".join(parts) + b"}" if len(parts) > 1 else None


def _chosen(found: Mapping[str, T], names: frozenset[str] | None) -> list[T]:
    """Those of ``found`` with these names, all for None; the smaller of the two is gone through."""
    if names is None:
        return list(found.values())
    if len(names) < len(found):
        return [found[name] for name in names if name in found]
    return [value for name, value in found.items() if name in names]
