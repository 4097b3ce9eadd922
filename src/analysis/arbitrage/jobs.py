"""``Analyse``: opportunities between a market and a Uniswap pool, as a screen or acted on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from ..jobs import Context, Kind, Parameters
from .terms import Strategy


class AnalyseParameters(Parameters):
    """Without a batch, "Auto Batch 1" is used or made. ``overwrite`` replaces that batch's rows."""

    batch_id: int | None = Field(default=None, ge=1)
    """The batch that the opportunities are put into; left empty, "Auto Batch 1"."""
    overwrite: bool = False
    """Replace what the batch has."""
    strategy: Strategy = Strategy()
    """What is assumed."""


async def _run(context: Context, parameters: AnalyseParameters) -> Mapping[str, Any]:
    found: Mapping[str, Any] = await context.compute(
        "analysis.arbitrage.compute:compute",
        batch_id=parameters.batch_id,
        overwrite=parameters.overwrite,
        strategy=parameters.strategy.model_dump(mode="json"),
    )
    return found


KIND = Kind(
    name="Analyse",
    parameters=AnalyseParameters,
    run=_run,
    subject=lambda parameters: f"batch {parameters.batch_id or 'auto'}",
    deadline_s=3600.0,
    about="Opportunities between a market and a Uniswap pool: a screen, or acted on (mode execution)",
)
