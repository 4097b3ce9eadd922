"""The clients of ``benchmarks.api``: ``python -m benchmarks.api_clients PORT CLIENTS SYMBOLS``.

Until SIGTERM they measure in turns: one client that reads 2,000 rows each time, of another symbol and up to another
end, so that no answer is one that is kept in memory; one that reads pages of results; then all at once, pieces of 500
rows as a chart reads them, four of five of them such as others have read before.
"""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sys
import time
from dataclasses import dataclass, field

import aiohttp

_END_MS = 1_780_272_000_000
"""2026-06-01, as in benchmarks.api."""
_LENGTHS = {"1m": 60_000, "1h": 3_600_000, "1d": 86_400_000}
_ONE_TURN = 40
_ALL_TURN_S = 4.0


@dataclass
class Load:
    """What was measured: ms by what was asked, and requests and seconds of all at once."""

    url: str
    clients: int
    symbols: int
    taken: dict[str, list[float]] = field(default_factory=dict)
    requests: int = 0
    seconds: float = 0.0
    failures: int = 0

    async def run(self) -> None:
        """Forever."""
        connector = aiohttp.TCPConnector(limit=self.clients)
        async with aiohttp.ClientSession(self.url, connector=connector) as session:
            while True:
                for interval in _LENGTHS:
                    for _ in range(_ONE_TURN):
                        await self._timed(session, interval, "/api/v1/klines", self._piece(interval, 2_000))
                for page in range(1, _ONE_TURN):
                    query = {"page": str(page % 7 + 1), "pageSize": "100"}
                    await self._timed(session, "results_page", "/api/v1/analysis/results", query)
                began = time.perf_counter()
                async with asyncio.TaskGroup() as group:
                    for _ in range(self.clients):
                        group.create_task(self._at_once(session, began + _ALL_TURN_S), name="client")
                self.seconds += time.perf_counter() - began

    async def _at_once(self, session: aiohttp.ClientSession, until: float) -> None:
        while time.perf_counter() < until:
            query = self._piece("1m", 500)
            if random.random() < 0.8:
                query["end"] = str(_END_MS)
            if await self._get(session, "/api/v1/klines", query):
                self.requests += 1

    def _piece(self, interval: str, rows: int) -> dict[str, str]:
        end_ms = _END_MS - random.randrange(40) * _LENGTHS[interval]
        symbol = f"PAST{random.randint(1, self.symbols)}USDT"
        return {"symbol": symbol, "interval": interval, "limit": str(rows), "end": str(end_ms)}

    async def _timed(
        self, session: aiohttp.ClientSession, name: str, path: str, query: dict[str, str]
    ) -> None:
        began = time.perf_counter()
        if await self._get(session, path, query):
            self.taken.setdefault(name, []).append((time.perf_counter() - began) * 1000)

    async def _get(self, session: aiohttp.ClientSession, path: str, query: dict[str, str]) -> bool:
        try:
            async with session.get(path, params=query) as answer:
                await answer.read()
                done = answer.status == 200
        except (aiohttp.ClientError, TimeoutError):
            done = False
        self.failures += not done
        return done

    def told(self) -> dict[str, object]:
        """The figures."""
        shares = {
            f"{'klines_2000_rows_' if name in _LENGTHS else ''}{name}_{word}_ms": round(
                sorted(found)[int(len(found) * share)], 1
            )
            for name, found in self.taken.items()
            for word, share in (("p50", 0.5), ("p99", 0.99))
        }
        worst = max(
            (value for name, value in shares.items() if "klines" in name and "p99" in name), default=None
        )
        return {
            "klines_2000_rows_p99_ms": worst,
            **shares,
            "rps": round(self.requests / self.seconds) if self.seconds else None,
            "failures": self.failures,
        }


async def main(port: int, clients: int, symbols: int) -> None:
    load = Load(f"http://127.0.0.1:{port}", clients, symbols)
    task = asyncio.create_task(load.run(), name="load")
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        print(json.dumps(load.told()), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:4])))
