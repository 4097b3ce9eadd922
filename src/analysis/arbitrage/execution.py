"""What an opportunity would have been worth, had somebody acted on it: whole numbers on the chain's side.

Decided at the time of the swap, sent ``time_delay_seconds`` later, filled on the CEX by the first trade from then on,
and on the chain in the first block after it, behind all that was traded there
(docs/adr/0046-arbitrage.md says why, and what is left out).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan, nan

from .terms import BUY_CEX, Strategy
from .v3_math import PoolState, swap_within_range

#: How an attempt ended. Only what is ``filled`` has a profit.
FILLED = "filled"
NO_BLOCK = "no_block"
NO_CEX_TRADE = "no_cex_trade"
NO_BASE_FEE = "no_base_fee"
BEYOND_RANGE = "beyond_range"
STATUSES = (FILLED, NO_BLOCK, NO_CEX_TRADE, NO_BASE_FEE, BEYOND_RANGE)


@dataclass(frozen=True, slots=True)
class Tokens:
    """The pool's two tokens: which one is the base (0 or 1), and the decimals of both."""

    base: int
    decimals0: int
    decimals1: int

    @property
    def base_unit(self) -> int:
        return int(10 ** (self.decimals1 if self.base else self.decimals0))

    @property
    def quote_unit(self) -> int:
        return int(10 ** (self.decimals0 if self.base else self.decimals1))


@dataclass(frozen=True, slots=True)
class Fill:
    """A block, its base fee in wei (None: not known), and the pool behind the last swap of it."""

    block_number: int
    block_ms: int
    base_fee: int | None
    pool: PoolState


@dataclass(frozen=True, slots=True)
class Attempt:
    """How it ended. Money is in the quote asset, a price is of one base; NaN is what did not come about.

    ``cex_markout`` and ``dex_markout`` are what each side was worth at the price ``mark_price`` (that of a trade
    ``markout_seconds`` after the fill), fees included: together they are the profit before gas.
    """

    status: str
    profit: float = nan
    base_amount: float = nan
    cex_price: float = nan
    dex_price: float = nan
    gas_cost: float = nan
    mark_price: float = nan
    cex_markout: float = nan
    dex_markout: float = nan


def attempted(
    direction: int,
    gas_used: float,
    fill: Fill | None,
    cex_price: float,
    mark_price: float,
    tokens: Tokens,
    strategy: Strategy,
) -> Attempt:
    """Act on an opportunity. ``cex_price``, ``mark_price``: of the trades that fill and value it, NaN without one."""
    if fill is None:
        return Attempt(NO_BLOCK)
    if isnan(cex_price):
        return Attempt(NO_CEX_TRADE)
    if fill.base_fee is None:
        return Attempt(NO_BASE_FEE)
    act = _buy_cex if direction == BUY_CEX else _buy_dex
    traded = act(fill.pool, cex_price, tokens, strategy)
    if traded is None:
        return Attempt(BEYOND_RANGE)
    base, paid_cex, got, price = traded
    gas_cost = gas_used * fill.base_fee / 1e18 * cex_price
    invested = strategy.initial_investment
    bought = base * mark_price - invested
    sold = got - base * mark_price
    return Attempt(
        FILLED,
        profit=got - invested - gas_cost,
        base_amount=base,
        cex_price=paid_cex,
        dex_price=price,
        gas_cost=gas_cost,
        mark_price=mark_price,
        cex_markout=bought if direction == BUY_CEX else sold,
        dex_markout=sold if direction == BUY_CEX else bought,
    )


def _buy_cex(
    pool: PoolState, cex_price: float, tokens: Tokens, strategy: Strategy
) -> tuple[float, float, float, float] | None:
    """(base bought, price paid on the CEX, quote got, price in the pool), or None beyond the range."""
    paid = cex_price * (1.0 + strategy.half_spread_rate)
    base = strategy.initial_investment * (1.0 - strategy.binance_fee_rate) / paid
    units = int(base * tokens.base_unit)
    done = swap_within_range(pool, units, sell_token0=tokens.base == 0)
    if not done.whole or units == 0:
        return None
    got = done.amount_out / tokens.quote_unit
    return base, paid, got, got / base


def _buy_dex(
    pool: PoolState, cex_price: float, tokens: Tokens, strategy: Strategy
) -> tuple[float, float, float, float] | None:
    """(base bought, price got on the CEX, quote got, price in the pool), or None beyond the range."""
    units = int(strategy.initial_investment * tokens.quote_unit)
    done = swap_within_range(pool, units, sell_token0=tokens.base == 1)
    if not done.whole or done.amount_out == 0:
        return None
    base = done.amount_out / tokens.base_unit
    received = cex_price * (1.0 - strategy.half_spread_rate)
    got = base * received * (1.0 - strategy.binance_fee_rate)
    return base, received, got, strategy.initial_investment / base
