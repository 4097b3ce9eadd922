"""Rotation of the log's file: by its size, and by others (rename, copytruncate). No line is lost."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from src.telemetry import log
from src.telemetry.log_file import LogFile
from src.telemetry.metrics import Metrics

_MOST = 4000


class Bench:
    """A logger whose stream appends to a file, as a shell's ``>>`` makes it, and a time that is told."""

    def __init__(self, folder: Path) -> None:
        self.path, self.now, self.wrote = folder / "marketd.log", 0.0, 0
        self.metrics = Metrics()
        self.stream = self.path.open("a", encoding="utf-8")
        self.file = LogFile(self.path, _MOST, descriptors=(self.stream.fileno(),), clock=lambda: self.now)
        log.configure(stream=self.stream, fmt="json", file=self.file, metrics=self.metrics)

    def write(self, lines: int) -> None:
        logger = log.get_logger("writer")
        for _ in range(lines):
            self.now += 2.0
            logger.info(f"event_{self.wrote}", number=self.wrote)
            self.wrote += 1

    def lost(self) -> float:
        return self.metrics.registry.get_sample_value("marketd_log_lost_total") or 0.0


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    (tmp_path / "log").mkdir()
    opened = Bench(tmp_path / "log")
    yield opened
    log.reset()
    opened.stream.close()


def numbers(*paths: Path) -> list[int]:
    return [
        json.loads(line)["number"] for path in paths for line in path.read_text(encoding="utf-8").splitlines()
    ]


def test_it_never_has_more_than_two_files_of_its_size(bench: Bench) -> None:
    bench.write(100)
    line = bench.path.stat().st_size
    old = bench.path.with_name("marketd.log.1")
    assert {path.name for path in bench.path.parent.iterdir()} == {"marketd.log", "marketd.log.1"}
    assert line <= _MOST and _MOST <= old.stat().st_size <= _MOST + 300
    kept = numbers(old, bench.path)
    assert kept == list(range(kept[0], 100)), "a line is lost between the two"
    assert len(kept) < 100, "nothing went"
    assert bench.lost() == 0


def test_one_that_was_renamed_is_begun_anew(bench: Bench) -> None:
    bench.write(5)
    moved = bench.path.with_name("marketd.log-20261127")
    bench.path.rename(moved)
    bench.write(5)
    assert numbers(moved) == list(range(5))
    assert numbers(bench.path) == list(range(5, 10))
    bench.path.rename(moved)
    bench.path.touch()  # as logrotate does with ``create``
    bench.write(5)
    assert numbers(bench.path) == list(range(10, 15))


@pytest.mark.parametrize("begun_anew", [False, True])
def test_one_that_was_copied_and_cut_is_written_on(bench: Bench, *, begun_anew: bool) -> None:
    if begun_anew:
        bench.path.unlink()
    bench.write(5)
    copied = bench.path.with_name("marketd.log.copy")
    shutil.copy(bench.path, copied)
    os.truncate(bench.path, 0)
    bench.write(5)
    assert numbers(copied, bench.path) == list(range(10))


def test_where_no_new_one_can_be_begun_the_old_one_is_written_on(bench: Bench) -> None:
    bench.write(5)
    elsewhere = bench.path.parent.with_name("elsewhere")
    bench.path.parent.rename(elsewhere)
    bench.write(5)
    assert numbers(elsewhere / "marketd.log") == list(range(10))
    assert bench.lost() == 0


def test_output_that_leads_elsewhere_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "named.log").write_text("x" * 2 * _MOST)
    with (tmp_path / "other.log").open("a") as stream:
        file = LogFile(tmp_path / "named.log", _MOST, descriptors=(stream.fileno(),), clock=lambda: 100.0)
        file.keep()
        os.write(stream.fileno(), b"a line")
    assert (tmp_path / "other.log").read_text() == "a line"
    assert {path.name for path in tmp_path.iterdir()} == {"named.log", "other.log"}


@pytest.mark.parametrize(
    ("most", "wanted"), [("", 64 << 20), ("1000", 1000), ("0", 64 << 20), ("x", 64 << 20)]
)
def test_the_environment_says_which(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: str, wanted: int
) -> None:
    monkeypatch.delenv("MARKETD_LOG_FILE", raising=False)
    assert LogFile.told() is None
    monkeypatch.setenv("MARKETD_LOG_FILE", str(tmp_path / "marketd.log"))
    monkeypatch.setenv("MARKETD_LOG_BYTES", most)
    told = LogFile.told()
    assert told is not None and told._most_bytes == wanted
