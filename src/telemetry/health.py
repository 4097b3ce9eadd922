"""What ``/healthz`` and ``/readyz`` answer from: facts that the collectors and the writer keep up to date."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Health:
    """Mutable on purpose: one per process, written on the event loop only.

    Times are venue epoch seconds; 0 means never.
    """

    expects_candles: bool = True
    """Whether this process collects live candles; readiness asks for their age only then."""
    database_writable: bool = False
    newest_candle_close: float = 0.0
    """End of the newest minute of which a live candle was committed."""
    last_commit: float = 0.0
    loop_beat: float = 0.0
    stopping: bool = False
    problem: str = ""
    """One sentence when something needs a person (for example a refused statement), else empty."""

    def data_age(self, now: float) -> float:
        """Seconds since the end of the newest stored minute; infinite before the first."""
        return now - self.newest_candle_close if self.newest_candle_close else float("inf")

    def not_ready_reasons(self, now: float, *, max_age: float = 90.0) -> list[str]:
        """Why the process is not ready; empty when it is."""
        reasons = []
        if self.stopping:
            reasons.append("stopping")
        if not self.database_writable:
            reasons.append("database not writable")
        if self.expects_candles and (age := self.data_age(now)) >= max_age:
            reasons.append(
                "no candle stored yet" if age == float("inf") else f"newest candle is {age:.0f} s old"
            )
        if self.problem:
            reasons.append(self.problem)
        return reasons
