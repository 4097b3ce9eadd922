"""Small, honest stand-ins for the ports: a venue, a database and a clock that live in memory.

Each keeps the promises of its Protocol in ``src/ports`` and does nothing else; faults are given as a list of
errors to raise, first come first served.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from zlib import crc32

from src.errors import BadData, Permanent, UnknownSymbol
from src.model import MINUTE_MS, Authority, Candle, ContractStatus, Gap, Instrument, WriteResult
from src.ports import Priority
from src.telemetry.metrics import Metrics

EPOCH = 1_800_000_000.0
"""Venue time at which unit tests begin: a whole minute."""
EPOCH_MS = int(EPOCH) * 1000
NO_DELIVERY_MS = 4_133_404_800_000


def make_candle(
    symbol: str = "BTCUSDT",
    open_ms: int = EPOCH_MS - MINUTE_MS,
    *,
    trade_count: int | None = 7,
    source: str = "binance_ws",
    authority: Authority = Authority.STREAM,
) -> Candle:
    """The candle of a minute: a pure function of its arguments, the same from every source."""
    price = 100.0 + crc32(f"{symbol}:{open_ms}".encode(errors="surrogatepass")) % 1000
    volume = float(trade_count or 0)
    return Candle(
        symbol, open_ms, price, price + 2, price - 1, price + 1, volume, volume * price, trade_count,
        volume / 2, volume * price / 2, source, authority,
    )  # fmt: skip


def make_instrument(
    symbol: str,
    *,
    status: ContractStatus = ContractStatus.TRADING,
    onboard_ms: int = EPOCH_MS - 10 * 86_400_000,
    delivery_ms: int = NO_DELIVERY_MS,
    contract_type: str = "PERPETUAL",
    quote: str = "USDT",
) -> Instrument:
    base = symbol.removesuffix(quote)
    return Instrument(symbol, base, quote, contract_type, status, onboard_ms, delivery_ms, "0.1", "0.001")


class StepClock:
    """A clock that only moves when told, or when somebody sleeps on it: then it is at once as late as wanted."""

    speed = 1.0

    def __init__(self, now: float = EPOCH) -> None:
        self._start = self._now = now
        self._passed = 0.0
        self._plans: list[tuple[float, Callable[[], None]]] = []

    def now(self) -> float:
        return self._now

    def now_ms(self) -> int:
        return round(self._now * 1000)

    def monotonic(self) -> float:
        return self._passed

    def wall(self, seconds: float, *, at_least: float = 0.0) -> float:
        return max(seconds, at_least)

    def set(self, venue_now: float) -> float:
        change = venue_now - self._now
        self._now = venue_now
        return change

    def at(self, moment: float, action: Callable[[], None]) -> None:
        """Do ``action`` when this clock passes ``moment``."""
        self._plans = sorted([*self._plans, (moment, action)], key=lambda plan: plan[0])

    def advance(self, seconds: float) -> None:
        until = self._now + seconds
        while self._plans and self._plans[0][0] <= until:
            moment, action = self._plans.pop(0)
            self._move(max(moment - self._now, 0.0))
            action()
        self._move(until - self._now)

    def _move(self, seconds: float) -> None:
        self._now += seconds
        self._passed += seconds

    async def sleep(self, seconds: float) -> None:
        self.advance(max(seconds, 0.0))
        await asyncio.sleep(0)

    async def sleep_until(self, moment: float) -> None:
        await self.sleep(moment - self._now)


class FakeHistory:
    """A venue's REST side. ``without`` minutes do not exist, ``open_at`` says what is closed; ``asked`` is a record."""

    def __init__(self, clock: StepClock, instruments: Iterable[Instrument] = ()) -> None:
        self.clock = clock
        self.listed = list(instruments)
        self.errors: list[Exception] = []
        self.without: set[tuple[str, int]] = set()
        self.quiet: set[str] = set()
        self.unknown: set[str] = set()
        self.refused: set[str] = set()
        self.times: list[float] = []
        self.asked: list[tuple[str, int, int, Priority]] = []
        self.in_flight = self.most_in_flight = 0

    async def server_time(self) -> float:
        self._fail()
        return self.times.pop(0) if self.times else self.clock.now()

    async def instruments(self) -> list[Instrument]:
        self._fail()
        return list(self.listed)

    async def candles(self, symbol: str, from_ms: int, to_ms: int, *, priority: Priority) -> list[Candle]:
        self.asked.append((symbol, from_ms, to_ms, priority))
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(0)
            self._fail()
        finally:
            self.in_flight -= 1
        if symbol in self.unknown:
            raise UnknownSymbol(f"{symbol} is not known", reason="unknown_symbol")
        if symbol in self.refused:
            raise Permanent('refused: 400 {"code":-1122,"msg":"Invalid symbol status."}', reason="refused")
        minutes = range(from_ms, to_ms, MINUTE_MS)[:499]
        return [self._row(symbol, open_ms) for open_ms in minutes if self._has(symbol, open_ms)]

    def _has(self, symbol: str, open_ms: int) -> bool:
        return (symbol, open_ms) not in self.without and open_ms + MINUTE_MS <= self.clock.now_ms()

    def _row(self, symbol: str, open_ms: int) -> Candle:
        settled = self.clock.now_ms() - open_ms - MINUTE_MS >= 60_000
        authority = Authority.REST if settled else Authority.STREAM
        trades = 0 if symbol in self.quiet else 7
        return make_candle(symbol, open_ms, trade_count=trades, source="binance_rest", authority=authority)

    def _fail(self) -> None:
        if self.errors:
            raise self.errors.pop(0)


