"""ZIP files whose bytes depend on nothing but name and text."""

from __future__ import annotations

import hashlib
import io
import zipfile

_LEVEL = 1
"""The fastest: a month takes 50 ms, against 350 ms for files an eighth smaller."""


def pack(
    *members: tuple[str, bytes], compression: int = zipfile.ZIP_DEFLATED, level: int | None = _LEVEL
) -> bytes:
    """An archive of (name, content), every member dated 1980-01-01."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in members:
            about = zipfile.ZipInfo(name)
            about.create_system = 3
            about.external_attr = 0o644 << 16
            file.writestr(about, content, compression, level)
    return buffer.getvalue()


def checksum(name: str, content: bytes) -> bytes:
    """The ``.CHECKSUM`` file: ``<sha256>  <file name>`` and a line's end."""
    return f"{hashlib.sha256(content).hexdigest()}  {name}\n".encode()
