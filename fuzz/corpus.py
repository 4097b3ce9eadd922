"""The inputs that are kept: one file a target, one input a line in base64, as the fuzzer left them."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

_FOLDER = Path(__file__).with_name("corpus")


def kept(target: str) -> list[bytes]:
    """All inputs of a target."""
    file = _FOLDER / f"{target}.txt"
    return (
        [base64.b64decode(line) for line in file.read_text(encoding="ascii").split()] if file.exists() else []
    )


def unpack(target: str, folder: Path) -> int:
    """Write them into ``folder`` as the fuzzer reads them; how many there are."""
    folder.mkdir(parents=True, exist_ok=True)
    inputs = kept(target)
    for data in inputs:
        (folder / hashlib.sha1(data, usedforsecurity=False).hexdigest()).write_bytes(data)
    return len(inputs)


def keep(target: str, folder: Path) -> int:
    """Keep what is in ``folder`` in the place of what was kept; shortest first."""
    inputs = sorted({path.read_bytes() for path in folder.iterdir()}, key=lambda data: (len(data), data))
    lines = [base64.b64encode(data).decode("ascii") for data in inputs]
    _FOLDER.mkdir(exist_ok=True)
    (_FOLDER / f"{target}.txt").write_text("".join(f"{line}\n" for line in lines), encoding="ascii")
    return len(lines)
