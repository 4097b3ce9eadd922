"""``BinanceRest`` against the sandbox exchange: real budgets, bans and candles on a fast clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from src.adapters.binance.rest.client import BinanceRest, RestOptions
from src.adapters.rate_limiter import RateLimiter
from src.clock import VenueClock
from src.errors import RateLimited, UnknownSymbol
from src.model import MINUTE_MS, Authority, ContractStatus
from src.ports import Priority
from src.sandbox.options import SandboxOptions
from src.sandbox.server import Sandbox
from src.telemetry.metrics import Metrics


@dataclass
class World:
    sandbox: Sandbox
    clock: VenueClock
    limiter: RateLimiter
    rest: BinanceRest
    metrics: Metrics

    @property
    def minute(self) -> int:
        return self.clock.now_ms() // MINUTE_MS * MINUTE_MS


@asynccontextmanager
async def world(options: SandboxOptions, *, limit: int = 1800) -> AsyncIterator[World]:
    async with Sandbox(options) as sandbox:
        clock, metrics = VenueClock(speed=options.speed), Metrics()
        limiter = RateLimiter(clock, metrics, limit=limit)
        rest = BinanceRest(RestOptions(base_url=sandbox.rest_url), limiter, clock, metrics)
        await rest.open()
        try:
            clock.set(await rest.server_time())
            yield World(sandbox, clock, limiter, rest, metrics)
        finally:
            await rest.close()


async def test_the_clock_of_a_fast_venue_is_adopted() -> None:
    async with world(SandboxOptions(symbols=5, speed=20, start_ms=1_900_000_000_000)) as it:
        before = it.clock.monotonic()
        it.clock.set(await it.rest.server_time())
        # The answer may have been under way for all of the trip or for nothing of it.
        trip = it.clock.monotonic() - before
        assert it.clock.now() == pytest.approx(it.sandbox.now(), abs=max(1.0, trip / 2))
        assert it.sandbox.now() >= 1_900_000_000


async def test_the_universe_has_every_contract_chinese_ones_too() -> None:
    async with world(SandboxOptions(symbols=50)) as it:
        instruments = await it.rest.instruments()
    assert it.metrics.registry.get_sample_value("marketd_symbols_rejected_total") is None
    trading = [instrument for instrument in instruments if instrument.status is ContractStatus.TRADING]
    assert len(trading) >= 50
    assert [instrument for instrument in instruments if not instrument.symbol.isascii()]


async def test_candles_equal_the_truth_in_every_column() -> None:
    async with world(SandboxOptions(symbols=8)) as it:
        symbols = [
            instrument.symbol
            for instrument in await it.rest.instruments()
            if instrument.status is ContractStatus.TRADING and instrument.contract_type == "PERPETUAL"
        ]
        to_ms = it.minute - 2 * MINUTE_MS
        from_ms = to_ms - 120 * MINUTE_MS
        for symbol in symbols[:4] + [symbol for symbol in symbols if not symbol.isascii()]:
            candles = await it.rest.candles(symbol, from_ms, to_ms, priority=Priority.REPAIR)
            truth = it.sandbox.truth(symbol, from_ms, to_ms)
            assert [candle.open_ms for candle in candles] == [kline.open_time for kline in truth]
            assert len(candles) == 120
            assert {candle.authority for candle in candles} == {Authority.REST}
            for candle, kline in zip(candles, truth, strict=True):
                assert candle.values == (
                    float(kline.open), float(kline.high), float(kline.low), float(kline.close),
                    float(kline.volume), float(kline.quote_volume), kline.trade_count,
                    float(kline.taker_buy_volume), float(kline.taker_buy_quote_volume),
                )  # fmt: skip


async def test_an_unknown_symbol_is_told() -> None:
    async with world(SandboxOptions(symbols=5)) as it:
        with pytest.raises(UnknownSymbol):
            await it.rest.candles("NOSUCHUSDT", it.minute - MINUTE_MS, it.minute, priority=Priority.REPAIR)


async def test_the_budget_keeps_the_venue_from_ever_refusing() -> None:
    """More requests than three minutes hold, from many tasks, on a clock that runs fifty times too fast."""
    options = SandboxOptions(symbols=5, speed=50, weight_limit=60)
    async with world(options, limit=45) as it:
        symbol = (await it.rest.instruments())[0].symbol

        async def ask() -> None:
            minute = it.minute
            await it.rest.candles(symbol, minute - 150 * MINUTE_MS, minute, priority=Priority.ROLL_CALL)

        async with asyncio.timeout(60):
            await asyncio.gather(*(ask() for _ in range(75)))
        read = it.metrics.registry.get_sample_value
        assert read("marketd_rest_requests_total", {"endpoint": "klines", "code": "200"}) == 75
        assert read("marketd_rest_requests_total", {"endpoint": "klines", "code": "429"}) == 0
        assert it.sandbox.venue.stats.weight
        assert max(it.sandbox.venue.stats.weight.values()) <= 60


async def test_another_program_on_the_address_is_seen_and_made_room_for() -> None:
    async with world(SandboxOptions(symbols=5)) as it:
        symbol = (await it.rest.instruments())[0].symbol
        it.sandbox.control.spend_weight(1_500)
        await it.rest.candles(symbol, it.minute - MINUTE_MS, it.minute, priority=Priority.REPAIR)
        assert it.limiter.view().used >= 1_500


async def test_a_ban_is_obeyed_to_its_end() -> None:
    async with world(SandboxOptions(symbols=5, speed=50)) as it:
        symbol = (await it.rest.instruments())[0].symbol
        it.sandbox.control.ban(300.0)
        with pytest.raises(RateLimited) as caught:
            await it.rest.candles(symbol, it.minute - MINUTE_MS, it.minute, priority=Priority.REPAIR)
        assert caught.value.retry_after == pytest.approx(300, abs=10)
        before = sum(it.sandbox.venue.stats.weight.values())
        with pytest.raises(RateLimited):
            await it.rest.candles(symbol, it.minute - MINUTE_MS, it.minute, priority=Priority.REPAIR)
        assert sum(it.sandbox.venue.stats.weight.values()) == before
        await it.clock.sleep_until(it.limiter.view().ban_until)
        minute = it.minute
        candles = await it.rest.candles(
            symbol, minute - 9 * MINUTE_MS, minute - 4 * MINUTE_MS, priority=Priority.REPAIR
        )
        assert len(candles) == 5
        assert it.limiter.view().ban_until == 0
