"""Alerts: a price that somebody wants to hear of, and what is delivered when a candle crosses it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Direction = Literal["long", "short"]
"""long: a close comes down to the price or below it, as to a support; short: it comes up, as to a resistance."""


@dataclass(frozen=True, slots=True)
class NewAlert:
    """``target`` is a name of ``ALERT_TARGETS``, None for listeners alone; ``level_id`` the level it was made from."""

    symbol: str
    price: float
    direction: Direction
    note: str = ""
    target: str | None = None
    level_id: str | None = None
    made_by: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event on its way to ``target``; ``attempt`` counts from 1. ``bucket_ms`` is the candle's open, UTC."""

    event_id: int
    alert_id: int
    symbol: str
    price: float
    direction: str
    bucket_ms: int
    close: float
    note: str
    target: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Looked:
    """One look at all alerts: ``events`` written, ``moved`` watermarks, ``behind`` of them still more than an hour."""

    events: int
    moved: int
    behind: int
