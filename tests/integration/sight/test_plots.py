"""``marketd plot``: a whole picture or none, and words that say what is missing. How it looks is for people."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from src.cli import main
from src.cli.plot.command import drawable
from tests.integration.analysis.level_world import LevelWorld, level_world, moment
from tests.integration.analysis.test_level_runs import wave
from tests.unit.analysis.level_strategies import HOUR_MS

ROWS = wave(300, rise=0.5)


@pytest.fixture
def world(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[LevelWorld]:
    monkeypatch.setenv("DATABASE_URL", database)
    with level_world(database) as world:
        world.listed("币USDT")
        world.traded("币USDT", ROWS)
        yield world


def size_of(picture: Path) -> tuple[int, int]:
    """Width and height of a PNG."""
    head = picture.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", head[16:24])
    return width, height


def test_levels_are_drawn_as_they_were_known(
    world: LevelWorld, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world.run("币USDT", history=150)
    newest, earlier = tmp_path / "newest.png", tmp_path / "earlier.png"
    earlier.write_bytes(b"an old one")
    assert main(["plot", "levels", "币usdt", "--out", str(newest), "--bars", "100"]) == 0
    at = moment(ROWS[-100][1]).strftime("%Y-%m-%dT%H:%M")
    assert main(["plot", "levels", "币USDT", "--out", str(earlier), "--at", at]) == 0
    said = capsys.readouterr().out.splitlines()
    counts = [len(world.known("币USDT", ROWS[place][1])) for place in (-1, -100)]
    assert [f"of {count} levels" in line for count, line in zip(counts, said, strict=True)] == [True, True]
    assert size_of(newest) == size_of(earlier) == (1540, 880)
    assert newest.read_bytes() != earlier.read_bytes()
    assert sorted(tmp_path.iterdir()) == [earlier, newest]


def test_bars_are_drawn(world: LevelWorld, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "bars.png"
    assert main(["plot", "bars", "币USDT", "--out", str(out), "--bars", "50"]) == 0
    assert size_of(out) == (1540, 880)
    assert f"{out}: 50 bars of 1h, " in capsys.readouterr().out


def test_one_bar_without_volume_can_be_drawn(world: LevelWorld, tmp_path: Path) -> None:
    world.listed("QUIETUSDT")
    world.traded("QUIETUSDT", [(ROWS[0][0], ROWS[0][0] + HOUR_MS, 1e-7, 1e-7, 1e-7, 0.0)])
    out = tmp_path / "quiet.png"
    assert main(["plot", "bars", "QUIETUSDT", "--out", str(out)]) == 0
    assert size_of(out) == (1540, 880)


def test_what_is_missing_is_said_and_no_file_is_left(
    world: LevelWorld, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "none.png"
    assert main(["plot", "levels", "币USDT", "--out", str(out)]) != 0
    assert "no level is known of that time; the task Levels finds them" in capsys.readouterr().err
    assert main(["plot", "bars", "NOSUCHUSDT", "--out", str(out)]) != 0
    assert "NOSUCHUSDT: no bars of 1h" in capsys.readouterr().err
    assert main(["plot", "bars", "币USDT", "--out", str(tmp_path / "no" / "folder.png")]) == 78
    assert "cannot be written" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_characters_that_the_font_has_not_are_told_by_their_code() -> None:
    assert drawable("币USDT 1h") == "U+5E01 USDT 1h"
