"""The file that tells whoever started the daemon that it is up."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from src.wiring import RUN_FILE
from src.wiring.roles import WS

from .test_following import made


@pytest.mark.parametrize("is_there", [True, False])
async def test_a_file_that_cannot_be_written_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, is_there: bool
) -> None:
    """A standby writes it again when it takes over, on a disk that may be full by then."""
    file = tmp_path / "announced" if is_there else tmp_path / "gone" / "announced"
    monkeypatch.setenv(RUN_FILE, str(file))
    application = made(WS, standby=False)
    application.lead.keeper.settled.set()
    application.server.taken.set()
    await application._announce()
    assert file.exists() is is_there
    if is_there:
        assert file.read_text() == f"{os.getpid()} {application.server.port}\n"
