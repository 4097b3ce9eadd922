"""The subcommands: options and help. The work is in the module of the same name, imported when it runs."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from ..model import Dataset
from .context import Context

Json = Annotated[bool, typer.Option("--json", help="As one JSON document.")]


class Example(StrEnum):
    """The forms in which the settings can be printed."""

    env = "env"
    yaml = "yaml"
    markdown = "markdown"


class FillSource(StrEnum):
    """Where missing candles may come from."""

    auto = "auto"
    zip = "zip"
    rest = "rest"


def register(app: typer.Typer) -> None:
    """Add every subcommand, in the order of the manual."""
    for command in (migrate, status, config, symbols, doctor, healthcheck, sandbox, coverage, gaps, alpha):
        app.command(command.__name__)(command)
    app.command("import")(import_)
    app.command("backfill")(backfill)
    app.command("reconcile")(reconcile)


def migrate(
    ctx: typer.Context, dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list them.")] = False
) -> None:
    """Bring the tables up to date; harmless to repeat.

    Works as DATABASE_OWNER_URL (default: DATABASE_URL). Several at once are safe: one applies, the others
    wait. The daemon never migrates by itself; it ends with 78 while migrations are pending.
    """
    from .migrate import run

    raise typer.Exit(run(_context(ctx), dry_run=dry_run))


def status(
    ctx: typer.Context,
    as_json: Json = False,
    stale: Annotated[int, typer.Option("--stale", metavar="N", help="List at most N stale symbols.")] = 10,
) -> None:
    """Show what runs, and how fresh the data is.

    Asks the daemon over HTTP and the database over SQL; either may be down, and what it would have said is
    then left out. Ends with 0 when the daemon is ready, else 1.
    """
    from .status import run

    raise typer.Exit(run(_context(ctx), as_json=as_json, stale=stale))


def config(
    ctx: typer.Context,
    as_json: Json = False,
    example: Annotated[
        Example | None, typer.Option("--example", help="Print all settings with their explanations instead.")
    ] = None,
    get: Annotated[
        str | None,
        typer.Option(
            "--get", metavar="NAME", help="Print one value, bare and unmasked; ends with 1 if not set."
        ),
    ] = None,
    shell: Annotated[
        bool, typer.Option("--shell", help="Print what is set as NAME=value for a shell, unmasked.")
    ] = False,
) -> None:
    """Show every setting, its value and its origin.

    Passwords are masked, except for --get and --shell. Wrong settings are listed all at once (exit code 78).
    """
    from .config import run

    form: Literal["table", "json", "shell"] = "json" if as_json else "shell" if shell else "table"
    raise typer.Exit(run(_context(ctx), form=form, example=example and example.value, get=get))


def symbols(
    ctx: typer.Context,
    as_json: Json = False,
    listings: Annotated[
        bool, typer.Option("--listings", help="When each contract traded, from the database instead.")
    ] = False,
) -> None:
    """List the selected symbols, and why others are out.

    Asks the exchange (weight 1), not the database. With --listings the other way round: every listing interval the
    database knows, living and delisted; a symbol that was listed again has a line for each time.
    """
    if listings:
        from .listings import run as run_listings

        raise typer.Exit(run_listings(_context(ctx), as_json=as_json))
    from .symbols import run

    raise typer.Exit(run(_context(ctx), as_json=as_json))


def doctor(ctx: typer.Context, as_json: Json = False) -> None:
    """Check what marketd stands on; say what to do.

    Settings, database (reachable, edition, rights, locks, migrations), exchange, proxy, clock, port, disk.
    Ends with 1 if something must be done.
    """
    from .doctor import run

    raise typer.Exit(run(_context(ctx), as_json=as_json))


def healthcheck(
    ctx: typer.Context,
    live: Annotated[
        bool, typer.Option("--live", help="Ask only whether the process turns (/healthz).")
    ] = False,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", help="Wait at most that long.")
    ] = 5.0,
) -> None:
    """Ask the daemon whether it is ready.

    Asks /readyz on this machine; made for containers and scripts. Ready means: the newest candle is younger
    than 90 s and the database takes writes. Ends with 0 if so, else 1.
    """
    from .healthcheck import run

    raise typer.Exit(run(_context(ctx), live=live, timeout=timeout))


def sandbox(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one and prints it.")] = 8787,
    symbols: Annotated[int, typer.Option(help="How many symbols it lists.")] = 740,
    seed: Annotated[int, typer.Option(help="Another seed is another market.")] = 1,
    speed: Annotated[float, typer.Option(help="Venue seconds per second, 1 to 1000.")] = 1.0,
    history_days: Annotated[
        int, typer.Option("--history-days", help="The market began so many days ago.")
    ] = 40,
    delisted: Annotated[int, typer.Option(help="So many more were delisted since.")] = 0,
    relisted: Annotated[int, typer.Option(help="So many were delisted since and listed again.")] = 0,
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Replay real months, shifted to now.")
    ] = None,
    exchange_info: Annotated[Path | None, typer.Option(metavar="FILE", help="A real exchangeInfo.")] = None,
) -> None:
    """Run a stand-in exchange on loopback.

    It speaks the venue's real protocols and can be told to fail. Prints the addresses to put into
    BINANCE_REST_URL, BINANCE_WS_URL and the others. Ends on SIGTERM or Ctrl-C.
    """
    from .sandbox import run

    raise typer.Exit(
        run(
            port=port,
            symbols=symbols,
            seed=seed,
            speed=speed,
            history_days=history_days,
            delisted=delisted,
            relisted=relisted,
            data=data,
            exchange_info=exchange_info,
        )
    )


def backfill(
    ctx: typer.Context,
    symbols: Annotated[
        str, typer.Option("--symbols", metavar="GLOBS", help="Only these, such as BTCUSDT,1000*.")
    ] = "*",
    since: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="TIME",
            help="A day, a UTC time, or listing for all there is. Default: BACKFILL_FROM.",
        ),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="Up to this day or UTC time. Default: now.")
    ] = None,
    source: Annotated[
        FillSource, typer.Option(help="Only archive files (zip), only REST, or whatever is cheapest.")
    ] = FillSource.auto,
    workers: Annotated[
        int | None,
        typer.Option(min=1, max=8, help="Imports side by side, where no daemon does the work."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print the plan.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Read every file of the range again and compare every value.")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the files in ARCHIVE_FOLDER.")] = False,
) -> None:
    """Fill what is missing, as far back as asked.

    Plans from the ledger and prints the plan: rows, bytes, weight, time. A running daemon with the role backfill
    does the work and this command follows it; without one it works itself. Ctrl-C stops cleanly, and the same
    command goes on where it stopped. Ends with 0 when everything asked for is there, 1 when something cannot be
    had now.
    """
    from .backfill import Wanted, run

    globs = tuple(part.strip().upper() for part in symbols.split(",") if part.strip())
    wanted = Wanted(globs, since, until, source.value, workers, dry_run, force, keep)
    raise typer.Exit(run(_context(ctx), wanted))


def reconcile(
    ctx: typer.Context,
    since: Annotated[str, typer.Option("--from", metavar="TIME", help="A day or a UTC time.")],
    symbols: Annotated[
        str, typer.Option("--symbols", metavar="GLOBS", help="Only these, such as BTCUSDT,1000*.")
    ] = "*",
    until: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="Up to this day or UTC time. Default: now.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare what is stored with REST and with the archive.

    Value by value; changes nothing. Costs weight 6 and one file for each day of each symbol. Ends with 0 when all
    agree, else 1.
    """
    from .reconcile import run

    globs = tuple(part.strip().upper() for part in symbols.split(",") if part.strip())
    raise typer.Exit(run(_context(ctx), globs, since, until, as_json=as_json))


