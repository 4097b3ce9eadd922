"""``CollectUniswap``: the swaps of one pool between two moments, as far as the chain is settled."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ...model import SwapRange
from ...ports.chain import ChainSource, SwapSink
from ...telemetry.metrics import Metrics
from .fill import SwapFilling, Tell
from .patience import Patience
from .times import first_at


class SwapCollection:
    """``ports.chain.SwapCollector``. The newest ``confirmations`` blocks are left out: they are the follower's."""

    def __init__(self, source: ChainSource, sink: SwapSink, metrics: Metrics, *, confirmations: int) -> None:
        self._source, self._sink = source, sink
        self._filling = SwapFilling(source, sink, metrics)
        self._confirmations = confirmations

    async def collect(self, pool: str, start_ms: int, end_ms: int, tell: Tell) -> dict[str, Any]:
        """See ``ports.chain.SwapCollector``."""
        known = await self._sink.add_pool(await self._source.pool(pool))
        head = await self._source.head()
        settled = await Patience(self._source).header(max(0, head.number - self._confirmations))
        first = await first_at(self._source, start_ms, settled)
        last = await first_at(self._source, end_ms, settled) - 1
        result: dict[str, Any] = {"chain": known.chain, "pool": known.address}
        if first > last:
            return result | {"from_block": None, "to_block": None, "blocks": 0, "inserted": 0, "withdrawn": 0}
        # Up to the settled block its own time is the bound: a later one may have the same.
        to_ms = end_ms if last < settled.number else min(end_ms, settled.ms)
        wanted = SwapRange(first, last, start_ms, max(start_ms, to_ms))
        done = await self._filling.fill(known, wanted, tell)
        return result | {
            "from_block": first,
            "to_block": last,
            "from_ms": wanted.from_ms,
            "to_ms": wanted.to_ms,
            **asdict(done),
        }
