"""The SQL that an installed package brings for its own tables: the queue's.

The package ships one file that makes everything at once, and steps that bring an older version up to it. The ledger
(``schema_migration``) holds a line for each under the package's name, so that a newer package applies what is new.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from ....errors import ConfigError
from .catalogue import SqlFile

_QUEUE = "procrastinate"


@dataclass(frozen=True, slots=True)
class PackageSchema:
    """``whole`` is for a schema that has nothing of the package; ``steps`` are ordered by name."""

    whole: SqlFile
    steps: tuple[SqlFile, ...]

    def pending(self, ledger: Mapping[str, str]) -> list[SqlFile]:
        """What has still to be applied, in order; what the ledger knows beyond our package is no concern."""
        if self.whole.name not in ledger:
            return [self.whole]
        return [step for step in self.steps if step.name not in ledger]

    def covered_by(self, file: SqlFile) -> Sequence[SqlFile]:
        """What counts as applied once ``file`` was."""
        return (file, *self.steps) if file == self.whole else (file,)


def read_package_schema(folder: Path | None = None) -> PackageSchema:
    """The queue's schema from ``folder``, by default the installed package's. Raises ``ConfigError``."""
    folder = folder or _installed(_QUEUE) / "sql"
    whole = folder / "schema.sql"
    if not whole.is_file():
        raise ConfigError(f"{whole}: not there; is {_QUEUE} installed whole?")
    steps = sorted((folder / "migrations").glob("*.sql"))
    return PackageSchema(_file(whole), tuple(map(_file, steps)))


def _installed(package: str) -> Path:
    # Not imported: a daemon that only looks for pending files shall not load a queue.
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(f"the package {package} is not installed; run scripts/setup.sh")
    return Path(spec.submodule_search_locations[0])


def _file(path: Path) -> SqlFile:
    return SqlFile(f"{_QUEUE}/{path.name}", path.read_bytes())
