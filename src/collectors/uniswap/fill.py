"""Fills ranges of settled blocks: in pieces, each read until two readings agree, each stored with that it is whole."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ...errors import Permanent, TooWide, Unavailable
from ...model import BlockHeader, Pool, Swap, SwapRange
from ...ports.chain import ChainSource, SwapLog, SwapSink
from ...telemetry.log import get_logger
from ...telemetry.metrics import Metrics
from .continuity import doubtful
from .patience import Patience
from .ranges import Blocks, Width, missing
from .together import together

_log = get_logger("uniswap")

WIDEST = 10_000
"""Blocks asked for at once where nobody refuses it: what most providers take."""
FIRST_WIDTH = 500
"""Blocks to begin with, so that a busy pool's first answer is no larger than the others."""
MOST_SWAPS = 500
"""Swaps of one piece, give or take the last answer: a short transaction, and what the loop is held up by."""
_LOOKED_AT = 512
"""Blocks between two swaps that are looked at one by one where arithmetic does not prove that they follow."""
_TOGETHER = 16
_READINGS = 8
"""Readings of one piece in which two in a row must agree and none know of less."""

Tell = Callable[[str, float], Awaitable[None]]
"""Progress: one line, and the share done."""


async def _untold(line: str, share: float) -> None:
    """For whoever does not want to know."""


@dataclass(slots=True)
class Filled:
    """What a filling did."""

    blocks: int = 0
    inserted: int = 0
    withdrawn: int = 0


