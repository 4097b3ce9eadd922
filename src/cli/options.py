"""What several subcommands share: options with their help, and how their words are read."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from .context import Context

Json = Annotated[bool, typer.Option("--json", help="As one JSON document.")]
SymbolGlobs = Annotated[
    list[str] | None,
    typer.Option("--symbol", metavar="GLOB", help="Only these, such as BTC* or BTCUSDT,ETHUSDT; repeatable."),
]
FirstDay = Annotated[
    datetime | None,
    typer.Option(
        "--from",
        metavar="DAY",
        formats=["%Y-%m-%d"],
        help="The first UTC day, such as 2026-11-01; default: all.",
    ),
]
LastDay = Annotated[
    datetime | None,
    typer.Option("--to", metavar="DAY", formats=["%Y-%m-%d"], help="The last UTC day, included."),
]
Globs = Annotated[str, typer.Option("--symbols", metavar="GLOBS", help="Only these, such as BTCUSDT,1000*.")]
Until = Annotated[
    str | None, typer.Option("--to", metavar="TIME", help="Up to this day or UTC time. Default: now.")
]


def context_of(ctx: typer.Context) -> Context:
    context = ctx.obj
    assert isinstance(context, Context)  # noqa: S101 - set by the root command, which always runs first
    return context


def split(globs: list[str] | None) -> tuple[str, ...]:
    """Repeated and comma-separated options as one list."""
    return tuple(part.strip() for item in globs or [] for part in item.split(",") if part.strip())
