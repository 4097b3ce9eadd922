"""The sandbox exchange as a process, its control API, and the truth that it will ever tell."""

from __future__ import annotations

import asyncio
import json
import time
import weakref
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

import aiohttp

from src.model import MINUTE_MS
from src.sandbox import SandboxOptions
from src.sandbox.market.candles import candle
from src.sandbox.market.catalogue import catalogue
from src.sandbox.market.metrics import Metric
from src.sandbox.venue import Venue as Inside

from .eventually import eventually
from .oracle import Span, Spans, Values
from .processes import Child, port_of, reserved_port

_START_MS = 1_780_000_020_000
"""Exchange time at the start of every run, a whole minute of the year 2026: runs differ by nothing but timing."""
_FOR_EVER_MS = 10**15
_CONTRACTS = {"PERPETUAL", "TRADIFI_PERPETUAL"}


def history_settings(rest_url: str) -> dict[str, str]:
    """Where a sandbox at ``rest_url`` has what real hosts besides the REST one have; for every daemon of a test."""
    return {
        "BINANCE_ARCHIVE_URL": f"{rest_url}/archive",
        "BINANCE_ARCHIVE_LIST_URL": f"{rest_url}/archive-list",
        "BINANCE_ALPHA_URL": rest_url,
    }


@dataclass(frozen=True, slots=True)
class VenueOptions:
    """``history`` is how many minutes before the start every symbol was listed: what start-up must read back."""

    symbols: int = 200
    speed: float = 20.0
    seed: int = 1
    history: int = 3
    sleeper_share: float = 0.0
    start_ms: int = _START_MS
    """Exchange time at the start, a whole minute, UTC milliseconds."""
    started_s: float = 0.0
    """The start was so many wall seconds ago: with them an exchange can show this computer's own date."""