class SwapFilling:
    """Stores what is missing of a pool in a range of blocks. The pieces are read one after the other.

    Raises ``Retryable`` when the node stays away or does not agree with itself, ``Permanent`` when it refuses or has
    no logs so old; what was stored until then stays, and the next filling goes on from there.
    """

    def __init__(
        self,
        source: ChainSource,
        sink: SwapSink,
        metrics: Metrics,
        *,
        patience: Patience | None = None,
        widest: int = WIDEST,
        first_width: int = FIRST_WIDTH,
    ) -> None:
        self._source, self._sink, self._metrics = source, sink, metrics
        self._width = Width(widest, full=MOST_SWAPS, first=first_width)
        self._patience = patience or Patience(source)
        self._before: Swap | None = None
        """The last swap of the pieces before the present one, as far as they are joined."""
        self._start = 0
        """The first block of those pieces."""

    async def fill(self, pool: Pool, wanted: SwapRange, tell: Tell = _untold) -> Filled:
        """Store every swap of ``wanted``, whose blocks are settled and whose times hold for its two ends."""
        done = Filled()
        left = missing(wanted.from_block, wanted.to_block, await self._sink.ranges(pool))
        total = sum(last - first + 1 for first, last in left)
        if left and not await self._patience(lambda: self._source.keeps(left[0][0])):
            raise Permanent(
                f"node: it has no logs of block {left[0][0]} any more; point ETH_RPC_URL at an archive node",
                reason="pruned",
            )
        for first, last in left:
            at, self._start, self._before = first, first, None
            while at <= last:
                at = await self._piece(pool, wanted, (at, last), done) + 1
                share = done.blocks / total
                await tell(f"{pool.address}: {done.blocks} of {total} blocks, {done.inserted} swaps", share)
        return done

    async def _piece(self, pool: Pool, wanted: SwapRange, left: Blocks, done: Filled) -> int:
        """Store the next piece of ``left``; returns its last block."""
        first = left[0]
        last, logs = await self._logs(pool, left)
        from_ms, to_ms = wanted.from_ms, wanted.to_ms
        if first > wanted.from_block:
            from_ms = (await self._patience.header(first)).ms
        if last < wanted.to_block:
            to_ms = (await self._patience.header(last)).ms
        covered = SwapRange(first, last, from_ms, to_ms, last, to_ms)
        orphans = await self._orphans(pool, covered, logs)
        swaps = await self._proved(
            pool, await self._patience(lambda: self._source.swaps(pool, logs)), left, last
        )
        headers = await self._headers(pool.chain, covered, swaps)
        written = await self._sink.fill(pool, swaps, covered, headers=headers, orphans=orphans)
        done.blocks += last - first + 1
        done.inserted += written.inserted
        done.withdrawn += written.withdrawn
        self._metrics.swap_rows.labels("inserted").inc(written.inserted)
        self._metrics.swap_rows.labels("withdrawn").inc(written.withdrawn)
        return last

    async def _logs(self, pool: Pool, left: Blocks) -> tuple[int, list[SwapLog]]:
        """The logs of the widest piece of ``left`` that the node answers, read until two readings agree."""
        first = left[0]
        while True:
            last = min(left[1], first + self._width.blocks - 1)
            asked = last - first + 1
            try:
                logs = await self._agreed(pool, first, last)
            except TooWide as error:
                if not self._width.refused(asked):
                    raise
                _log.info("narrower", msg=str(error), asked=asked, blocks=self._width.blocks)
                continue
            self._width.answered(asked, len(logs))
            if len(logs) <= 2 * MOST_SWAPS or asked == 1:
                return last, logs

    async def _agreed(self, pool: Pool, first: int, last: int) -> list[SwapLog]:
        """Behind a balancer some backends lack the newest logs, and say nothing of it: one reading proves nothing."""
        seen: set[tuple[int, int, str]] = set()
        before: set[tuple[int, int, str]] | None = None
        for _ in range(_READINGS):
            logs = await self._patience(lambda: self._source.logs(pool, first, last))
            keys = {log.key for log in logs}
            seen |= keys
            if keys == before == seen:
                return logs
            if before is not None:
                self._metrics.chain_answers_refused.labels("skipped").inc()
            before = keys
        raise Unavailable(
            f"node: {_READINGS} readings of blocks {first} to {last} do not agree", reason="skipped"
        )

    async def _proved(self, pool: Pool, swaps: list[Swap], left: Blocks, last: int) -> list[Swap]:
        """The swaps with those that every reading left out, found where one does not continue the one before."""
        stretches = doubtful(self._before, swaps)
        if self._before is None and swaps:  # nothing came before that would show it
            stretches.insert(0, (self._start, swaps[0].block_number))
        if last == left[1]:  # nothing comes after
            newest = swaps[-1] if swaps else self._before
            stretches.append((self._start if newest is None else newest.block_number, last))
        found = {swap.key: swap for swap in swaps}
        for first, end in stretches:
            if end - first >= _LOOKED_AT:
                self._metrics.swap_stretches_unproved.inc()
                continue
            for start in range(first, end + 1, _TOGETHER):
                numbers = range(start, min(start + _TOGETHER - 1, end) + 1)
                seen = await together((self._block_swaps(pool, number) for number in numbers), "chain blocks")
                found |= {swap.key: swap for each in seen for swap in each}
        known, after = {swap.key for swap in swaps}, self._before.key if self._before else (-1, -1)
        if left_out := sum(key not in known and key > after for key in found):
            self._metrics.chain_answers_refused.labels("skipped").inc()
            _log.warning("skipped_logs", msg=f"the node left out {left_out} swaps of {pool.address}")
        proved = [found[key] for key in sorted(found)]
        self._before = proved[-1] if proved else self._before
        return proved

    async def _headers(self, chain: str, covered: SwapRange, swaps: list[Swap]) -> list[BlockHeader]:
        """Of every block of ``covered`` that is not stored yet; those with a swap are known by it."""
        found = {
            swap.block_number: BlockHeader(swap.block_number, swap.block_ms, swap.base_fee)
            for swap in swaps
            if covered.from_block <= swap.block_number <= covered.to_block
        }
        stored = await self._sink.known_headers(chain, covered)
        asked = [
            number
            for number in range(covered.from_block, covered.to_block + 1)
            if number not in found and number not in stored
        ]
        for start in range(0, len(asked), _TOGETHER):
            some = asked[start : start + _TOGETHER]
            for block in await together((self._patience.header(number) for number in some), "chain blocks"):
                found[block.number] = BlockHeader(block.number, block.ms, block.base_fee)
        return [found[number] for number in sorted(found)]

    async def _block_swaps(self, pool: Pool, number: int) -> list[Swap]:
        async def read() -> list[Swap]:
            return await self._source.swaps_of_block([pool], await self._patience.header(number))

        return await self._patience(read)

    async def _orphans(self, pool: Pool, covered: SwapRange, logs: list[SwapLog]) -> set[str]:
        """Hashes of blocks whose stored swaps the chain has no more. Raises if it is the node that has them no more."""
        told = {log.key for log in logs}
        lost = [key for key in await self._sink.stored(pool, covered) if key not in told]
        orphans: set[str] = set()
        for number, _, name in lost:
            if name in orphans:
                continue
            if (await self._patience.header(number)).hash == name:
                self._metrics.chain_answers_refused.labels("skipped").inc()
                raise Unavailable(
                    f"node: it leaves out swaps of block {number} that we have", reason="skipped"
                )
            orphans.add(name)
        return orphans
