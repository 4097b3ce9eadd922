"""The exchange's inside, without any transport: its clock, universe, market, faults and counters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple
from typing import Any

from .chain.blocks import BLOCK_MS, Chain, ChainLimits
from .chain.swaps import POOLS, wave
from .clock import SandboxClock
from .faults import Faults
from .market.candles import MINUTE_MS, Kline, candle, delay, price
from .market.metrics import Funding, Metric, available_ms, metric, settlements, slots
from .market.replay import Replay, load
from .market.universe import Instrument, Universe
from .options import SandboxOptions
from .stats import Stats
from .stream.frames import STEPS, Minute

_ETHER = "ETHUSDT"


class Venue:
    """What the exchange knows. Construction reads the files that the options name; raises ``ValueError``."""

    def __init__(self, options: SandboxOptions) -> None:
        self.options = options
        self.clock = SandboxClock(speed=options.speed, start_ms=options.start_ms, anchor=options.anchor)
        self.replay = Replay()
        if options.data_dir is not None:
            self.replay = load(
                options.data_dir,
                pattern=options.data_pattern,
                start_ms=self.clock.start_ms,
                offset_s=options.replay_offset_s,
            )
        self.universe = Universe(options, self.clock.start_ms, self.replay)
        self.lost: dict[str, set[int]] = {}
        """Minutes by symbol whose candles the venue itself lost."""
        self.revisions: dict[tuple[str, int], list[int]] = {}
        """When the archive corrected the candle of (symbol, minute), UTC milliseconds."""
        self.chain = Chain(self.clock, options.seed, self._ether())
        self.chain_limits = ChainLimits()
        self.faults = Faults()
        self.stats = Stats()

    def _ether(self) -> Callable[[int], int]:
        """What an ether costs by block, in 1e-18 dollars: between two minutes of our own market, where there is one."""
        market = self.universe.instruments.get(_ETHER)
        if market is None or _ETHER in self.replay:
            return wave
        traits = market.traits
        scale = int(10 ** (18 - traits.price_decimals))

        def ether(block: int) -> int:
            minute, into = divmod(block * BLOCK_MS, MINUTE_MS)
            before, after = price(traits, minute), price(traits, minute + 1)
            return (before * (MINUTE_MS - into) + after * into) * scale // MINUTE_MS

        return ether

    def kline(self, instrument: Instrument, minute: int) -> Kline | None:
        """The final candle of a minute, or None where the symbol does not trade or a file has no row."""
        if not instrument.trades(minute) or minute in self.lost.get(instrument.symbol, ()):
            return None
        if instrument.symbol in self.replay:
            return self.replay.kline(instrument.symbol, minute)
        return candle(instrument.traits, minute)

    def frames(self, instrument: Instrument, minute: int) -> Minute | None:
        """The frames of a minute; None when nothing trades, so that nothing is pushed."""
        kline = self.kline(instrument, minute)
        if kline is None or not kline.trade_count:
            return None
        tick = 1 if instrument.symbol in self.replay else instrument.traits.tick
        return Minute(instrument.symbol, kline, tick)

    def final_ms(self, instrument: Instrument, minute: int) -> float:
        """When the minute's candle becomes known: its end plus its delay, exchange milliseconds."""
        return (minute + 1) * MINUTE_MS + delay(instrument.traits, minute) * 1000

    def step(self, now_ms: int) -> int:
        """Which quarter second of the open minute it is."""
        return min(now_ms % MINUTE_MS * STEPS // MINUTE_MS, STEPS - 1)

    def truth(self, symbol: str, from_ms: int, to_ms: int) -> list[Kline]:
        """The candles that open in [from_ms, to_ms) and must be in a database by now.

        Closed and final minutes within the symbol's trading periods, quiet ones included (the venue's REST
        has them as flat rows). Raises ``ValueError`` for an unknown symbol.
        """
        instrument = self.universe.find(symbol)
        now = self.clock.now_ms()
        last = min(-(-to_ms // MINUTE_MS), now // MINUTE_MS)
        rows = []
        for minute in instrument.minutes(-(-from_ms // MINUTE_MS), last - 1):
            row = self.kline(instrument, minute)
            if row is not None and self.final_ms(instrument, minute) <= now:
                rows.append(row)
        return rows

    def metric_slots(self, instrument: Instrument, from_ms: int, to_ms: int) -> list[int]:
        """The periods that begin in [from_ms, to_ms) and that REST has by now: starts in slots since 1970."""
        now = self.clock.now_ms()
        found = list(slots(instrument.periods, from_ms, min(to_ms, now)))
        while found and available_ms(instrument.traits, found[-1]) > now:
            found.pop()
        return found

    def funding(self, instrument: Instrument, from_ms: int, to_ms: int) -> list[Funding]:
        """The settlements in [from_ms, to_ms) that have been."""
        until = min(to_ms, self.clock.now_ms() + 1)
        return settlements(instrument.traits, instrument.periods, from_ms, until)

    def metrics_truth(self, symbol: str, from_ms: int, to_ms: int) -> list[Metric]:
        """The metrics that must be in a database by now, their periods beginning in [from_ms, to_ms).

        By REST those of the last thirty days, by the archive all. Raises ``ValueError`` for an unknown symbol.
        """
        instrument = self.universe.find(symbol)
        return [metric(instrument.traits, slot) for slot in self.metric_slots(instrument, from_ms, to_ms)]

    def funding_truth(self, symbol: str, from_ms: int, to_ms: int) -> list[Funding]:
        """The settlements in [from_ms, to_ms) that must be in a database by now; ``ValueError`` as above."""
        return self.funding(self.universe.find(symbol), from_ms, to_ms)

    def swaps_truth(self, pool: str, from_ms: int, to_ms: int) -> list[tuple[Any, ...]]:
        """The swaps of a pool in the blocks of [from_ms, to_ms) that the chain has now, as it is now.

        Block, log index, block hash, amount0, amount1, square root of price, liquidity, tick; integers as text beyond
        64 bits. Raises ``ValueError`` for an unknown pool.
        """
        if pool not in {known.address for known in POOLS}:
            raise ValueError(f"unknown pool: {pool}")
        first, last = -(-from_ms // BLOCK_MS), -(-to_ms // BLOCK_MS) - 1
        return [
            (number, place, name, *(str(value) for value in astuple(moved)))
            for number, place, name, moved in self.chain.truth(pool, first, last)
        ]

    def listing(self) -> list[dict[str, Any]]:
        """Every symbol with its trading periods, times in UTC milliseconds, ends exclusive."""
        return [
            {
                "symbol": name,
                "status": instrument.info["status"],
                "contract_type": instrument.info["contractType"],
                "quote": instrument.info["quoteAsset"],
                "listed": not instrument.gone,
                "sleeper": instrument.traits.sleeper,
                "replayed": name in self.replay,
                "periods": [
                    {
                        "onboard_ms": period.onboard_ms,
                        "from_ms": period.first * MINUTE_MS,
                        "to_ms": None if period.end is None else period.end * MINUTE_MS,
                    }
                    for period in instrument.periods
                ],
            }
            for name, instrument in self.universe.instruments.items()
        ]
