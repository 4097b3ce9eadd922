"""A test that runs again inside namespaces of its own, where root may break network and mounts without harm."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Sequence

import pytest

from .processes import ROOT

_INSIDE = "MARKETD_TEST_INSIDE"
_RUN_S = 270.0
"""Less than what pytest gives the outer run (``timeout``), so that what the inner one said is seen."""


def inside() -> bool:
    """True in the run that ``run_inside`` started."""
    return _INSIDE in os.environ


async def run_inside(request: pytest.FixtureRequest, *kinds: str, prepare: Sequence[str]) -> None:
    """Run the calling test once more in a new ``--net`` or ``--mount`` namespace, and pass if it passes there.

    ``prepare`` are shell commands that are run there first; all that they do ends with the namespace. Skips where
    namespaces cannot be made, which a container may forbid even to root.
    """
    probe = await asyncio.to_thread(
        subprocess.run, ["unshare", *kinds, "true"], capture_output=True, check=False
    )
    if probe.returncode:
        pytest.skip(f"needs namespaces of its own: {probe.stderr.decode(errors='replace').strip()}")
    pytest_again = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-n",
        "0",
        "-p",
        "no:cacheprovider",
        request.node.nodeid,
    ]
    script = "\n".join(["set -e", *prepare, 'exec "$@"'])
    # The worker's own variables would make the inner run believe that it is a worker too.
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    process = await asyncio.create_subprocess_exec(
        *("unshare", *kinds, "sh", "-c", script, "sh", *pytest_again),
        cwd=ROOT,
        env={**own, _INSIDE: "1"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(_RUN_S):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            await _ended(process)
    text = output.decode(errors="replace")
    assert process.returncode == 0, f"inside the namespace:\n{text}"
    assert "1 passed" in text, f"it did not run inside the namespace:\n{text}"


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Let it put its daemon, its venue and its database away; killed at once it would leave them to run."""
    process.send_signal(signal.SIGINT)
    try:
        async with asyncio.timeout(15):
            await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