def _context(ctx: typer.Context) -> Context:
    context = ctx.obj
    assert isinstance(context, Context)  # noqa: S101 - set by the root command, which always runs first
    return context


SymbolGlobs = Annotated[
    list[str] | None,
    typer.Option("--symbol", metavar="GLOB", help="Only these, such as BTC* or BTCUSDT,ETHUSDT; repeatable."),
]
FirstDay = Annotated[
    datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="The first UTC day; default: all.")
]
LastDay = Annotated[
    datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="The last UTC day, included.")
]


def coverage(
    ctx: typer.Context,
    symbol: SymbolGlobs = None,
    first: FirstDay = None,
    last: LastDay = None,
    dataset: Annotated[Dataset, typer.Option("--dataset", help="What to look at.")] = Dataset.CANDLES,
    as_json: Json = False,
) -> None:
    """Show how much of what was due is stored, as a map of days.

    Reads the coverage ledger, not the data, and needs no daemon. Every row due is stored, pending, proved absent,
    expired or missing; the five add up.
    """
    from .coverage import Wanted, run

    wanted = Wanted(dataset, split(symbol), first and first.date(), last and last.date())
    raise typer.Exit(run(_context(ctx), wanted, as_json=as_json))


def gaps(
    ctx: typer.Context,
    symbol: SymbolGlobs = None,
    first: FirstDay = None,
    last: LastDay = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="Show at most N entries.")] = 20,
    as_json: Json = False,
) -> None:
    """List the candles that are missing, since when, why, and what is planned.

    Exact to the minute, from the ledger and the rows of incomplete days; needs no daemon. Symbols with the same gap
    and the same story are one entry; --json lists every gap of every symbol.
    """
    from .gaps import Wanted, run

    wanted = Wanted(split(symbol), first and first.date(), last and last.date(), limit)
    raise typer.Exit(run(_context(ctx), wanted, as_json=as_json))


def import_(
    ctx: typer.Context,
    dsn: Annotated[
        str, typer.Option("--from-dsn", metavar="URL", envvar="IMPORT_DSN", help="The other database.")
    ],
    symbols: Annotated[
        list[str] | None, typer.Option("--symbols", metavar="GLOB", help="Only these; repeatable.")
    ] = None,
    first: FirstDay = None,
    last: LastDay = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what there is.")] = False,
) -> None:
    """Take over the candles and metrics of a tradecat database.

    Finds candles_1m and binance_futures_metrics_5m there by their columns and reads them symbol by symbol, month by
    month. Their rows have the least authority: they fill holes and replace nothing that is better. Stopped, the same
    command goes on where it was. IMPORT_DSN in the environment keeps the password out of the list of processes.
    """
    from .import_ import Wanted, run

    days = (first and first.date(), last and last.date())
    raise typer.Exit(run(_context(ctx), Wanted(dsn, split(symbols), *days, dry_run)))


def split(globs: list[str] | None) -> tuple[str, ...]:
    """Repeated and comma-separated options as one list."""
    return tuple(part.strip() for item in globs or [] for part in item.split(",") if part.strip())


def alpha(ctx: typer.Context, as_json: Json = False) -> None:
    """List the Binance Alpha tokens.

    Reads the list that the daemon keeps in the database (--metrics, every 6 h), with each token's contracts.
    Ends with 1 while there is none.
    """
    from .alpha import run

    raise typer.Exit(run(_context(ctx), as_json=as_json))
