"""What an analysis of CEX against DEX assumes: whole numbers and rates, without numpy."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

#: What any transaction costs at least; an estimate below it cannot be meant, and the transaction's own gas is kept.
LEAST_GAS: Final = 21_000

#: The words in ``arbitrage_opportunities.direction``, in the order in which a kernel numbers them.
DIRECTIONS: Final = ("buy_cex_sell_dex", "buy_dex_sell_cex")
BUY_CEX: Final = 0
BUY_DEX: Final = 1

Mode = Literal["screen", "execution"]


class Strategy(BaseModel):
    """The parameters of one analysis. Money is in the quote asset, rates are fractions, times are seconds.

    ``half_spread_rate`` and ``markout_seconds`` matter in ``execution`` mode only: what the CEX side pays beyond the
    price of a trade, and how long after the fill both sides are valued.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    mode: Mode = "screen"
    time_delay_seconds: float = Field(default=3.0, ge=0, le=3600)
    window_seconds: float = Field(default=5.0, ge=0.001, le=3600)
    profit_threshold: float = 0.0
    initial_investment: float = Field(default=10_000.0, gt=0)
    binance_fee_rate: float = Field(default=0.001, ge=0, lt=1)
    uniswap_fee_rate: float = Field(default=0.0005, ge=0, lt=1)
    estimated_gas_used: int = Field(default=0, ge=0)
    half_spread_rate: float = Field(default=0.0001, ge=0, lt=1)
    markout_seconds: float = Field(default=60.0, ge=0, le=3600)

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
