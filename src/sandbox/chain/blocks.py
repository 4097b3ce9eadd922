"""A chain with Uniswap v3 pools: a pure function of (seed, branch, block number), and the reorgs that change branches.

A block comes every 12 s of exchange time. Its content depends on nothing but its own hash and the blocks below it, so
that an orphaned block and the one in its place differ, and that the chain reaches back as far as anybody asks.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Final

from ..clock import SandboxClock
from .swaps import POOLS, ChainPool, Moved, move, noisy, wave

BLOCK_MS = 12_000
_STEPS_BACK = 16
"""Every pool that trades has a swap in at least one of so many blocks in a row."""
_KEPT: Final = 8_192
"""Blocks kept made, and digests."""
SWAP_TOPIC = "0xc42079f94a6350d7e6235f29174924f928cc2ac818eb64fed8004e115fbcca67"
TRANSFER_TOPIC = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"


@dataclass(slots=True)
class ChainLimits:
    """How many blocks and logs one ``eth_getLogs`` may be about, and whose words refuse more."""

    blocks: int = 10_000
    results: int = 10_000
    words: str = "infura"


@dataclass(frozen=True, slots=True)
class ChainLog:
    """One log of a block, with the swap that it tells of, if it is one."""

    address: str
    topics: tuple[str, ...]
    data: str
    pool: ChainPool | None
    moved: Moved | None


@dataclass(frozen=True, slots=True)
class ChainTransaction:
    """One transaction; ``first_log`` is the index in the block of its first log."""

    hash: str
    gas_used: int
    tip: int
    first_log: int
    logs: tuple[ChainLog, ...]


@dataclass(frozen=True, slots=True)
class ChainBlock:
    """A whole block of one branch."""

    number: int
    hash: str
    parent_hash: str
    base_fee: int
    transactions: tuple[ChainTransaction, ...]

    @property
    def timestamp(self) -> int:
        """Seconds since 1970."""
        return self.number * BLOCK_MS // 1000

    @property
    def bloom(self) -> int:
        """2048 bits of the addresses and topics of all its logs."""
        return bloom(log for one in self.transactions for log in one.logs)


class Chain:
    """The canonical chain as it is now. ``reorg`` and ``advance`` change it.

    ``price`` is what an ether costs when a block comes, in 1e-18 dollars: a pure function of its number.
    """

    def __init__(self, clock: SandboxClock, seed: int, price: Callable[[int], int] = wave) -> None:
        self._clock, self._seed, self._price = clock, seed, price
        self._extra = 0
        self._branches: list[tuple[int, int]] = [(0, 0)]
        """(first block, salt), in the order in which they came; the last one that reaches a block has it."""
        self._made: OrderedDict[str, ChainBlock] = OrderedDict()
        self.pruned_below = 0
        """Receipts and logs of blocks below it are gone, as on a node that keeps only the newest."""

    @property
    def head(self) -> int:
        """The newest block's number."""
        return self._clock.now_ms() // BLOCK_MS + self._extra

    def advance(self, blocks: int) -> int:
        """Blocks more than the clock made; returns the new head."""
        self._extra += blocks
        return self.head

    def reorg(self, depth: int) -> int:
        """The newest ``depth`` blocks become others; returns the newest block that stays."""
        first = self.head - depth + 1
        self._branches.append((first, len(self._branches)))
        return first - 1

    def hash(self, number: int) -> str:
        """The hash of a block of the canonical chain."""
        salt = next(salt for first, salt in reversed(self._branches) if first <= number)
        return _hash(self._seed, salt, number)

    def number(self, block_hash: str) -> int | None:
        """The block of a hash, None if the chain has none of it (any more)."""
        number = _number_in(block_hash)
        return number if self.hash(number) == block_hash.lower() else None

    def transaction(self, name: str) -> tuple[ChainBlock, int] | None:
        """The block of a transaction and its index there, None if the chain has none of it (any more)."""
        block = self.block(_number_in(name))
        return next(
            ((block, index) for index, one in enumerate(block.transactions) if one.hash == name.lower()), None
        )

    def block(self, number: int) -> ChainBlock:
        """A block of the canonical chain, whole."""
        name = self.hash(number)
        made = self._made.get(name)
        if made is None:
            made = self._make(number, name)
            self._made[name] = made
            if len(self._made) > _KEPT:
                self._made.popitem(last=False)
        return made

    def sqrt_price(self, pool: ChainPool, number: int) -> int:
        """The pool's square root of price after a block; 0 while nobody gave it one."""
        if not pool.share:
            return 0
        for at in range(number, number - _STEPS_BACK - 1, -1):
            if swaps := self._swaps(pool, at):
                return swaps[-1]
        raise AssertionError("every lively pool has a swap in one of 16 blocks")

    def truth(self, pool: str, first: int, last: int) -> Iterator[tuple[int, int, str, Moved]]:
        """The swaps of a pool in blocks [first, last] of the canonical chain: block, log index, hash, what moved."""
        for number in range(first, min(last, self.head) + 1):
            block = self.block(number)
            for one in block.transactions:
                for place, log in enumerate(one.logs, one.first_log):
                    if log.moved is not None and log.address == pool:
                        yield number, place, block.hash, log.moved

    def _swaps(self, pool: ChainPool, number: int) -> list[int]:
        """The square roots after each of the pool's swaps in a block."""
        place = POOLS.index(pool)
        bits = _bits(self.hash(number), place)
        is_due = number % _STEPS_BACK == place
        if not pool.share or not (is_due or (bits & 0xFFFF) < pool.share * 0x10000):
            return []
        count = 1 + (bits >> 16 & 3 == 0)
        price = self._price(number)
        return [pool.sqrt_price(noisy(price, bits >> 32 + 16 * step & 0xFFFF)) for step in range(count)]

    def _make(self, number: int, name: str) -> ChainBlock:
        bits = _bits(name, 255)
        logs: list[ChainLog] = []
        for pool in POOLS:
            before = self.sqrt_price(pool, number - 1)
            for after in self._swaps(pool, number):
                logs.append(_swap_log(pool, move(pool, before, after), bits))
                before = after
        return ChainBlock(
            number,
            name,
            self.hash(number - 1),
            10**10 + bits % 10**10,
            tuple(_transactions(number, name, bits, logs)),
        )


