"""The task ``CollectUniswap``: the swaps of one pool between two moments, from the chain's node."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any, Self

from pydantic import AwareDatetime, Field, field_validator, model_validator

from ..ports.chain import SwapCollector
from .jobs import Context, Kind, Parameters

_DEADLINE_S = 12 * 3600.0
"""A year of a busy pool is some three million requests: what is not done by then stays, and the next task goes on."""


class CollectSwapsParameters(Parameters):
    """``start_ts`` and ``end_ts`` are moments with their zone, ``2026-11-01T00:00:00Z``; the end is not included.

    What is younger than the chain is settled is left out: the result says how far it reached.
    """

    pool_address: str = Field(pattern=r"^0x[0-9a-fA-F]{40}$")
    """The contract of the pool, 0x and forty hexadecimal digits."""
    start_ts: AwareDatetime
    """From when on, with its zone: 2026-11-01T00:00:00Z."""
    end_ts: AwareDatetime
    """Until when, not included; what the chain has not settled yet is left out."""

    @field_validator("pool_address")
    @classmethod
    def _lower(cls, value: str) -> str:
        return value.lower()

    @model_validator(mode="after")
    def _order(self) -> Self:
        if self.start_ts >= self.end_ts:
            raise ValueError("start_ts must be before end_ts")
        return self


def kind(source: SwapCollector) -> Kind[CollectSwapsParameters]:
    """The kind of task, with whoever asks the node and stores."""
    return Kind(
        "CollectUniswap",
        CollectSwapsParameters,
        partial(_run, source),
        lambda asked: asked.pool_address,
        deadline_s=_DEADLINE_S,
        about="stores the swaps of a Uniswap v3 pool between two moments",
    )


async def _run(source: SwapCollector, context: Context, asked: CollectSwapsParameters) -> Mapping[str, Any]:
    return await source.collect(asked.pool_address, _ms(asked.start_ts), _ms(asked.end_ts), context.tell)


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