class FakeSink:
    """A database: rows by key, the larger rank stays. ``poison`` keys are refused, also by quarantine if ``vile``."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, int], Candle] = {}
        self.gaps: list[Gap] = []
        self.quarantined: list[tuple[Candle, str]] = []
        self.open_errors: list[Exception] = []
        self.write_errors: list[Exception] = []
        self.poison: set[tuple[str, int]] = set()
        self.vile = False
        self.opened = self.writes = 0
        self.batches: list[int] = []
        self.hold: asyncio.Event | None = None
        """While set, a write waits for it after it has stored its rows: the reply is late."""

    async def open(self) -> None:
        if self.open_errors:
            raise self.open_errors.pop(0)
        self.opened += 1

    async def write(self, candles: Sequence[Candle], gaps: Sequence[Gap]) -> WriteResult:
        self.writes += 1
        await asyncio.sleep(0)
        if self.write_errors:
            raise self.write_errors.pop(0)
        if any(row.key in self.poison for row in candles) or any(
            (gap.symbol, gap.from_ms) in self.poison for gap in gaps
        ):
            raise BadData("a row is unusable", reason="check_violation")
        inserted = sum(row.key not in self.rows for row in candles)
        replaced = 0
        for row in candles:
            known = self.rows.get(row.key)
            if known is None or row.rank > known.rank:
                replaced += known is not None
                self.rows[row.key] = row
        self.gaps += gaps
        self.batches.append(len(candles))
        if self.hold:
            await self.hold.wait()
        return WriteResult(inserted, replaced, len(candles) - inserted - replaced)

    async def quarantine(self, candle: Candle, *, reason: str, detail: str) -> None:
        if self.vile:
            raise BadData("not even here", reason="nul")
        self.quarantined.append((candle, reason))

    async def close(self) -> None:
        self.hold = None


class FakeFinder:
    """Finds the minutes that a ``FakeSink`` does not have."""

    def __init__(self, sink: FakeSink) -> None:
        self.sink = sink
        self.errors: list[Exception] = []
        self.asked: list[tuple[dict[str, int], int]] = []

    async def holes(self, since: Mapping[str, int], until_ms: int) -> list[Gap]:
        self.asked.append((dict(since), until_ms))
        await asyncio.sleep(0)
        if self.errors:
            raise self.errors.pop(0)
        gaps: list[Gap] = []
        for symbol in sorted(since):
            for open_ms in range(since[symbol], until_ms, MINUTE_MS):
                if (symbol, open_ms) in self.sink.rows:
                    continue
                if gaps and (gaps[-1].symbol, gaps[-1].to_ms) == (symbol, open_ms):
                    gaps[-1] = Gap(symbol, gaps[-1].from_ms, open_ms + MINUTE_MS, "missing")
                else:
                    gaps.append(Gap(symbol, open_ms, open_ms + MINUTE_MS, "missing"))
        return gaps


class FakeStream:
    """A live stream that delivers what the test tells it to; records what is asked of it."""

    def __init__(self, on_candle: Callable[[Candle], None] | None = None) -> None:
        self.on_candle = on_candle
        self.symbols: frozenset[str] = frozenset()
        self.resubscribed: list[str] = []
        self.runs = 0
        self.errors: list[Exception] = []

    def set_symbols(self, symbols: Collection[str]) -> None:
        self.symbols = frozenset(symbols)

    def resubscribe(self, symbol: str) -> None:
        self.resubscribed.append(symbol)

    async def run(self) -> None:
        self.runs += 1
        if self.errors:
            raise self.errors.pop(0)
        await asyncio.Event().wait()


def count(metrics: Metrics, name: str, **labels: str) -> float:
    """The value of one series (name without prefix), 0 if nothing was counted; no such metric is an error."""
    family = f"marketd_{name.removesuffix('_total').removesuffix('_count')}"
    if family not in {known.name for known in metrics.registry.collect()}:
        raise LookupError(f"there is no metric {family}")
    return metrics.registry.get_sample_value(f"marketd_{name}", labels) or 0.0


def total(metrics: Metrics, name: str) -> float:
    """The sum over all label values of one series name."""
    samples = (sample for family in metrics.registry.collect() for sample in family.samples)
    return sum(sample.value for sample in samples if sample.name == f"marketd_{name}")
