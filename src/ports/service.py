"""Whoever started the process and looks after it."""

from __future__ import annotations

from typing import Protocol


class ServiceManager(Protocol):
    """Told how the process is; ``tell`` never blocks and never raises."""

    @property
    def listens(self) -> bool:
        """Whether there is anybody to tell."""

    @property
    def watchdog_s(self) -> float | None:
        """Within how many wall seconds it wants a sign of life; None if it wants none."""

    def tell(self, *lines: str) -> bool:
        """Send ``NAME=value`` lines as one message; False if they did not go out (or nobody listens)."""
