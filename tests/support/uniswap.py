"""The real swaps, and the logs that the chain has of them: encoded by eth_abi, which decodes nothing of ours."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from eth_abi.abi import encode

from src.model import Block, Pool, Swap

_NAME = "WETH-ENS-0x92560C17"
SWAP_TOPIC = "0xc42079f94a6350d7e6235f29174924f928cc2ac818eb64fed8004e115fbcca67"

WETH_ENS = Pool(
    chain="ethereum",
    address="0x92560c178ce069cc014138ed3c2f5221ba71f58a",
    token0="0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2",
    token1="0xc18360217d8f7ab5e7c516566761ea12ce7f9d72",
    symbol0="WETH",
    symbol1="ENS",
    decimals0=18,
    decimals1=18,
    fee=3000,
    tick_spacing=60,
    base=0,
)


def real_rows(folder: Path) -> list[dict[str, str]]:
    """The 63 rows as they are published, all values text."""
    with (folder / "uniswap" / f"{_NAME}_swap_events.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def block_of(row: Mapping[str, str]) -> Block:
    """A header for the row's block; the file has no hashes, so these say the number."""
    number = int(row["block_number"])
    moment = datetime.fromisoformat(row["date"]).replace(tzinfo=UTC)
    return Block(
        number, f"0x{number:064x}", f"0x{number - 1:064x}", int(moment.timestamp()) * 1000, 10**11 + number
    )


def real_swaps(folder: Path) -> Iterator[tuple[dict[str, str], Swap]]:
    """Each row beside what it is as a ``Swap``, converted digit by digit without our decoder."""
    for row in real_rows(folder):
        block = block_of(row)
        sqrt_price = int(row["sqrt_price_x96"])
        yield (
            row,
            Swap(
                chain="ethereum",
                pool=WETH_ENS.address,
                block_number=block.number,
                block_ms=block.ms,
                block_hash=block.hash,
                transaction_hash=f"0x{int(row['id']):064x}",
                transaction_index=int(row["transaction_index"]),
                log_index=int(row["log_index"]),
                sender=row["msg_sender"].lower(),
                recipient=row["recipient"].lower(),
                amount0=int(row["amount0"]),
                amount1=int(row["amount1"]),
                sqrt_price_x96=sqrt_price,
                liquidity=int(row["liquidity"]),
                tick=int(row["tick"]),
                price=sqrt_price**2 / 2**192,
                gas_price=10**11 + int(row["id"]),
                gas_used=120_000 + int(row["id"]),
                base_fee=block.base_fee,
            ),
        )


def log_of(swap: Swap) -> dict[str, Any]:
    """What ``eth_getLogs`` answers of a swap."""
    values = (swap.amount0, swap.amount1, swap.sqrt_price_x96, swap.liquidity, swap.tick)
    return {
        "address": swap.pool,
        "topics": [
            SWAP_TOPIC,
            *(f"0x{one.removeprefix('0x'):0>64}" for one in (swap.sender, swap.recipient)),
        ],
        "data": "0x" + encode(["int256", "int256", "uint160", "uint128", "int24"], values).hex(),
        "blockNumber": hex(swap.block_number),
        "blockHash": swap.block_hash,
        "transactionHash": swap.transaction_hash,
        "transactionIndex": hex(swap.transaction_index),
        "logIndex": hex(swap.log_index),
        "removed": False,
    }


def receipt_of(swap: Swap) -> dict[str, Any]:
    """What ``eth_getTransactionReceipt`` answers, as far as we look."""
    return {
        "transactionHash": swap.transaction_hash,
        "effectiveGasPrice": hex(swap.gas_price),
        "gasUsed": hex(swap.gas_used),
        "logs": [log_of(swap)],
    }
