"""The sending side of the benchmark ``frames``: a bare WebSocket server in a process of its own.

It prints its port. Connections are told by their subscription, in the URL or by SUBSCRIBE; ``GET /go`` is
answered when all 600 streams are subscribed, and starts the burst.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from urllib.parse import unquote, urlsplit

import orjson
import uvloop

SYMBOLS = tuple(f"BENCH{number:03}USDT" for number in range(600))
CONNECTIONS = 3
FRAMES = 240
"""Frames of one symbol in one minute, every 250 ms, the last of them closed."""
START_MS = 1_790_000_040_000
_WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def frame(symbol: str, step: int) -> bytes:
    """One kline frame as the venue spells it, 325 bytes, with its WebSocket header."""
    closed = step == FRAMES - 1
    name = f"{symbol.lower()}@kline_1m"
    close = f"83{step:03}.60"
    text = (
        f'{{"stream":"{name}","data":{{"e":"kline","E":{START_MS + 250 * step},"s":"{symbol}","k":'
        f'{{"t":{START_MS},"T":{START_MS + 59_999},"s":"{symbol}","i":"1m","f":8153633367,'
        f'"L":{8153633367 + step},"o":"83000.00","c":"{close}","h":"83999.70","l":"82001.20",'
        f'"v":"{100 + step}.551","n":{1 + step},"x":{"true" if closed else "false"},'
        f'"q":"{9_125_714 + step}.73960","V":"6.426","Q":"533856.66860","B":"0"}}}}}}'
    ).encode()
    return bytes((0x81, 126)) + len(text).to_bytes(2, "big") + text


class Server:
    def __init__(self) -> None:
        self._subscribed: dict[asyncio.StreamWriter, set[str]] = {}
        self._ready = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client, whatever it wants."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            if head.startswith("GET /go "):
                await self._burst(reader, writer)
            else:
                await self._websocket(head, reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client went away
        finally:
            self._subscribed.pop(writer, None)
            writer.close()

    async def _websocket(self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        key = next(value for name, value in lines.items() if name.lower() == "sec-websocket-key")
        digest = hashlib.sha1(key.encode() + _WEBSOCKET_GUID, usedforsecurity=False).digest()
        accept = base64.b64encode(digest).decode()
        writer.write(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
        )
        query = urlsplit(head.split(" ")[1]).query
        names = unquote(query.removeprefix("streams=")).split("/") if query else []
        self._add(writer, names)
        while (message := await _message(reader)) is not None:
            if message:
                request = orjson.loads(message)
                self._add(writer, request["params"])
                answer = orjson.dumps({"result": None, "id": request["id"]})
                writer.write(bytes((0x81, len(answer))) + answer)

    def _add(self, writer: asyncio.StreamWriter, names: list[str]) -> None:
        streams = self._subscribed.setdefault(writer, set())
        streams.update(name for name in names if "@kline_" in name)
        if sum(map(len, self._subscribed.values())) >= len(SYMBOLS):
            self._ready.set()

    async def _burst(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._ready.wait()
        self._ready.clear()
        symbols = {name.split("@")[0]: name for name in map(str.lower, SYMBOLS)}
        upper = {symbol.lower(): symbol for symbol in SYMBOLS}
        chosen = {
            client: [upper[symbol] for symbol in symbols if f"{symbol}@kline_1m" in streams]
            for client, streams in self._subscribed.items()
        }
        writer.write(b"burst")
        await asyncio.gather(*(_send(client, mine) for client, mine in chosen.items()))
        await reader.read()


async def _send(writer: asyncio.StreamWriter, symbols: list[str]) -> None:
    for step in range(FRAMES):
        writer.write(b"".join(frame(symbol, step) for symbol in symbols))
        await writer.drain()


async def _message(reader: asyncio.StreamReader) -> bytes | None:
    """The payload of one client frame; empty for a control frame, None for a close."""
    first, second = await reader.readexactly(2)
    size = second & 0x7F
    if size == 126:
        size = int.from_bytes(await reader.readexactly(2), "big")
    mask = await reader.readexactly(4)
    masked = await reader.readexactly(size)
    if first & 0xF == 0x8:
        return None
    payload = bytes(byte ^ mask[index % 4] for index, byte in enumerate(masked))
    return payload if first & 0xF == 0x1 else b""


async def _main() -> None:
    server = Server()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    print(listening.sockets[0].getsockname()[1], flush=True)
    await listening.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main())
