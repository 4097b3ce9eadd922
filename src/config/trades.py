"""Settings of trades: of which symbols, since when, and from where."""

from __future__ import annotations

from . import checks
from .chain import ChainSettings
from .fields import setting


class TradeSettings(ChainSettings):
    """What ``--trades`` and the task CollectBinance read."""

    trade_symbols: checks.Names = setting(
        (),
        "Futures whose trades are kept: live, over REST and from the archive; with some set, --all does so too."
        " A busy symbol has a million trades a day.",
        group="Trades",
        accepts="symbols, comma-separated, such as BTCUSDT,ETHUSDT",
    )
    spot_trade_symbols: checks.Names = setting(
        (),
        "Spot symbols whose trades are kept, over REST and from the archive.",
        group="Trades",
        accepts="symbols, comma-separated, such as ETHUSDT",
    )
    trades_from: checks.Since = setting(
        "1d",
        "How far back --trades fills them by itself.",
        group="Trades",
        accepts="a number of days such as 1d, or a date such as 2026-01-01",
    )
    collect_dir: str | None = setting(
        None,
        "Where the task CollectBinance looks for files of trades before it asks the archive.",
        group="Trades",
        accepts="a folder with files such as ETHUSDT-aggTrades-2026-11-25.zip, or .csv",
    )
    binance_spot_rest_url: checks.RestUrl = setting(
        "https://api.binance.com",
        "The REST address of the venue's spot market.",
        group="Trades",
        accepts="an https:// URL, or http:// on loopback",
    )

    @property
    def collects_trades(self) -> bool:
        """Whether there is anything for ``--trades`` to do."""
        return bool(self.trade_symbols or self.spot_trade_symbols)
