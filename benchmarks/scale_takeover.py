"""The part of ``scale`` about a standby: how long after the active daemon is gone the other one has its locks.

``python -m benchmarks.scale_takeover`` prints it as JSON; it must be started in a network namespace of its own (root),
which ``takeovers`` does.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from benchmarks.live import database_in, sandbox_in, settings_of
from benchmarks.scale_inside import let_machines_in, measured_inside
from tests.support.daemon import Daemon
from tests.support.machines import Machine, machine

_ROLES = ("--ws", "--metrics", "--standby")
_SYMBOLS = 100
_TIMES = {"kill -9": 5, "link down": 3}
_PATIENCE_S = 120.0
_LOOK_S = 0.01


def takeovers() -> list[dict[str, Any]]:
    """For each way to go: seconds until both locks are the other's, of several times; empty without namespaces."""
    return measured_inside("benchmarks.scale_takeover")


async def _measured() -> list[dict[str, object]]:
    folder = Path(tempfile.mkdtemp(prefix="marketd-scale-"))
    try:
        with (
            database_in(folder / "pg") as url,
            sandbox_in(folder, "--symbols", str(_SYMBOLS)) as venue,
        ):
            let_machines_in(folder / "pg")
            settings = settings_of(folder, url, venue)
            del settings["METRICS_PORT"]  # each daemon has one that is known
            return [await _series(folder, settings, how, times) for how, times in _TIMES.items()]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _series(folder: Path, settings: dict[str, str], how: str, times: int) -> dict[str, object]:
    seconds = []
    for _ in range(times):
        async with machine() as place:
            seconds.append(await _once(folder, settings, place, how))
    return {
        "how": how,
        "seconds": [round(one, 2) for one in seconds],
        "median_s": round(statistics.median(seconds), 2),
        "max_s": round(max(seconds), 2),
        "load_1m": round(os.getloadavg()[0], 2),
    }


async def _once(folder: Path, settings: dict[str, str], place: Machine, how: str) -> float:
    active = Daemon(settings, folder=folder, arguments=_ROLES).on(place)
    standby = Daemon(settings, folder=folder, arguments=_ROLES)
    go: dict[str, Callable[[], Awaitable[None]]] = {"kill -9": active.kill, "link down": place.pull_the_cable}
    try:
        active.start()
        await active.wait_ready()
        standby.start()
        await _logged(standby, {("lock_held", "writer")})
        began = time.monotonic()
        await go[how]()
        await _logged(standby, {("database_opened", "writer"), ("role_taken", "role")})
        return time.monotonic() - began
    finally:
        await active.kill()
        await standby.kill()


async def _logged(daemon: Daemon, wanted: set[tuple[str, str]]) -> None:
    """Until these (event, component) are in its log."""
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        whole, _, _ = daemon.child.text().rpartition("\n")
        lines = [json.loads(line) for line in whole.splitlines() if line.startswith("{")]
        if wanted <= {(line["event"], line["component"]) for line in lines}:
            return
        await asyncio.sleep(_LOOK_S)
    raise TimeoutError(f"{wanted} not within {_PATIENCE_S:g} s; its log ends:\n{daemon.child.tail()}")


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_measured())))
