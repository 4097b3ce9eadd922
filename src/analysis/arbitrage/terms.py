"""What an analysis of CEX against DEX assumes: whole numbers and rates, without numpy."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

#: What any transaction costs at least; an estimate below it cannot be meant, and the transaction's own gas is kept.
LEAST_GAS: Final = 21_000

#: The words in ``arbitrage_opportunities.direction``, in the order in which a kernel numbers them.
DIRECTIONS: Final = ("buy_cex_sell_dex", "buy_dex_sell_cex")
BUY_CEX: Final = 0
BUY_DEX: Final = 1

Mode = Literal["screen", "execution"]
Exchange = Literal["binance_spot", "binance_futures_um"]
#: A moment; one without a time zone is UTC.
Moment = Annotated[
    datetime, AfterValidator(lambda when: when if when.tzinfo is not None else when.replace(tzinfo=UTC))
]

#: What every report of the mode begins with.
ABOUT: Final[dict[Mode, str]] = {
    "screen": "A screen: it says where the two prices were apart, at the pool's price for any size, without spread, "
    "competition or a block to wait for. It does not say what could have been made; mode 'execution' comes nearer.",
    "execution": "Attempts: decided by the screen, filled after the delay by exact pool arithmetic within one tick "
    "spacing. Each stands alone: those that meet in one block could not all be made. Left out are failed transactions, "
    "competition for the block, what a place in it costs, and the depth of the CEX beyond half the spread.",
}


class Strategy(BaseModel):
    """The parameters of one analysis. Money is in the quote asset, rates are fractions, times are seconds.

    ``half_spread_rate`` and ``markout_seconds`` matter in ``execution`` mode only: what the CEX side pays beyond the
    price of a trade, and how long after the fill both sides are valued. ``start`` and ``end`` bound the swaps' block
    times, [start, end); without them it is all that is known whole. Symbol and pool may be left out where one is
    stored.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    mode: Mode = "screen"
    """screen compares the two prices; execution acts on them in exact pool arithmetic."""
    time_delay_seconds: float = Field(default=3.0, ge=0, le=3600)
    """In mode screen: how long before the block the exchange's price is taken; in execution: from seeing to acting."""
    window_seconds: float = Field(default=5.0, ge=0.001, le=3600)
    """How far from that moment a trade of the exchange may be to stand for its price."""
    profit_threshold: float = 0.0
    """Less than this, in the quote asset, is no opportunity."""
    initial_investment: float = Field(default=10_000.0, gt=0)
    """What each opportunity is tried with, in the quote asset."""
    binance_fee_rate: float = Field(default=0.001, ge=0, lt=1)
    """The exchange's fee, a fraction: 0.001 is 0.1 %."""
    uniswap_fee_rate: float = Field(default=0.0005, ge=0, lt=1)
    """The pool's fee, a fraction."""
    estimated_gas_used: int = Field(default=0, ge=0)
    """Gas of a swap; 0 takes that of the swap that is stored."""
    half_spread_rate: float = Field(default=0.0001, ge=0, lt=1)
    """In mode execution: what the exchange's side pays beyond the price of a trade, a fraction."""
    markout_seconds: float = Field(default=60.0, ge=0, le=3600)
    """In mode execution: how long after the fill both sides are valued."""
    exchange: Exchange = "binance_spot"
    """Whose trades are the one side."""
    symbol: str | None = None
    """Of the exchange; may be left empty where one is stored."""
    chain: str | None = None
    """Of the pool; may be left empty where one is stored."""
    pool: str | None = None
    """The pool's contract; may be left empty where one is stored."""
    start: Moment | None = None
    """Block times from here on: 2026-11-01. Left empty, all that is known whole."""
    end: Moment | None = None
    """Until here, not included."""

    @model_validator(mode="after")
    def _in_order(self) -> Strategy:
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise ValueError("start: it must be before end")
        return self

    @property
    def delay_ms(self) -> int:
        return round(self.time_delay_seconds * 1000)

    @property
    def window_ms(self) -> int:
        return round(self.window_seconds * 1000)

    @property
    def markout_ms(self) -> int:
        return round(self.markout_seconds * 1000)

    @property
    def gas_estimate(self) -> int:
        """What replaces the gas of every transaction, or -1: each keeps its own."""
        return self.estimated_gas_used if self.estimated_gas_used >= LEAST_GAS else -1

    @property
    def gas_ignored(self) -> str | None:
        """Why an estimate that was given is not used: a line for the log."""
        if self.estimated_gas_used == 0 or self.gas_estimate >= 0:
            return None
        return (
            f"estimated_gas_used {self.estimated_gas_used} is ignored: no transaction takes less than {LEAST_GAS}; "
            "each swap keeps the gas of its own transaction"
        )
