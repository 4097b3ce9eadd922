"""Whether a market and a pool can be compared: that both are of the coin in which gas is paid. Without numpy."""

from __future__ import annotations

from typing import Final

from ...errors import BadData

#: By our word for the chain, the names of the coin that its gas is paid in. Of other chains nobody knows here.
_GAS_COINS: Final = {
    "ethereum": ("ETH",),
    "optimism": ("ETH",),
    "base": ("ETH",),
    "arbitrum": ("ETH",),
    "bsc": ("BNB",),
    "polygon": ("POL", "MATIC"),
}
#: What the name of a market goes on with after its base.
_QUOTES: Final = ("USD", "FDUSD", "BUSD", "TUSD", "DAI", "EUR", "BTC", "ETH")


def check_fit(chain: str, base_symbol: str, market: str) -> None:
    """Gas is valued at the price of the base, and the base has the market's price: raises ``BadData`` (``gas_coin``,
    ``market``) for a pool or a market of another coin."""
    coins = _GAS_COINS.get(chain)
    if coins is None:
        return
    if base_symbol.upper().removeprefix("W") not in coins:
        raise BadData(
            f"pool: it prices {base_symbol}, and gas is paid in {coins[0]} on {chain}, so that nothing could be said of"
            f" profits; name a pool of {coins[0]}",
            reason="gas_coin",
        )
    if not any(_is_market_of(coin, market.upper()) for coin in coins):
        raise BadData(
            f"symbol: {market} is no market of {coins[0]}, which the pool prices; name one, such as {coins[0]}USDT",
            reason="market",
        )


def _is_market_of(coin: str, market: str) -> bool:
    """ETHUSDT is one of ETH, and ETHFIUSDT is not."""
    return market.startswith(coin) and market.removeprefix(coin).startswith(_QUOTES)


def fee_note(stated: float, pool_fee: int) -> str | None:
    """What to tell where the screen is asked for with another fee than the pool takes (``pool_fee`` in millionths)."""
    taken = pool_fee / 1_000_000
    if abs(stated - taken) < 1e-9:
        return None
    return (
        f"uniswap_fee_rate is {stated:g}, and the pool takes {taken:g}: the screen counts what was asked for"
    )
