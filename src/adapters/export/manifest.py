"""The manifest of an export: ``manifest.jsonl``, a line for each partition, written when its files are on the disk.

It only grows, and a later line of a partition replaces an earlier one, so whoever is killed at any instant leaves a
manifest that is true: at worst its last line is torn, and its partition is written again. Each run says what was asked
for when it begins, and when it is over; what was begun and never ended makes the whole of it incomplete, until the same
is asked for again, or everything::

    {"format":"marketd-export","version":1,"exchange":"binance_futures_um","marketd":"0.4.0"}
    {"begun":"everything"}
    {"dataset":"candles_1m","exchange":"binance_futures_um","symbol":"BTCUSDT","period":"2026-05","state":"44640:79...",
     "rows":44640,"files":[{"path":"candles_1m/.../2026-05.parquet","rows":44640,"bytes":1830121,"sha256":"9f..."}]}
    {"ended":"everything","partitions":1,"rows":44640}
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from ...errors import ConfigError

NAME = "manifest.jsonl"
EVERYTHING = "everything"
"""An export of all datasets, symbols and days."""
_FORMAT, _VERSION = "marketd-export", 1
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """One Parquet file; ``path`` is relative to the export's folder."""

    path: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One partition that was written whole. ``state`` is what the database said of it just before."""

    dataset: str
    exchange: str
    symbol: str
    period: str
    state: str
    rows: int
    files: tuple[ExportedFile, ...]

    @property
    def key(self) -> tuple[str, str, str, str]:
        return (self.dataset, self.exchange, self.symbol, self.period)


@dataclass(slots=True)
class Manifest:
    """All that a manifest says; ``entries`` by their keys, in the order in which they were written first.

    ``unfinished``: what was asked for and not written to its end. ``ended``: whether anything was.
    """

    folder: Path
    exchange: str
    entries: dict[tuple[str, str, str, str], Entry]
    unfinished: tuple[str, ...]
    ended: bool

    @property
    def complete(self) -> bool:
        return self.ended and not self.unfinished

    def holds(self, entry: Entry) -> bool:
        """Whether the files of an entry are there, by their names and sizes."""
        return all(
            path.is_file() and path.stat().st_size == file.bytes
            for file in entry.files
            for path in [self.folder / file.path]
        )


def read(folder: Path) -> Manifest:
    """The manifest of a folder. Raises ``ConfigError`` that names the file where there is none or it is damaged."""
    path = folder / NAME
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; name the folder of a `marketd export`") from None
    # What stands behind the last line break was cut off while it was written.
    records = [_record(path, number, line) for number, line in enumerate(lines[:-1], start=1)]
    head = records[0] if records else {}
    if head.get("format") != _FORMAT or head.get("version") != _VERSION:
        raise ConfigError(f"{path}: line 1 is no head of an export of version {_VERSION}")
    manifest = Manifest(
        folder,
        str(head.get("exchange", "")),
        {},
        _unfinished(records),
        any("ended" in one for one in records),
    )
    for number, record in enumerate(records[1:], start=2):
        if "dataset" in record:
            entry = _entry(path, number, record)
            manifest.entries[entry.key] = entry
    return manifest


@contextmanager
def writing(folder: Path, *, exchange: str, version: str) -> Iterator[tuple[Manifest, Writer]]:
    """Go on with the manifest of a folder, or begin one. Raises ``ConfigError`` for a folder that is another's."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NAME
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(
                f"{path}: another export writes there; wait for it, or name another folder"
            ) from None
        writer = Writer(path, file)
        writer.cut_torn_line()
        if not path.stat().st_size:
            head = {"format": _FORMAT, "version": _VERSION, "exchange": exchange, "marketd": version}
            writer.append(head)
        manifest = read(folder)
        if manifest.exchange != exchange:
            raise ConfigError(
                f"{path}: is of the exchange {manifest.exchange}, not {exchange}; name another folder"
            )
        yield manifest, writer


class Writer:
    """Appends lines, each on the disk before the call returns."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self._path = path
        self._file = file

    def begin(self, scope: str) -> None:
        """Note that all of ``scope`` is going to be there."""
        self.append({"begun": scope})

    def add(self, entry: Entry) -> None:
        """Note a partition, whose files are on the disk."""
        self.append(asdict(entry))

    def finish(self, scope: str, partitions: int, rows: int) -> None:
        """Note that all of ``scope`` is there."""
        self.append({"ended": scope, "partitions": partitions, "rows": rows})

    def append(self, record: dict[str, Any]) -> None:
        self._file.write(json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def cut_torn_line(self) -> None:
        """Take away what a process that was killed left of its last line."""
        whole = self._path.read_bytes().rpartition(b"\n")
        self._file.truncate(len(whole[0]) + len(whole[1]))


def damaged(manifest: Manifest, entry: Entry) -> Iterator[str]:
    """What is wrong with the files of an entry, each by its name."""
    for file in entry.files:
        path = manifest.folder / file.path
        if not path.resolve().is_relative_to(manifest.folder.resolve()):
            yield f"{file.path}: lies outside of the export"
        elif not path.is_file():
            yield f"{path}: is missing"
        elif sha256_of(path) != file.sha256:
            yield f"{path}: is damaged, its SHA-256 is not the manifest's"


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, read a block at a time."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _unfinished(records: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    left: dict[str, None] = {}
    for record in records:
        if "begun" in record:
            left[str(record["begun"])] = None
        elif record.get("ended") == EVERYTHING:
            left.clear()
        elif "ended" in record:
            left.pop(str(record["ended"]), None)
    return tuple(left)


def _record(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError:
        raise ConfigError(f"{path}: line {number} is damaged") from None
    if not isinstance(record, dict):
        raise ConfigError(f"{path}: line {number} is damaged")
    return record


def _entry(path: Path, number: int, record: dict[str, Any]) -> Entry:
    try:
        files = tuple(ExportedFile(**file) for file in record.pop("files"))
        return Entry(**record, files=files)
    except (KeyError, TypeError):
        raise ConfigError(f"{path}: line {number} is damaged") from None
