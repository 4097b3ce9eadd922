"""``marketd export``: the stored market as Parquet files, partition by partition, with a manifest of their hashes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import count
from pathlib import Path
from urllib.parse import quote

from ... import __version__
from ...adapters.export.manifest import EVERYTHING, Entry, ExportedFile, Manifest, Writer, damaged, writing
from ...adapters.timescale.history.exported import ExportReader, Partition
from ...errors import EXIT_OK, ConfigError
from ...wiring.options import database_options
from .. import output
from ..context import Context
from ..coverage.command import chosen

DATASETS = ("instruments", "candles_1m", "metrics_5m", "funding", "agg_trades")
_LINE_S = 30.0
"""Wall seconds between two lines about how far it is."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the person asked for; days are included on both ends, and a month that they touch is taken whole."""

    folder: Path
    datasets: tuple[str, ...]
    globs: tuple[str, ...]
    first: date | None
    last: date | None

    @property
    def scope(self) -> str:
        """In words that are the same for the same question."""
        some = () if set(self.datasets) == set(DATASETS) else self.datasets
        words = [",".join(sorted(some)), ",".join(sorted(self.globs))]
        if self.first or self.last:
            words.append(f"{self.first or ''}..{self.last or ''}")
        return " ".join(filter(None, words)) or EVERYTHING


@dataclass(slots=True)
class Done:
    """What became of the partitions."""

    written: int = 0
    kept: int = 0
    rows: int = 0
    bytes: int = 0

    def tell(self, folder: Path) -> None:
        output.pairs(
            [
                ("folder", str(folder)),
                ("partitions", f"{self.written:,} written, {self.kept:,} were there and have not changed"),
                ("rows", f"{self.rows:,} in all"),
                ("bytes", f"{self.bytes:,} written"),
            ]
        )


def run(context: Context, wanted: Wanted) -> int:
    """Write what is not there yet or has changed. Stopped at any point, the same command goes on.

    Raises ``ConfigError``, ``Unavailable`` or ``Misconfigured``.
    """
    settings = context.settings("DATABASE_URL")
    options = database_options(settings, f"{time.time_ns():x}", "export")
    try:
        done = _export(ExportReader(options), options.exchange, wanted)
    except OSError as error:
        raise ConfigError(f"{wanted.folder}: cannot be written: {error.strerror or error}") from error
    done.tell(wanted.folder)
    return EXIT_OK


def _export(reader: ExportReader, exchange: str, wanted: Wanted) -> Done:
    with (
        closing(reader),
        writing(wanted.folder, exchange=exchange, version=__version__) as (manifest, writer),
    ):
        partitions = _partitions(reader, wanted)
        if set(wanted.datasets) != {"instruments"} and not any(one.symbol for one in partitions):
            output.note("no data of what was asked for is stored")
        return Exporting(reader, manifest, writer).run(wanted.scope, partitions)


class Exporting:
    """One run over a list of partitions."""

    def __init__(self, reader: ExportReader, manifest: Manifest, writer: Writer) -> None:
        self._reader = reader
        self._manifest = manifest
        self._writer = writer
        self._told = time.monotonic()

    def run(self, scope: str, partitions: Sequence[Partition]) -> Done:
        done = Done()
        self._writer.begin(scope)
        for number, partition in enumerate(partitions, start=1):
            self._partition(partition, done)
            if time.monotonic() - self._told >= _LINE_S:
                self._told = time.monotonic()
                output.note(f"{number:,} of {len(partitions):,} partitions, {done.rows:,} rows")
        self._writer.finish(scope, done.written + done.kept, done.rows)
        return done

    def _partition(self, partition: Partition, done: Done) -> None:
        number, state = self._reader.state(partition)
        known = self._manifest.entries.get(partition.key)
        if known is not None and known.state == state and self._manifest.holds(known):
            done.kept += 1
            done.rows += known.rows
            return
        if not number:
            return
        entry = self._written(partition, state, known)
        if not entry.files:  # all of it was dropped just now
            return
        self._writer.add(entry)
        self._forget(known, entry)
        done.written += 1
        done.rows += entry.rows
        done.bytes += sum(file.bytes for file in entry.files)

    def _written(self, partition: Partition, state: str, known: Entry | None) -> Entry:
        # Polars, which only this needs, takes a second to load.
        from ...adapters.export.parquet import write

        folder, pieces = self._manifest.folder, self._reader.csv(partition)
        end: datetime | None = None
        if known is not None and partition.dataset != "agg_trades":
            # A month is small. What retention drops after it was read is not asked for, what it dropped before is.
            pieces = iter(list(pieces))
            end = self._reader.dropped_before(partition)
        older = self._kept(known) if known is not None and end is not None else []
        files: list[ExportedFile] = []
        for part, csv in zip(count(1), pieces, strict=False):
            name = _path(partition, part)
            files.append(
                write(folder, name, partition.dataset, csv, older=older if part == 1 else (), end=end)
            )
        return Entry(*partition.key, state, sum(file.rows for file in files), tuple(files))

    def _kept(self, known: Entry) -> list[Path]:
        """The files of a partition of which retention has dropped a part meanwhile: they have it still."""
        if problems := list(damaged(self._manifest, known)):
            output.note(f"{'; '.join(problems)}: what retention has dropped of it is lost")
            return []
        return [self._manifest.folder / file.path for file in known.files]

    def _forget(self, known: Entry | None, entry: Entry) -> None:
        """Files that a partition had when it was larger."""
        if known is not None:
            for path in {file.path for file in known.files} - {file.path for file in entry.files}:
                (self._manifest.folder / path).unlink(missing_ok=True)


def _path(partition: Partition, part: int) -> str:
    """Below the folder; whatever a symbol is called, it stays there."""
    name = partition.period or "all"
    suffix = "" if part == 1 else f"-{part}"
    folders = [partition.dataset, quote(partition.exchange, safe="")]
    if partition.symbol:
        folders.append(quote(partition.symbol, safe="").replace(".", "%2E"))
    return "/".join([*folders, f"{name}{suffix}.parquet"])


def _partitions(reader: ExportReader, wanted: Wanted) -> list[Partition]:
    found = [one for dataset in wanted.datasets for one in reader.partitions(dataset)]
    # Of one that is known there may be nothing yet, or nothing that retention has left: no reason to refuse the others.
    known = reader.symbols() | {one.symbol for one in found if one.symbol}
    symbols = set(chosen(sorted(known), wanted.globs))
    return [
        one
        for one in found
        if not one.symbol
        or (one.symbol in symbols and in_days(one.since.date(), one.until.date(), wanted.first, wanted.last))
    ]


def in_days(since: date, until: date, first: date | None, last: date | None) -> bool:
    """Whether the days [since, until) touch those of [first, last]; pure."""
    return (first is None or until > first) and (last is None or since < last + timedelta(days=1))
