"""Listeners of the live feed, as many as are asked for, in a process of their own: ``feed`` starts it.

    python -m benchmarks.feed_clients PORT CLIENTS

Prints a line when all of them listen. Told to end (SIGTERM), prints one JSON object: ``frames`` by their ``at_ms``,
each with its rows (symbol, open_time) and when each listener had it (this computer's epoch seconds), and how many
listeners were ``lost``.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from typing import Any

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

_SUBSCRIBE = b'{"subscribe":{"candles":"*"}}'
_HEAD = b'{"type":"live","at_ms":'
_AT_ONCE = 16
"""Connections that are made side by side; the API lets no more than 64 in that are not listeners yet."""


class Listener(WSListener):
    """One of them. The first one reads whole messages; the others only when they came, and which it was."""

    def __init__(self, told: dict[int, dict[str, Any]], *, reads: bool) -> None:
        self._told, self._reads = told, reads
        self.subscribed = asyncio.Event()
        self.lost = False

    def on_ws_connected(self, transport: WSTransport) -> None:
        transport.send(WSMsgType.TEXT, _SUBSCRIBE)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        now = time.time()
        if frame.msg_type == WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
            return
        text = frame.get_payload_as_memoryview()
        if bytes(text[: len(_HEAD)]) != _HEAD:
            self.subscribed.set()  # hello, and then the answer to the subscription
            return
        at_ms = int(bytes(text[len(_HEAD) : len(_HEAD) + 20]).partition(b",")[0])
        seen = self._told.setdefault(at_ms, {"had": [], "rows": []})
        seen["had"].append(now)
        if self._reads:
            seen["rows"] = [row[:2] for row in json.loads(bytes(text)).get("candles", ())]

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.lost = True


async def main(port: int, clients: int) -> None:
    """Listen until told to end."""
    told: dict[int, dict[str, Any]] = {}
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    listeners = [Listener(told, reads=number == 0) for number in range(clients)]
    for start in range(0, clients, _AT_ONCE):
        some = listeners[start : start + _AT_ONCE]
        await asyncio.gather(*(_connect(listener, port) for listener in some))
    print("listening", flush=True)
    await stop.wait()
    print(json.dumps({"frames": told, "lost": sum(listener.lost for listener in listeners)}), flush=True)


async def _connect(listener: Listener, port: int) -> None:
    await ws_connect(lambda: listener, f"ws://127.0.0.1:{port}/api/v1/live")
    await listener.subscribed.wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
