"""The line that a small archive file (metrics, funding) has in ``archive_files``; within somebody's transaction."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import AsyncConnection

from ....model import ArchiveFile
from ..queries import query
from ..rows import printable
from ..sessions.shared import fetch


@dataclass(frozen=True, slots=True)
class Line:
    """What is known of a file. ``state`` is that of ``FileState``, or empty before the first look; ``listed`` with a
    checksum is a file that was imported, and rows of it were deleted by hand since."""

    state: str
    sha256: str
    size_bytes: int
    file_rows: int
    revision: int
    detail: str = ""

    def revision_of(self, sha256: str) -> int:
        """The revision of a file with this checksum: one more when another one was imported before."""
        was_imported = self.state in ("imported", "listed") and self.sha256 != ""
        return self.revision + (was_imported and self.sha256 != sha256)


async def line_before(connection: AsyncConnection, exchange: str, path: str) -> Line:
    """The line of ``path``, locked until the end of the transaction."""
    given = {"exchange": exchange, "path": path}
    for state, sha256, revision in await fetch(connection, query("metrics", "file_before"), given):
        return Line(state, sha256, 0, 0, revision)
    return Line("", "", 0, 0, 0)


async def note(connection: AsyncConnection, exchange: str, file: ArchiveFile, line: Line) -> None:
    """Write the line of ``file``."""
    given: dict[str, object] = {
        "exchange": exchange,
        "path": file.path,
        "dataset": file.dataset.value,
        "symbol": file.symbol,
        "span": file.span.value,
        "first_day": file.first_day,
        "state": line.state,
        "sha256": line.sha256,
        "size_bytes": line.size_bytes,
        "file_rows": line.file_rows,
        "revision": line.revision,
        "detail": printable(line.detail, 1000),
    }
    await fetch(connection, query("metrics", "note_file"), given)