def bloom(logs: Iterable[ChainLog]) -> int:
    """The bits of some logs' addresses and topics, as the protocol sets them."""
    found = 0
    for log in logs:
        for item in (log.address, *log.topics):
            found |= _bloom_bits(item)
    return found


def _transactions(number: int, name: str, bits: int, swaps: list[ChainLog]) -> Iterator[ChainTransaction]:
    """Somebody else's transfer first, then one or two swaps to a transaction, each with the transfer it causes."""
    groups: list[list[ChainLog]] = [[]]
    for place, swap in enumerate(swaps):
        if place == 0 or bits >> place & 1:
            groups.append([])
        groups[-1].append(swap)
    first_log = 0
    for place, group in enumerate(groups):
        own = _bits(name, 128 + place)
        logs = [_transfer_log(own)]
        for swap in group:
            logs += [swap, _transfer_log(own >> 8)]
        yield ChainTransaction(
            _named(own, number), 90_000 + own % 200_000, 10**8 + own % 10**9, first_log, tuple(logs)
        )
        first_log += len(logs)


def _swap_log(pool: ChainPool, moved: Moved, bits: int) -> ChainLog:
    numbers = (moved.amount0, moved.amount1, moved.sqrt_price, moved.liquidity, moved.tick)
    data = "".join(f"{number % (1 << 256):064x}" for number in numbers)
    people = (f"0x{bits >> shift & (1 << 160) - 1:064x}" for shift in (8, 64))
    return ChainLog(pool.address, (SWAP_TOPIC, *people), f"0x{data}", pool, moved)


def _transfer_log(bits: int) -> ChainLog:
    address = f"0x{1 + bits % 64:040x}"
    people = (f"0x{bits >> shift & 0xFF:064x}" for shift in (8, 16))
    return ChainLog(address, (TRANSFER_TOPIC, *people), f"0x{bits % 10**20:064x}", None, None)


@lru_cache(_KEPT)
def _hash(seed: int, salt: int, number: int) -> str:
    digest = sha256(f"chain/{seed}/{salt}/{number}".encode()).digest()
    return _named(int.from_bytes(digest, "big"), number)


def _named(digest: int, number: int) -> str:
    """A hash whose last 16 digits say the block: nothing has to be remembered to find it again."""
    return f"0x{digest >> 64:048x}{number:016x}"


def _number_in(name: str) -> int:
    return int(name[-16:], 16)


@lru_cache(_KEPT)
def _bits(name: str, place: int) -> int:
    return int.from_bytes(sha256(f"{name}/{place}".encode()).digest(), "big")


@lru_cache(_KEPT)
def _bloom_bits(item: str) -> int:
    from eth_hash.auto import keccak  # only who asks for blocks loads it

    digest = keccak(bytes.fromhex(item.removeprefix("0x")))
    found = 0
    for at in (0, 2, 4):
        found |= 1 << (int.from_bytes(digest[at : at + 2], "big") & 2047)
    return found
