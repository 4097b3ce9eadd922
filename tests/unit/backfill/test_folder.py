"""The folder of downloads says whether it can be used, and tells a person why not."""

from __future__ import annotations

from pathlib import Path

from src.collectors.backfill.folder import DownloadFolder


async def test_a_folder_is_made_and_left_empty(tmp_path: Path) -> None:
    folder = DownloadFolder(tmp_path / "a" / "b", free=lambda _: 0.5)
    assert await folder.trouble() is None
    assert list((tmp_path / "a" / "b").iterdir()) == []


async def test_a_disk_that_is_nearly_full(tmp_path: Path) -> None:
    folder = DownloadFolder(tmp_path, free=lambda _: 0.054)
    assert await folder.trouble() == "disk_low"
    assert folder.detail == f"{tmp_path}: 5.4% of its disk is free, downloads leave 10%"


async def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    folder = DownloadFolder(tmp_path / "file", free=lambda _: 0.5)
    assert await folder.trouble() == "folder"
    assert folder.detail == f"{tmp_path / 'file'} cannot be written: File exists"
