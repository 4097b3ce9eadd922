"""A market and two pools for seventy minutes around a midnight, stored as the collectors store them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from math import isqrt, log
from typing import Any

from src.adapters.timescale.copying.tables import DatabaseTables
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.sessions.shared import SharedSession
from src.adapters.timescale.swap_store import SwapStore
from src.adapters.timescale.trades.store import TradeStore
from src.analysis.arbitrage.v3_math import sqrt_ratio_at_tick
from src.model import BlockHeader, Pool, Swap, SwapRange, Trade

MIDNIGHT_MS = 1_760_054_400_000
START_MS = MIDNIGHT_MS - 300_000
END_MS = MIDNIGHT_MS + 3_900_000
SYMBOL = "ETHUSDT"
_BLOCK_MS = 12_000
_FIRST_BLOCK = 1_000

#: The base is the second token and has more decimals; the other way round in SMALL.
POOL = Pool(
    "ethereum", "0x" + "a" * 40, "0x" + "1" * 40, "0x" + "2" * 40, "USDC", "WETH", 6, 18, 500, 10, base=1
)
SMALL = Pool(
    "ethereum", "0x" + "b" * 40, "0x" + "2" * 40, "0x" + "3" * 40, "WETH", "USDT", 18, 6, 3_000, 60, base=0
)


@dataclass(frozen=True, slots=True)
class World:
    """What is stored."""

    url: str
    trades: list[Trade]
    swaps: dict[str, list[Swap]]
    headers: list[BlockHeader]

    @contextmanager
    def tables(self) -> Iterator[DatabaseTables]:
        tables = DatabaseTables(DatabaseOptions(self.url))
        try:
            yield tables
        finally:
            tables.close()

    def run(self, compute: Any, **arguments: Any) -> dict[str, Any]:
        """What a kernel function answers, here and not in a process of its own."""
        with self.tables() as tables:
            found: dict[str, Any] = compute(tables=tables, note=lambda text, share=None: None, **arguments)
            return found


async def stored_world(url: str, *, seed: int = 4) -> World:
    """A trade every 1.6 s on average, some stamped a little early; swaps in most blocks, the last minute not final."""
    chance = random.Random(seed)
    trades = _trades(chance)
    swaps = {pool.address: _swaps(pool, chance) for pool in (POOL, SMALL)}
    spot = SharedSession(DatabaseOptions(url, exchange="binance_spot"), purpose="trades")
    market = TradeStore(spot)
    half = len(trades) // 2
    for part in (trades[half:], trades[:half]):  # as a hole that is filled later: not in the order of ids
        await market.write(part)
    chain = SwapStore(SharedSession(DatabaseOptions(url), purpose="swaps"))
    last = (END_MS - START_MS) // _BLOCK_MS
    covered = SwapRange(
        _FIRST_BLOCK, _FIRST_BLOCK + last, START_MS, END_MS, _FIRST_BLOCK + last, END_MS - 5 * _BLOCK_MS
    )
    headers = _headers(last + 1)
    for pool in (POOL, SMALL):
        await chain.add_pool(pool)
        await chain.fill(pool, swaps[pool.address], covered, headers=headers)
    await market.close()
    await chain.close()
    return World(url, trades, swaps, headers)


def _trades(chance: random.Random) -> list[Trade]:
    made: list[Trade] = []
    price, now = 2_000.0, START_MS
    while (now := now + chance.choice([0, 0, 40, 700, 1_900, 7_000])) < END_MS:
        price = round(price * (1 + chance.gauss(0, 0.0002)), 2)
        early = chance.choice([0] * 9 + [30])
        quantity = round(chance.expovariate(2), 4) + 0.0001
        made.append(Trade(SYMBOL, 50 + len(made), now - early, price, quantity, chance.random() < 0.5))
    return made


def _headers(count: int) -> list[BlockHeader]:
    return [
        BlockHeader(_FIRST_BLOCK + place, START_MS + place * _BLOCK_MS, _base_fee(_FIRST_BLOCK + place))
        for place in range(count)
    ]


def _base_fee(number: int) -> int | None:
    return None if number % 10 == 7 else 10**9 * (1 + number * 7919 % 29)


def _swaps(pool: Pool, chance: random.Random) -> list[Swap]:
    made: list[Swap] = []
    price = 2_000.0
    for place in range((END_MS - START_MS) // _BLOCK_MS):
        for log_index in range(chance.choice([0, 1, 1, 2, 3])):
            price *= 1 + chance.gauss(0, 0.002)
            number, when = _FIRST_BLOCK + place, START_MS + place * _BLOCK_MS
            made.append(_swap(pool, price, number, when, 3 * log_index, chance))
    return made


def _swap(pool: Pool, price: float, number: int, when: int, log_index: int, chance: random.Random) -> Swap:
    root = root_of(pool, price)
    units = (int(chance.uniform(0.1, 3) * 10**18), int(chance.uniform(200, 6_000) * 10**6))
    amounts = (units[1], -units[0]) if pool.base == 1 else (-units[0], units[1])
    return Swap(
        pool.chain,
        pool.address,
        number,
        when,
        f"0x{number:064x}",
        f"0x{number * 100 + log_index:064x}",
        log_index,
        log_index,
        "0x" + "5" * 40,
        "0x" + "6" * 40,
        *amounts,
        root,
        chance.choice([0, *[10**19] * 8, 10**13]),
        tick_of(root),
        float(pool.price(root)),
        gas_price=chance.randrange(10**9, 40 * 10**9),
        gas_used=chance.randrange(90_000, 300_000),
        base_fee=_base_fee(number),
    )


def root_of(pool: Pool, price: float) -> int:
    """sqrtPriceX96 at which a whole base token costs ``price``."""
    scale = Fraction(10**pool.decimals1, 10**pool.decimals0)
    ratio = (Fraction(price) if pool.base == 0 else 1 / Fraction(price)) * scale
    return isqrt(ratio.numerator * 2**192 // ratio.denominator)


def tick_of(root: int) -> int:
    """The last tick that is not above the price."""
    tick = round(2 * log(Fraction(root, 2**96)) / log(1.0001)) + 1
    while sqrt_ratio_at_tick(tick) > root:
        tick -= 1
    return tick


def iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat()
