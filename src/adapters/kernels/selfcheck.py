"""Functions that show what a kernel process does; ``doctor`` and the tests call them."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from ...errors import BadData
from ...ports.tables import Note, Tables


def echo(*, note: Note, tables: Tables | None, value: Any) -> dict[str, Any]:
    """``value``, and who answers."""
    note("half", 0.5)
    return {"value": value, "pid": os.getpid(), "nice": os.nice(0)}


def fail(*, note: Note, tables: Tables | None, text: str) -> None:
    """Raises ``BadData``."""
    raise BadData(text, reason="selfcheck")


def swell(*, note: Note, tables: Tables | None, megabytes: int) -> int:
    """Take so much memory and let it go again; how much it was."""
    return len(bytearray(megabytes * 1_000_000)) // 1_000_000


def hang(*, note: Note, tables: Tables | None, begun: str) -> None:
    """Write the pid into the file ``begun`` and never come back."""
    Path(begun).write_text(str(os.getpid()), encoding="ascii")
    while True:
        signal.pause()
