"""Processes of this package that work for another one: how they are started and ended, and what they do first.

Parent and child talk over the child's standard input and output. The child ends when its input ends, which happens
whatever became of its parent.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path
from typing import BinaryIO

from ..errors import Unavailable

START_S = 60.0
"""Wall seconds that a child may take until it says its first word: libraries that compute take long to load."""
_LIMIT_BYTES = 1 << 20
"""Of one line that it answers."""
_PIPES_S = 5.0
_NICENESS = 10
_PACKAGE_ROOT = Path(__file__).resolve().parents[1]


async def start_child(module: str, *, what: str, reason: str) -> asyncio.subprocess.Process:
    """``python -m MODULE`` in a session of its own, so that a Ctrl-C on the terminal does not reach it.

    A cancellation waits for it: half started it would be nobody's to end. Raises ``Unavailable`` (``reason``) at the
    limit of processes, descriptors or memory.
    """
    path = os.pathsep.join([str(_PACKAGE_ROOT.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    starting = asyncio.create_task(
        asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            module,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path, "POLARS_MAX_THREADS": "1"},
            start_new_session=True,
            limit=_LIMIT_BYTES,
        ),
        name=f"start a process: {what}",
    )
    try:
        return await asyncio.shield(starting)
    except OSError as error:
        raise Unavailable(f"no {what} can be started: {error}", reason=reason) from error
    except asyncio.CancelledError:
        with contextlib.suppress(OSError):
            await end_child(await starting)
        raise


def kill_child(process: asyncio.subprocess.Process) -> None:
    """End it at once; harmless when it has ended."""
    with contextlib.suppress(ProcessLookupError):
        process.kill()


async def end_child(process: asyncio.subprocess.Process) -> None:
    """Kill it and see it gone, also when the caller is cancelled: a loop that closes before would leave its pipes."""
    kill_child(process)
    await asyncio.shield(_gone(process))


async def _gone(process: asyncio.subprocess.Process) -> None:
    await process.wait()
    # The loop lets go of a pipe only some turns after its other end has; nobody would give it those turns.
    if process.stdin is not None:
        process.stdin.close()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_PIPES_S):
            while process.stdout is not None and await process.stdout.read(_LIMIT_BYTES):
                pass


def become_child() -> BinaryIO:
    """In the child, first of all: where its answers go. What a library prints must not be taken for one.

    Its niceness counts from 0, whatever precedence the daemon has.
    """
    os.setpriority(os.PRIO_PROCESS, 0, max(os.nice(0), 0) + _NICENESS)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers
