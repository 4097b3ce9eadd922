"""Follows the head of the chain block by block; a reorg is taken back and replaced in one transaction."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from ...errors import Unavailable
from ...model import Block, Pool, Swap, SwapRange
from ...ports import Clock
from ...ports.chain import ChainSource, SwapSink
from ...telemetry.log import get_logger
from ...telemetry.metrics import Metrics
from .fill import SwapFilling
from .patience import Patience
from .times import first_at
from .together import together

_log = get_logger("uniswap")

POLL_S = 2.0
"""Venue seconds between two looks at the head: a sixth of a block of the main chain."""
BATCH = 16
"""Blocks of one transaction at most, and requests at once."""
REMEMBERED = 1024
"""Blocks whose hashes are known: as deep as a reorg is followed exactly."""


class SwapFollower:
    """Keeps the swaps of some pools complete up to the head of their chain.

    ``run`` ends with an error when something is wrong, and begins anew where the database stands: by what is stored,
    never by what it remembers. ``since`` is the first moment that is wanted (UTC ms, given the present).
    """

    def __init__(
        self,
        source: ChainSource,
        sink: SwapSink,
        clock: Clock,
        metrics: Metrics,
        *,
        pools: Sequence[str],
        confirmations: int,
        since: Callable[[int], int],
        poll: float = POLL_S,
        patience: Patience | None = None,
    ) -> None:
        self.blocks = 0
        """Blocks followed, for the supervisor."""
        self._source, self._sink, self._clock, self._metrics = source, sink, clock, metrics
        self._patience = patience or Patience(source)
        self._filling = SwapFilling(source, sink, metrics, patience=self._patience)
        self._addresses, self._confirmations = pools, confirmations
        self._since, self._poll = since, poll
        self._pools: list[Pool] = []
        self._known: deque[Block] = deque(maxlen=REMEMBERED)

    async def run(self) -> None:
        """Come up to the head and stay there."""
        self._pools = [
            await self._sink.add_pool(await self._source.pool(address)) for address in self._addresses
        ]
        self._known = _linked(await self._sink.blocks(await self._source.chain()))
        await self._reconcile()
        await self._catch_up()
        while True:
            if not await self._step():
                await self._clock.sleep(self._poll)

    async def _reconcile(self) -> None:
        """Take back what was followed on a branch that is none any more, whenever that happened."""
        if self._known and (base := await self._common()) != self._known[-1]:
            await self._store(base, [], [])

    async def _catch_up(self) -> None:
        """Fill every pool up to one settled block, from which all are followed together."""
        head = await self._source.head()
        tip = self._known[-1].number if self._known else -1
        settled = max(0, head.number - self._confirmations)
        wanted_ms = self._since(self._clock.now_ms())
        if tip >= settled and all([await self._reaches(pool, tip, wanted_ms) for pool in self._pools]):
            return
        anchor = await self._patience.header(settled)
        first = min(await first_at(self._source, wanted_ms, anchor), anchor.number)
        for pool in self._pools:
            wanted = SwapRange(first, anchor.number, min(wanted_ms, anchor.ms), anchor.ms)
            done = await self._filling.fill(pool, wanted, _told)
            _log.info(
                "caught_up", msg=f"{pool.address} is stored up to block {anchor.number}", blocks=done.blocks
            )
        await self._store(anchor, [], [])

    async def _reaches(self, pool: Pool, tip: int, wanted_ms: int) -> bool:
        """Whether all is stored from the first moment that is wanted up to ``tip``."""
        return any(
            one.from_block <= tip <= one.to_block and one.from_ms <= wanted_ms
            for one in await self._sink.ranges(pool)
        )

    async def _step(self) -> bool:
        """Go on towards the head; False when it is reached."""
        head, tip = await self._source.head(), self._known[-1]
        shared = min(head.number, tip.number)
        if shared < self._known[0].number:
            raise Unavailable(f"node: its head is block {head.number}, far behind {tip.number}", reason="lag")
        there = head if head.number == shared else await self._patience.header(shared)
        base = tip
        if there.hash != self._known_hash(shared):
            base = await self._common()
        elif head.number <= tip.number:
            return False
        blocks = await self._next(base, head.number)
        if not blocks and base is tip:
            return False
        await self._store(base, blocks, await self._swaps(blocks))
        return blocks[-1].number < head.number if blocks else True

    def _known_hash(self, number: int) -> str:
        return self._known[number - self._known[0].number].hash

    async def _common(self) -> Block:
        """The newest block that is known and still in the chain.

        If none is, as many blocks again below the known ones are taken back, and ``Unavailable`` says so: what is
        missing then is filled like any other hole.
        """
        for block in reversed(self._known):
            if (await self._patience.header(block.number)).hash == block.hash:
                if block != self._known[-1]:
                    self._tell(self._known[-1].number - block.number, "known")
                return block
        oldest = self._known[0]
        self._tell(len(self._known), "deep")
        base = await self._patience.header(max(0, oldest.number - REMEMBERED))
        await self._store(base, [], [])
        raise Unavailable(f"node: a reorg below block {oldest.number}: read again from there", reason="reorg")

    def _tell(self, depth: int, kind: str) -> None:
        self._metrics.chain_reorgs.labels(kind).inc()
        self._metrics.chain_reorg_depth.set(depth)
        _log.warning("reorg", msg=f"the newest {depth} blocks were replaced", depth=depth, kind=kind)

    async def _next(self, base: Block, head: int) -> list[Block]:
        """The blocks after ``base``, each the child of the one before; a batch of them at most."""
        numbers = range(base.number + 1, min(head, base.number + BATCH) + 1)
        found = await together((self._source.block(number) for number in numbers), "chain blocks")
        chain: list[Block] = []
        for block in found:
            if block is None:  # a late backend: what is there is taken, the rest comes
                break
            if block.parent_hash != (chain[-1] if chain else base).hash:
                self._metrics.chain_answers_refused.labels("contradiction").inc()
                if not chain:
                    raise Unavailable("node: the chain changed while it was read", reason="contradiction")
                break
            chain.append(block)
        return chain

    async def _swaps(self, blocks: Sequence[Block]) -> list[Swap]:
        calls = (self._source.swaps_of_block(self._pools, block) for block in blocks)
        each = await together(calls, "chain swaps")
        return [swap for swaps in each for swap in swaps]

    async def _store(self, base: Block, blocks: Sequence[Block], swaps: Sequence[Swap]) -> None:
        """One transaction; what is known here changes after it."""
        kept = [block for block in self._known if block.number < base.number]
        known = _linked([*kept, base, *blocks])
        final = next(
            (block for block in reversed(known) if block.number <= known[-1].number - self._confirmations),
            None,
        )
        written = await self._sink.follow(self._pools, base, blocks, swaps, final=final)
        self._known = known
        self.blocks += len(blocks)
        self._metrics.swap_rows.labels("inserted").inc(written.inserted)
        self._metrics.swap_rows.labels("withdrawn").inc(written.withdrawn)
        self._metrics.swaps_through.set(known[-1].ms / 1000)


async def _told(line: str, share: float) -> None:
    _log.info("filling", msg=line, share=round(share, 3))


def _linked(blocks: Sequence[Block]) -> deque[Block]:
    """The newest of some blocks, as many as are one chain without a gap."""
    found: deque[Block] = deque()
    for block in reversed(blocks[-REMEMBERED:]):
        if found and block.hash != found[0].parent_hash:
            break
        found.appendleft(block)
    return found
