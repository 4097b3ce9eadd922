"""``marketd plot``: a picture that a person can judge. Options and help; see ``general``, the work is in ``..plot``."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ..options import context_of

_TIMES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"]
Symbol = Annotated[str, typer.Argument(metavar="SYMBOL", help="Such as BTCUSDT.")]
Out = Annotated[Path, typer.Option("--out", metavar="FILE", help="Where the PNG goes; replaced if there.")]
At = Annotated[
    datetime | None,
    typer.Option(
        "--at",
        metavar="TIME",
        formats=_TIMES,
        help="As it was known then, UTC. Default: the newest.",
    ),
]
Bars = Annotated[int, typer.Option("--bars", metavar="N", min=20, max=2000, help="How many bars to draw.")]


class Timeframe(StrEnum):
    """The bars that are kept."""

    m5 = "5m"
    m15 = "15m"
    h1 = "1h"
    h4 = "4h"
    d1 = "1d"


class Interval(StrEnum):
    """The price series that are made."""

    second = "second"
    minute = "minute"
    hour = "hour"


Frame = Annotated[Timeframe, typer.Option("--timeframe", help="Which bars.")]


def application() -> typer.Typer:
    """The group ``plot``; another picture is a function more, and its name here."""
    app = typer.Typer(help="Draw what is stored, as a PNG.", no_args_is_help=True)
    for command in (levels, bars, arbitrage):
        app.command(command.__name__)(command)
    return app


def levels(
    ctx: typer.Context,
    symbol: Symbol,
    out: Out,
    timeframe: Frame = Timeframe.h1,
    count: Bars = 400,
    at: At = None,
) -> None:
    """Draw the best levels of support and resistance over the bars.

    Those that were known at a time, with --at; how far they held can be seen with a later one. Needs the task Levels
    to have run for the symbol.
    """
    from ..plot.command import run
    from ..plot.levels import LevelPicture

    picture = LevelPicture(symbol.upper(), timeframe.value, count, _utc_ms(at))
    raise typer.Exit(run(context_of(ctx), picture.draw, out))


def bars(
    ctx: typer.Context,
    symbol: Symbol,
    out: Out,
    timeframe: Frame = Timeframe.h1,
    count: Bars = 200,
    at: At = None,
) -> None:
    """Draw bars as candlesticks, with their volume."""
    from ..plot.bars import BarPicture
    from ..plot.command import run

    picture = BarPicture(symbol.upper(), timeframe.value, count, _utc_ms(at))
    raise typer.Exit(run(context_of(ctx), picture.draw, out))


def arbitrage(
    ctx: typer.Context,
    symbol: Symbol,
    out: Out,
    batch: Annotated[
        int | None, typer.Option("--batch", metavar="ID", help="Default: the newest that has any.")
    ] = None,
    interval: Annotated[Interval, typer.Option("--interval", help="Which price series.")] = Interval.minute,
    since: Annotated[
        datetime | None, typer.Option("--from", metavar="TIME", formats=_TIMES, help="UTC.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option("--to", metavar="TIME", formats=_TIMES, help="UTC.")
    ] = None,
) -> None:
    """Draw the prices of a market and a pool, and what the task Analyse found between them.

    The lines need the task ProcessPrices to have run for the time.
    """
    from ..plot.arbitrage import ArbitragePicture
    from ..plot.command import run

    picture = ArbitragePicture(symbol.upper(), batch, interval.value, _utc(since), _utc(until))
    raise typer.Exit(run(context_of(ctx), picture.draw, out))


def _utc(time: datetime | None) -> datetime | None:
    return None if time is None else time.replace(tzinfo=UTC)


def _utc_ms(time: datetime | None) -> int | None:
    return None if time is None else int(time.replace(tzinfo=UTC).timestamp() * 1000)
