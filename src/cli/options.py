"""What several subcommands share: options with their help, and how their words are read."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated

import typer

from .context import Context

Json = Annotated[bool, typer.Option("--json", help="As one JSON document.")]
SymbolGlobs = Annotated[
    list[str] | None,
    typer.Option("--symbol", metavar="GLOB", help="Only these, such as BTC* or BTCUSDT,ETHUSDT; repeatable."),
]


def _day(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise typer.BadParameter(f"{text}: write it as a UTC day, such as 2026-11-01") from None


FirstDay = Annotated[
    datetime | None,
    typer.Option(
        "--from", metavar="DAY", parser=_day, help="The first UTC day, such as 2026-11-01; default: all."
    ),
]
LastDay = Annotated[
    datetime | None, typer.Option("--to", metavar="DAY", parser=_day, help="The last UTC day, included.")
]
Globs = Annotated[str, typer.Option("--symbols", metavar="GLOBS", help="Only these, such as BTCUSDT,1000*.")]
Until = Annotated[
    str | None, typer.Option("--to", metavar="TIME", help="Up to this day or UTC time. Default: now.")
]


def context_of(ctx: typer.Context) -> Context:
    context = ctx.obj
    assert isinstance(context, Context)  # noqa: S101 - set by the root command, which always runs first
    return context


def days(first: datetime | None, last: datetime | None) -> tuple[date | None, date | None]:
    """``--from`` and ``--to``. Raises ``typer.BadParameter`` where nothing lies between them."""
    if first and last and first > last:
        raise typer.BadParameter(f"--from {first:%Y-%m-%d} is after --to {last:%Y-%m-%d}")
    return first and first.date(), last and last.date()


def split(globs: list[str] | None) -> tuple[str, ...]:
    """Repeated and comma-separated options as one list."""
    return tuple(part.strip() for item in globs or [] for part in item.split(",") if part.strip())
