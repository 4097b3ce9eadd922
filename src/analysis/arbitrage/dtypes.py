"""What goes into the kernel of the screen and what comes out: numpy dtypes, declared here and nowhere else.

Times are UTC milliseconds, prices are of one base asset in the quote asset (as WETH in USDT), on both sides alike.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Records: TypeAlias = npt.NDArray[np.void]

#: A trade of the CEX side, in order of id; the table's other columns are not needed and not read.
PRICED = np.dtype([("ts", "<i8"), ("price", "<f8"), ("quantity", "<f8")])

#: A swap of the DEX side, in order of (block_number, log_index). ``price`` is the pool's after the swap, ``gas_price``
#: is in wei; what is unknown is NaN. ``liquid``: the pool had liquidity at that price.
SWAP = np.dtype(
    [
        ("ts", "<i8"),
        ("block_number", "<i8"),
        ("log_index", "<i8"),
        ("price", "<f8"),
        ("gas_price", "<f8"),
        ("gas_used", "<f8"),
        ("liquid", "?"),
    ],
    align=True,
)

#: A swap and a direction whose profit is above the threshold. ``gas_cost`` is in the quote asset, ``base_amount`` what
#: is bought on one side and sold on the other; ``volatility``, ``window_volume`` and ``window_trades`` tell of the
#: window that ``cex_price`` is the mean of.
OPPORTUNITY = np.dtype(
    [
        ("ts", "<i8"),
        ("block_number", "<i8"),
        ("log_index", "<i8"),
        ("direction", "<i8"),
        ("cex_price", "<f8"),
        ("dex_price", "<f8"),
        ("base_amount", "<f8"),
        ("profit", "<f8"),
        ("gas_used", "<f8"),
        ("gas_cost", "<f8"),
        ("volatility", "<f8"),
        ("window_volume", "<f8"),
        ("window_trades", "<i8"),
    ]
)

#: What became of the swaps, in the order in which the kernel counts them: screened, or why not.
OUTCOMES = ("screened", "no_trades_in_window", "no_liquidity", "no_price", "no_gas")
