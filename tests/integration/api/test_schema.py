"""schemathesis against the running daemon: whatever OpenAPI allows or forbids, the server keeps to what it says."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from src.model import DAY_MS
from tests.integration.bars.world import Market, plain
from tests.support.daemon import Daemon
from tests.support.processes import free_port

from .market_world import EXCHANGE, START_MS

_WITHIN_S = 280


@pytest.fixture
async def url(database: str, tmp_path: Path) -> AsyncIterator[str]:
    """``marketd serve`` over a database with a symbol in it."""
    market = Market(database, EXCHANGE)
    await market.listed("BTCUSDT", START_MS)
    await market.store(plain("BTCUSDT", START_MS, 2 * DAY_MS // 60_000))
    market.keep()
    port = free_port()
    settings = {"DATABASE_URL": database, "API_PORT": str(port), "API_REQUESTS_PER_MINUTE": "10000000"}
    daemon = Daemon(settings, folder=tmp_path, arguments=("serve",))
    daemon.start()
    try:
        await daemon.wait_ready()
        yield f"http://127.0.0.1:{port}"
        await daemon.stop()
    finally:
        await daemon.kill()


async def check(url: str, folder: Path, *options: str, within_s: float = _WITHIN_S) -> None:
    """All checks; what it found is in the message where it found something."""
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        f"--config-file={Path(__file__).with_name('schemathesis.toml')}",
        "run",
        f"{url}/openapi.json",
        "--checks=all",
        "--mode=all",
        "--continue-on-failure",
        "--suppress-health-check=all",
        "--no-color",
        *options,
    ]
    child = await asyncio.create_subprocess_exec(
        *command, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        out, _ = await asyncio.wait_for(child.communicate(), within_s)
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    assert child.returncode == 0, out.decode()[-12_000:]


async def test_a_few_examples_of_every_operation(url: str, tmp_path: Path) -> None:
    """The same ones each time; the phase that tries every bound of every parameter takes too long for everyday."""
    await check(
        url,
        tmp_path,
        "--phases=examples,fuzzing,stateful",
        "--max-examples=4",
        "--generation-deterministic",
    )


@pytest.mark.slow
@pytest.mark.timeout(3_600)
async def test_200_examples_of_every_operation(url: str, tmp_path: Path) -> None:
    """All phases."""
    await check(
        url,
        tmp_path,
        "--phases=examples,coverage,fuzzing,stateful",
        "--max-examples=200",
        "--generation-database=none",
        within_s=3_500,
    )
