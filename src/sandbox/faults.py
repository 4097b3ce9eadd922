"""Faults that stay until they are used up or cleared. Actions that happen once are in ``control``."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

from .market.candles import unit


class Kind(StrEnum):
    """What can be wrong."""

    SILENCE = "silence"
    MUTE = "mute"
    DROP_CLOSE = "drop_close"
    LATE_CLOSE = "late_close"
    SHUFFLE = "shuffle"
    DUPLICATE = "duplicate"
    WRONG_TIME = "wrong_time"
    WRONG_VALUES = "wrong_values"
    EARLY_ROWS = "early_rows"
    STOP_READING = "stop_reading"
    HANDSHAKE = "handshake"
    REST = "rest"
    BAN = "ban"
    MAX_AGE = "max_age"
    ARCHIVE = "archive"
    CHAIN_LAG = "chain_lag"
    CHAIN_SKIP = "chain_skip"


@dataclass(slots=True, eq=False)
class Fault:
    """One fault. A selector that is None matches everything; ``left`` None means until cleared."""

    kind: Kind
    number: int
    connection: int | None = None
    symbol: str | None = None
    path: str | None = None
    left: int | None = None
    share: float = 1.0
    seconds: float = 0.0
    status: int = 200
    mode: str = ""
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    copies: int = 1
    fired: int = 0
    cleared: asyncio.Event = field(default_factory=asyncio.Event)

    def as_dict(self) -> dict[str, Any]:
        return {
            name: getattr(self, name)
            for name in (
                "kind", "number", "connection", "symbol", "path", "left", "share", "seconds",
                "status", "mode", "copies", "fired",
            )
        }  # fmt: skip


class Faults:
    """The faults in force. ``fired`` counts every effect by kind, also of faults that were cleared since."""

    def __init__(self) -> None:
        self._active: dict[Kind, list[Fault]] = {}
        self._all: list[Fault] = []
        self.fired: Counter[str] = Counter()
        self._drawn = 0

    def add(self, kind: Kind, **given: Any) -> Fault:
        """Put a fault in force; ``given`` are fields of ``Fault``."""
        fault = Fault(kind, len(self._all), **given)
        self._all.append(fault)
        self._active.setdefault(kind, []).append(fault)
        return fault

    def any(self, *kinds: Kind) -> bool:
        """True if a fault of one of the kinds is in force; cheap enough for every frame."""
        return any(kind in self._active for kind in kinds)

    def hit(
        self,
        kind: Kind,
        *,
        connection: int | None = None,
        symbol: str | None = None,
        path: str | None = None,
    ) -> Fault | None:
        """The oldest matching fault, counted as fired and used up by one; None if there is none."""
        for fault in self._active.get(kind, ()):
            if self._matches(fault, connection, symbol, path):
                self.fire(fault)
                return fault
        return None

    def fire(self, fault: Fault) -> None:
        """Count one effect; a fault with ``left`` ends with its last one."""
        fault.fired += 1
        self.fired[fault.kind] += 1
        if fault.left is not None:
            fault.left -= 1
            if fault.left <= 0:
                self.remove(fault)

    def count(self, action: str, number: int = 1) -> None:
        """Count the effects of an action that is not a lasting fault."""
        self.fired[action] += number

    def active(self, kind: Kind) -> list[Fault]:
        """The faults of a kind in force, oldest first; looking does not count as firing."""
        return list(self._active.get(kind, ()))

    def of_path(self, kind: Kind, modes: Collection[str], path: str) -> list[Fault]:
        """The faults of a kind and of some modes that are about a path, oldest first; share and count aside."""
        return [fault for fault in self._active.get(kind, ()) if fault.mode in modes and _about(fault, path)]

    def drawn(self, fault: Fault) -> bool:
        """Whether a fault fires this time, by its share."""
        if fault.share >= 1.0:
            return True
        self._drawn += 1
        return unit(self._drawn ^ fault.number << 40) < fault.share

    def _matches(self, fault: Fault, connection: int | None, symbol: str | None, path: str | None) -> bool:
        if fault.connection is not None and fault.connection != connection:
            return False
        if fault.symbol is not None and fault.symbol != symbol:
            return False
        if fault.path is not None and (path is None or not _about(fault, path)):
            return False
        return self.drawn(fault)

    def remove(self, fault: Fault) -> None:
        """End one fault; requests that hang on it go on. Harmless when it has ended already."""
        active = self._active.get(fault.kind, [])
        if fault in active:
            active.remove(fault)
        if not active:
            self._active.pop(fault.kind, None)
        fault.cleared.set()

    def clear(self) -> None:
        """End all faults; the counters stay."""
        for fault in list(self._all):
            self.remove(fault)

    def number(self, number: int) -> Fault:
        """The fault with this number; ``ValueError`` if there never was one."""
        if not 0 <= number < len(self._all):
            raise ValueError(f"no such fault: {number}")
        return self._all[number]

    def as_list(self) -> list[dict[str, Any]]:
        """Those in force."""
        return [fault.as_dict() for faults in self._active.values() for fault in faults]


def _about(fault: Fault, path: str) -> bool:
    """A fault's path is a part of the path, or a pattern for all of it if it has wildcards."""
    if fault.path is None:
        return True
    return fnmatchcase(path, fault.path) if any(one in fault.path for one in "*?[") else fault.path in path
