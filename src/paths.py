"""Where files that ship with marketd lie, from a checkout and installed alike."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def sql_root() -> Path:
    """The folder with ``migrations/``, ``repeatable/`` and ``queries/``.

    Inside the wheel it is ``marketd/sql``; in a checkout it lies beside the package folder.
    """
    installed = _PACKAGE / "sql"
    return installed if installed.is_dir() else _PACKAGE.parent / "sql"
