"""F8: at the limit of processes none can be started, which is waited out like one that does not come up."""

from __future__ import annotations

import asyncio
import errno

import pytest

from src.adapters.kernels.frames import Setup
from src.adapters.kernels.pool import _Process
from src.adapters.timescale.importing.job import WorkerOptions
from src.adapters.timescale.importing.process import ImportProcess
from src.errors import Unavailable


@pytest.fixture(autouse=True)
def full(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(asyncio, "create_subprocess_exec", refuse)


async def test_an_import_worker() -> None:
    options = WorkerOptions("postgresql://127.0.0.1:1/none", "s", "e", "a", "b")
    with pytest.raises(Unavailable, match="no import worker") as raised:
        await ImportProcess.start(options, deadline_s=60)
    assert raised.value.reason == "worker"


async def test_a_kernel() -> None:
    with pytest.raises(Unavailable, match="no kernel process") as raised:
        await _Process.start(Setup(None, 100))
    assert raised.value.reason == "kernel"
