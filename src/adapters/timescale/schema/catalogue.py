"""The SQL files of ``sql/migrations`` and ``sql/repeatable``, and what of them a ledger lacks."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ....errors import ConfigError
from ....paths import sql_root

_NAME = re.compile(r"\d{4}_[a-z0-9_]+\.sql")
_REPEATABLE_NAME = re.compile(r"[a-z0-9_]+\.sql")
_NO_TRANSACTION = "-- no-transaction"


@dataclass(frozen=True, slots=True)
class SqlFile:
    """One file. ``name`` is its path under ``sql/``; the hash does not depend on line ends."""

    name: str
    text: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.replace(b"\r\n", b"\n")).hexdigest()

    @property
    def transactional(self) -> bool:
        return self.text.split(b"\n", 1)[0].strip() != _NO_TRANSACTION.encode()


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All files: ``migrations`` in order of their numbers, ``repeatable`` by name."""

    migrations: tuple[SqlFile, ...]
    repeatable: tuple[SqlFile, ...]

    def pending(self, ledger: Mapping[str, str]) -> list[SqlFile]:
        """What has still to be applied, in order, given name and hash of what was."""
        new = [file for file in self.migrations if file.name not in ledger]
        return new + [file for file in self.repeatable if ledger.get(file.name) != file.sha256]

    def problems(self, ledger: Mapping[str, str]) -> list[str]:
        """Why nothing may be applied, one sentence for each offending file: edited, missing, or out of order."""
        applied = {name: sha for name, sha in ledger.items() if name.startswith("migrations/")}
        present = {file.name: file for file in self.migrations}
        last = max(applied, default="")
        gone = sorted(applied.keys() - present.keys())
        edited = [
            name for name in sorted(applied.keys() & present.keys()) if present[name].sha256 != applied[name]
        ]
        late = [name for name in sorted(present.keys() - applied.keys()) if name < last]
        return [
            *(f"{name}: was applied, but its file is gone" for name in gone),
            *(f"{name}: was edited after it was applied; write a new migration instead" for name in edited),
            *(f"{name}: is numbered before {last}, which is already applied" for name in late),
        ]


def read_catalogue(root: Path | None = None) -> Catalogue:
    """The files under ``root`` (default: those shipped). Raises ``ConfigError`` naming every misnamed file."""
    root = root or sql_root()
    migrations = _read(root, "migrations", _NAME)
    repeatable = _read(root, "repeatable", _REPEATABLE_NAME)
    by_number: dict[str, str] = {}
    for file in migrations:
        number = Path(file.name).name[:4]
        if (other := by_number.setdefault(number, file.name)) != file.name:
            raise ConfigError(f"{file.name}: has the number of {other}")
    if not migrations:
        raise ConfigError(f"{root / 'migrations'}: no migrations there; is marketd installed whole?")
    return Catalogue(migrations, repeatable)


def _read(root: Path, folder: str, pattern: re.Pattern[str]) -> tuple[SqlFile, ...]:
    paths = sorted((root / folder).glob("*.sql"))
    misnamed = [path.name for path in paths if not pattern.fullmatch(path.name)]
    if misnamed:
        raise ConfigError(*(f"{folder}/{name}: the name does not fit {pattern.pattern}" for name in misnamed))
    return tuple(SqlFile(f"{folder}/{path.name}", path.read_bytes()) for path in paths)
