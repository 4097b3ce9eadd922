"""A date of its own for one process, which steps and drifts while the process runs (libfaketime)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

from .daemon import Daemon


class Faketime:
    """``settings`` are given to the daemon before it starts; its monotonic clock stays true."""

    LIBRARY: ClassVar = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
    LACKING: ClassVar = "libfaketime is not installed (Debian package faketime)"

    def __init__(self, folder: Path) -> None:
        self._file = folder / "faketime"
        self.settings = {
            "LD_PRELOAD": str(self.LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        self.step("+0")

    def step(self, offset: str) -> None:
        """From now on the date is off by so much: ``-300`` (seconds), ``+0 x1.05`` (5 % too fast)."""
        self._file.write_text(f"{offset}\n", encoding="utf-8")

    @staticmethod
    def ahead(daemon: Daemon) -> float:
        """Seconds by which the date in the daemon's newest line of log is ahead of this computer's."""
        line = json.loads(daemon.child.text().splitlines()[-1])
        return (datetime.fromisoformat(line["ts"]) - datetime.now(UTC)).total_seconds()
