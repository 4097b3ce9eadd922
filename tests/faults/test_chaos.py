"""All faults at once: fixed schedules, and one that nobody has seen before."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path

import pytest

from tests.chaos.run import SECONDS, SERVER_SETTINGS, chaos
from tests.fixtures.selection import SEED
from tests.support.cluster import Cluster

pytestmark = pytest.mark.fault

_FIXED = (0, 5, 8)
"""0: listings, five ends of the process. 5: the venue restarts. 8: a past to fill, and a date that steps; it found a
socket that nobody closed when its connection was reset in the moment it was made."""


def _new() -> int:
    """Another one for each commit, and the same for all who test that commit."""
    return int(hashlib.sha256(os.environ[SEED].encode()).hexdigest()[:8], 16)


@pytest.mark.parametrize("seed", [*_FIXED, _new()])
async def test_chaos(seed: int, tmp_path: Path, cluster: Cluster) -> None:
    """Nothing is missing, spurious or wrong once it is over; ``python -m tests.chaos --seed`` shows a run again."""
    await asyncio.to_thread(cluster.restart, SERVER_SETTINGS)
    print(await chaos(seed, SECONDS, tmp_path, cluster))  # noqa: T201  (pytest shows it when the run fails)
