"""Who closes a descriptor that is not theirs: work on sockets, cancelled at every turn of the loop."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
from collections.abc import Coroutine
from pathlib import Path


def open_descriptors() -> int:
    """How many this process has."""
    return len(list(Path("/proc/self/fd").iterdir()))


async def cancelled_after(
    work: Coroutine[None, None, None], steps: int, *, once: asyncio.Event | None = None
) -> None:
    """Cancel ``work`` after so many turns of the loop, counted from ``once`` on.

    Raises ``OSError`` if its end closes descriptors that were given out since.
    """
    task = asyncio.create_task(work, name="dialling")
    if once is not None:
        await once.wait()
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    innocent: list[socket.socket] = []
    try:
        await task
    except asyncio.CancelledError:
        # The numbers that are free now are given out again while the failed dial is still known.
        innocent += [end for _ in range(8) for end in socket.socketpair()]
    del task, work
    gc.collect()
    try:
        for sock in innocent:
            os.fstat(sock.fileno())
    finally:
        for sock in innocent:
            sock.close()