class Venue:
    """One sandbox; ``tests.support.oracle.Truth`` is what it knows. ``port`` never changes, also not by ``restart``."""

    def __init__(self, options: VenueOptions, folder: Path) -> None:
        self.options = options
        self._folder = folder
        self._inside = Inside(
            SandboxOptions(
                seed=options.seed,
                speed=options.speed,
                start_ms=options.start_ms,
                anchor=time.monotonic() - options.started_s,
                exchange_info=_universe(options, folder / "exchange-info.json"),
                sleeper_share=options.sleeper_share,
            )
        )
        self.started_ms = options.start_ms
        """Exchange time at the start, UTC milliseconds, a whole minute."""
        held = reserved_port()
        weakref.finalize(self, held.close)
        self.port = port_of(held)
        self.children: list[Child] = []
        self._lost: dict[str, tuple[int, int]] = {}
        self._corrected: Counter[tuple[str, int]] = Counter()
        self.symbols = sorted(
            one["symbol"]
            for one in self._inside.listing()
            if one["quote"] == "USDT" and one["contract_type"] in _CONTRACTS and one["periods"]
        )

    @classmethod
    @asynccontextmanager
    async def open(cls, options: VenueOptions, folder: Path) -> AsyncIterator[Self]:
        venue = cls(options, folder)
        try:
            await venue.start()
            yield venue
        finally:
            await venue.kill()

    @property
    def address(self) -> tuple[str, int]:
        return ("127.0.0.1", self.port)

    async def start(self) -> None:
        """Start the process (again); exchange time went on while it was away."""
        log = self._folder / f"sandbox-{len(self.children) + 1}.log"
        own = self._inside.options
        arguments = {
            "port": self.port,
            "seed": own.seed,
            "speed": own.speed,
            "start-ms": own.start_ms,
            "anchor": own.anchor,
            "exchange-info": own.exchange_info,
            "sleeper-share": own.sleeper_share,
        }
        flags = [text for name, value in arguments.items() for text in (f"--{name}", str(value))]
        child = Child(["-m", "src.sandbox", *flags], environment={}, log=log)
        self.children.append(child)

        def hello() -> Any:
            assert child.exit_code is None, f"the sandbox ended {child.exit_code}:\n{child.tail()}"
            line, complete, _ = child.text().partition("\n")
            return json.loads(line) if complete else None

        told = await eventually(hello, message="the sandbox serves")
        assert told["port"] == self.port

    async def kill(self) -> None:
        """kill -9: every connection is gone at once."""
        for child in self.children:
            await child.kill()

    async def control(self, command: str, **arguments: Any) -> Any:
        """One method of ``src.sandbox.control.api.Control``; an error in its use is an ``AssertionError``."""
        return (await self._ask("POST", f"/control/{command}", arguments))["result"]

    async def clear(self) -> None:
        """End every fault."""
        await self._ask("DELETE", "/control/faults")

    async def end(self, number: int) -> None:
        """End one fault by its number; harmless when it has ended already."""
        await self._ask("DELETE", f"/control/faults/{number}")

    async def stats(self) -> Any:
        """The sandbox's counters; ``stats["fired"]`` counts the effects of each fault by kind."""
        return await self._ask("GET", "/control/stats")

    async def fired(self, kind: str) -> int:
        """How often faults of this kind had an effect so far."""
        return int((await self.stats())["fired"].get(kind, 0))

    async def connections(self) -> list[dict[str, Any]]:
        """The stream connections open now: number, path, age_s, streams."""
        found: list[dict[str, Any]] = await self._ask("GET", "/control/connections")
        return found

    async def list_symbol(self, symbol: str, **arguments: Any) -> dict[str, Any]:
        """A new listing, here and in what we know ourselves, so that its values can be told."""
        info: dict[str, Any] = await self.control("list_symbol", symbol=symbol, **arguments)
        if symbol not in self._inside.universe.instruments:
            contract = str(info["contractType"])
            now_ms = self._inside.clock.now_ms()
            self._inside.universe.list_symbol(symbol, int(info["onboardDate"]), now_ms, contract)
        return info

    async def lose(self, symbol: str, from_ms: int, to_ms: int) -> None:
        """The venue has no candles of [from_ms, to_ms), for good; once for a symbol."""
        await self.control("lose", symbol=symbol, from_ms=from_ms, to_ms=to_ms)
        self._lost[symbol] = (from_ms, to_ms)

    async def republish(self, symbol: str, open_ms: int) -> None:
        """The archive corrects a candle, which is the truth from now on. REST keeps what it said before."""
        await self.control("republish", symbol=symbol, open_ms=open_ms)
        self._corrected[symbol, open_ms] += 1

    # --- the truth -----------------------------------------------------------------------------------------

    async def now_ms(self) -> int:
        """Exchange time; needs no request, since both processes count on the same monotonic clock."""
        return self._inside.clock.now_ms()

    async def minutes(self, number: float) -> None:
        """Let that many exchange minutes pass."""
        await asyncio.sleep(number * 60 / self.options.speed)

    async def listings(self) -> Spans:
        """The trading periods of everything that must be stored, less what the venue lost."""
        return {
            one["symbol"]: [
                span
                for period in one["periods"]
                for span in _without(
                    Span(
                        first=int(period["from_ms"]),
                        end=int(period["to_ms"] or _FOR_EVER_MS),
                        owed_from=-(-max(int(period["from_ms"]), int(period["onboard_ms"])) // MINUTE_MS)
                        * MINUTE_MS,
                    ),
                    self._lost.get(one["symbol"]),
                )
            ]
            for one in await self._ask("GET", "/control/universe")
            if one["quote"] == "USDT" and one["contract_type"] in _CONTRACTS
        }

    def values(self, symbol: str, open_ms: int) -> Values:
        """The nine values of one candle, as the database must have them."""
        row = candle(self._inside.universe.instruments[symbol].traits, open_ms // MINUTE_MS)
        more = self._corrected.get((symbol, open_ms), 0)
        volume = row.volume
        if more:
            # By so many of the last digit, as ``src.sandbox.archive.dirt.revised`` does it.
            volume = str(Decimal(volume) + more * Decimal(1).scaleb(-len(volume.partition(".")[2])))
        numbers = (row.open, row.high, row.low, row.close, volume, row.quote_volume)
        taker = (row.taker_buy_volume, row.taker_buy_quote_volume)
        return (*map(float, numbers), row.trade_count + more, *map(float, taker))

    def metrics(self, symbol: str, from_ms: int, to_ms: int) -> list[Metric]:
        """The futures metrics that must be stored by now, their periods beginning in [from_ms, to_ms)."""
        return self._inside.metrics_truth(symbol, from_ms, to_ms)

    async def _ask(self, method: str, path: str, body: Any = None) -> Any:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session,
            session.request(method, f"http://127.0.0.1:{self.port}{path}", json=body) as answer,
        ):
            text = await answer.text()
            assert answer.status == 200, f"{method} {path}: {answer.status} {text}"
            return json.loads(text)


def _without(span: Span, lost: tuple[int, int] | None) -> list[Span]:
    """What is left of a span."""
    if lost is None:
        return [span]
    start, end = lost
    parts = [
        Span(span.first, min(span.end, start), span.owed_from),
        Span(max(span.first, end), span.end, max(span.owed_from, end)),
    ]
    return [part for part in parts if part.first < part.end]


def _universe(options: VenueOptions, path: Path) -> Path:
    """An exchangeInfo file: the sandbox's own catalogue, everything that trades listed ``history`` minutes ago."""
    entries = catalogue(options.seed, options.symbols, options.start_ms)
    onboard_ms = options.start_ms - options.history * MINUTE_MS
    for entry in entries:
        if entry["status"] == "TRADING":
            entry["onboardDate"] = onboard_ms
    path.write_text(json.dumps({"timezone": "UTC", "symbols": entries}), encoding="utf-8")
    return path
