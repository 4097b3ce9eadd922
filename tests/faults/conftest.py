"""A world for each fault run: on a clone in the shared test server, or on a server of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.cluster import Cluster
from tests.support.world import World, open_world


@pytest.fixture
async def world(tmp_path: Path, database: str) -> AsyncIterator[World]:
    """200 symbols at speed 20; the daemon is not started yet."""
    async with open_world(tmp_path, database) as opened:
        yield opened


@pytest.fixture
async def world_on_cluster(tmp_path: Path, cluster: Cluster) -> AsyncIterator[World]:
    """The same with a database server that may be stopped, killed and restarted (``cluster``)."""
    async with open_world(tmp_path, cluster.url) as opened:
        yield opened
