"""From what a node answers to our values: pure, exact, and strict about shapes.

Numbers come as hexadecimal text (``"0xcf3b2a"``), data as concatenated words of 32 bytes. Whatever is not of the shape
that the contract or the protocol promises raises ``BadData`` and names the field.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ...errors import BadData
from ...model import Block, Pool, Swap
from ...ports.chain import SwapLog

SWAP_TOPIC = "0xc42079f94a6350d7e6235f29174924f928cc2ac818eb64fed8004e115fbcca67"
"""keccak-256 of ``Swap(address,address,int256,int256,uint160,uint128,int24)``."""

_QUANTITY = re.compile(r"0x[0-9a-f]{1,64}", re.IGNORECASE)
_WORDS = re.compile(r"0x(?:[0-9a-f]{64})*", re.IGNORECASE)
_HASH = re.compile(r"0x[0-9a-f]{64}", re.IGNORECASE)
_ADDRESS = re.compile(r"0x[0-9a-f]{40}", re.IGNORECASE)
_BLOOM = re.compile(r"0x[0-9a-f]{512}", re.IGNORECASE)
_WORD = 64
"""Hexadecimal digits of 32 bytes."""

_DOLLARS = frozenset(
    {"USDC", "USDT", "DAI", "USDC.E", "USDBC", "USDT0", "USD₮0", "FDUSD", "PYUSD", "USDS", "BUSD"}
)
"""Tokens in which people state prices: a pool with one of them is priced in it."""

Answer = Mapping[str, Any]


def mapping(value: object, name: str) -> Answer:
    """An object of JSON. Raises ``BadData``."""
    if not isinstance(value, Mapping):
        raise BadData(f"node: {name} is no object", reason="shape")
    return value


def mappings(value: object, name: str) -> list[Answer]:
    """A list of such objects. Raises ``BadData``."""
    if not isinstance(value, list):
        raise BadData(f"node: {name} is no list", reason="shape")
    return [mapping(one, name) for one in value]


def quantity(value: object, name: str) -> int:
    """A number as the protocol writes it. Raises ``BadData``."""
    if not isinstance(value, str) or not _QUANTITY.fullmatch(value):
        raise BadData(f"node: {name} is not a hexadecimal number", reason="shape")
    return int(value, 16)


def block_hash(value: object, name: str) -> str:
    """A hash of 32 bytes, in lower case. Raises ``BadData``."""
    return _text(value, name, _HASH)


def address(value: object, name: str) -> str:
    """An address, in lower case. Raises ``BadData``."""
    return _text(value, name, _ADDRESS)


def words(value: object, count: int, name: str) -> list[int]:
    """``count`` words of 32 bytes as unsigned numbers. Raises ``BadData``."""
    if not isinstance(value, str) or not _WORDS.fullmatch(value) or len(value) != 2 + count * _WORD:
        raise BadData(f"node: {name} is not {count} words of 32 bytes", reason="shape")
    return [int(value[at : at + _WORD], 16) for at in range(2, len(value), _WORD)]


def header(given: object) -> Block:
    """The header of a block. Raises ``BadData``.

    ``{"number":"0xcf3b2a","hash":"0x..","parentHash":"0x..","timestamp":"0x6189b8b1","baseFeePerGas":"0x1f3b9aca00",
    "logsBloom":"0x..(256 bytes)..","transactions":[..],..}``; before London there is no ``baseFeePerGas``.
    """
    answer = mapping(given, "a header")
    fee = answer.get("baseFeePerGas")
    return Block(
        number=quantity(answer.get("number"), "number"),
        hash=block_hash(answer.get("hash"), "hash"),
        parent_hash=block_hash(answer.get("parentHash"), "parentHash"),
        ms=quantity(answer.get("timestamp"), "timestamp") * 1000,
        base_fee=None if fee is None else quantity(fee, "baseFeePerGas"),
        bloom=bloom(answer.get("logsBloom")),
    )


def bloom(value: object) -> int:
    """The 256 bytes of a bloom. Raises ``BadData``."""
    if not isinstance(value, str) or not _BLOOM.fullmatch(value):
        raise BadData("node: logsBloom is not 256 bytes", reason="shape")
    return int(value, 16)


def is_swap(log: Answer) -> bool:
    """True for the log of a Swap event, whichever contract says it."""
    topics = log.get("topics")
    return isinstance(topics, list) and bool(topics) and str(topics[0]).lower() == SWAP_TOPIC


def swap_log(given: object) -> SwapLog:
    """One log as ``eth_getLogs`` gives it, which ``swap`` shows. Raises ``BadData``."""
    log = mapping(given, "a log")
    return SwapLog(
        quantity(log.get("blockNumber"), "blockNumber"),
        quantity(log.get("logIndex"), "logIndex"),
        block_hash(log.get("blockHash"), "blockHash"),
        block_hash(log.get("transactionHash"), "transactionHash"),
        log,
    )


def swap(log: Answer, receipt: Answer, block: Block, pool: Pool) -> Swap:
    """One swap from its log, the receipt of its transaction and the header of its block.

    ``{"address":"0x9256..","topics":["0xc420..",sender,recipient],"data":"0x..","blockNumber":"0xcf32e4","blockHash":
    "0x..","transactionHash":"0x..","transactionIndex":"0xbe","logIndex":"0xbb","removed":false}``. Data are five words:
    amount0 and amount1 (int256), sqrtPriceX96 (uint160), liquidity (uint128), tick (int24).
    Raises ``BadData`` where they contradict each other.
    """
    topics = log.get("topics")
    if not is_swap(log) or not isinstance(topics, list) or len(topics) != 3:
        raise BadData("node: the log is not of a Swap event", reason="shape")
    amount0, amount1, sqrt_price, liquidity, tick = words(log.get("data"), 5, "data of a Swap")
    found = Swap(
        chain=pool.chain,
        pool=address(log.get("address"), "address"),
        block_number=quantity(log.get("blockNumber"), "blockNumber"),
        block_ms=block.ms,
        block_hash=block_hash(log.get("blockHash"), "blockHash"),
        transaction_hash=block_hash(log.get("transactionHash"), "transactionHash"),
        transaction_index=quantity(log.get("transactionIndex"), "transactionIndex"),
        log_index=quantity(log.get("logIndex"), "logIndex"),
        sender=address_word(topics[1], "sender"),
        recipient=address_word(topics[2], "recipient"),
        amount0=_signed(amount0, 256, "amount0"),
        amount1=_signed(amount1, 256, "amount1"),
        sqrt_price_x96=_unsigned(sqrt_price, 160, "sqrtPriceX96"),
        liquidity=_unsigned(liquidity, 128, "liquidity"),
        tick=_signed(tick, 24, "tick"),
        price=_price(pool, sqrt_price),
        gas_price=quantity(receipt.get("effectiveGasPrice"), "effectiveGasPrice"),
        gas_used=quantity(receipt.get("gasUsed"), "gasUsed"),
        base_fee=block.base_fee,
    )
    told = block_hash(receipt.get("transactionHash"), "transactionHash of a receipt")
    if (found.pool, found.block_hash, found.transaction_hash) != (pool.address, block.hash, told):
        raise BadData("node: log, receipt and block are not of one swap", reason="contradiction")
    return found


def pool(chain: str, place: str, call: Callable[[str, str], str]) -> Pool:
    """A pool from the answers of its contract and its tokens'; ``call(contract, name)`` is such an answer.

    Raises ``BadData`` where it does not answer as a Uniswap v3 pool does.
    """
    token0, token1 = (address_word(call(place, name), name) for name in ("token0", "token1"))
    symbol0, symbol1 = (symbol(call(token, "symbol")) for token in (token0, token1))
    (decimals0,), (decimals1,) = (words(call(token, "decimals"), 1, "decimals") for token in (token0, token1))
    (fee,) = words(call(place, "fee"), 1, "fee")
    (spacing,) = words(call(place, "tickSpacing"), 1, "tickSpacing")
    if decimals0 > 255 or decimals1 > 255 or fee >= 1_000_000 or not 0 < spacing <= 16_384:
        raise BadData(f"{place}: is not a Uniswap v3 pool", reason="not_a_pool")
    return Pool(
        chain,
        place,
        token0,
        token1,
        symbol0,
        symbol1,
        decimals0,
        decimals1,
        fee,
        spacing,
        base=base_of(symbol0, symbol1),
    )


def base_of(symbol0: str, symbol1: str) -> int:
    """Which token is priced in the other: a coin in dollars; where both or neither is one, token0 in token1."""
    return 1 if symbol0.upper() in _DOLLARS and symbol1.upper() not in _DOLLARS else 0


def symbol(value: str) -> str:
    """A token's symbol, at most 32 printable characters: a string as the ABI encodes it, or 32 bytes as old ones do."""
    try:
        raw = bytes.fromhex(value.removeprefix("0x"))
    except ValueError:
        raise BadData("node: symbol is not hexadecimal", reason="shape") from None
    if len(raw) == 32:
        text = raw.rstrip(b"\0")
    elif len(raw) >= 64 and int.from_bytes(raw[:32], "big") == 32:
        text = raw[64 : 64 + min(int.from_bytes(raw[32:64], "big"), 256)]
    else:
        raise BadData("node: symbol is neither a string nor 32 bytes", reason="shape")
    return "".join(one for one in text.decode("utf-8", "replace") if one.isprintable())[:32] or "?"


def _price(pool: Pool, sqrt_price: int) -> float:
    if not sqrt_price:
        raise BadData("node: a swap left no price", reason="shape")
    return float(pool.price(sqrt_price))


def _signed(word: int, bits: int, name: str) -> int:
    """A number of fewer bits than its word holds, its sign in all bits above."""
    value = word - (1 << 256) if word >> 255 else word
    if not -(1 << bits - 1) <= value < 1 << bits - 1:
        raise BadData(f"node: {name} is no int{bits}", reason="shape")
    return value


def _unsigned(word: int, bits: int, name: str) -> int:
    if word >> bits:
        raise BadData(f"node: {name} is no uint{bits}", reason="shape")
    return word


def address_word(value: object, name: str) -> str:
    """An address in a word of its own, in lower case. Raises ``BadData``."""
    (word,) = words(value, 1, name)
    return f"0x{_unsigned(word, 160, name):040x}"


def _text(value: object, name: str, shape: re.Pattern[str]) -> str:
    if not isinstance(value, str) or not shape.fullmatch(value):
        raise BadData(f"node: {name} is not of its shape", reason="shape")
    return value.lower()
