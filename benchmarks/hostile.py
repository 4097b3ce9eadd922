"""``hostile``: what ``live`` measures of ``--ws --api`` while clients do to the API whatever clients can do.

Connections without end, headers that drip, bodies of a gigabyte in chunks, requests as fast as they are answered; from
a process of its own on the same machine, for all of the measured minutes.
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress

from benchmarks.feed import first_line, free_port
from benchmarks.live import ROOT, environment, run_beside, stop

_DRIPPING, _FLOODING, _SENDING, _ASKING = 100, 200, 8, 8
_HEAD = b"Host: 127.0.0.1\r\nContent-Type: application/json\r\n"


def run() -> dict[str, object]:
    """{attempts by kind, and what ``live`` gives}."""
    port = free_port()

    @contextmanager
    def clients(_: dict[str, str]) -> Iterator[dict[str, object]]:
        result: dict[str, object] = {}
        command = [sys.executable, "-m", "benchmarks.hostile", str(port)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, env=environment())
        try:
            yield result
            process.terminate()
            result |= json.loads(first_line(process))
        finally:
            if process.poll() is None:
                stop(process)

    return run_beside(clients, "--ws", "--api", API_PORT=str(port))


async def main(port: int) -> None:
    """Do all of it until told to end; print how often."""
    done: Counter[str] = Counter()
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)

    async def again(name: str, once: Callable[[int], Awaitable[None]]) -> None:
        while True:
            with suppress(OSError, TimeoutError):
                await once(port)
            done[name] += 1
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        kinds = (
            ("drip", drip, _DRIPPING),
            ("flood", flood, _FLOODING),
            ("send", send, _SENDING),
            ("ask", ask, _ASKING),
        )
        tasks = [
            group.create_task(again(name, once), name=name)
            for name, once, count in kinds
            for _ in range(count)
        ]
        await stopping.wait()
        for task in tasks:
            task.cancel()
    print(json.dumps({f"{name}s": done[name] for name, _, _ in kinds}), flush=True)


async def drip(port: int) -> None:
    """A header that never ends, a byte at a time."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"GET /health HTTP/1.1\r\nX-Slow: ")
        while not reader.at_eof():
            writer.write(b"x")
            await writer.drain()
            with suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    await reader.read(1_000)
    finally:
        writer.close()


async def flood(port: int) -> None:
    """A connection for nothing."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(5):
            await reader.read(1_000)
    finally:
        writer.close()


async def send(port: int) -> None:
    """A gigabyte, as far as it gets."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"POST /analyze HTTP/1.1\r\n" + _HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        async with asyncio.timeout(5):
            for _ in range(65_536):
                writer.write(b"4000\r\n" + b"x" * 16_384 + b"\r\n")
                await writer.drain()
    finally:
        writer.close()


async def ask(port: int) -> None:
    """Requests one behind the other, as fast as they are answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(30):
            for _ in range(1_000):
                writer.write(b"GET /api/v1/nothing HTTP/1.1\r\n" + _HEAD + b"\r\n")
                if not await reader.read(65_536):
                    return
    finally:
        writer.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
