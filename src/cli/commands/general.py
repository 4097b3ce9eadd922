"""The subcommands: options and help. The work is in the folder or module of that name, imported when it runs.

Those about the history of the market are in ``history``, about tasks in ``tasks``, pictures in ``plot``.
"""

from __future__ import annotations

import os
import signal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from ...errors import EXIT_OK
from ..options import Json, context_of
from . import tasks as task_commands
from .history import aggregate, backfill, coverage, export, gaps, import_, reconcile
from .plot import application as plots


class Example(StrEnum):
    """The forms in which the settings can be printed."""

    env = "env"
    yaml = "yaml"
    markdown = "markdown"


def register(app: typer.Typer) -> None:
    """Add every subcommand, in the order of the manual."""
    for command in (
        migrate,
        serve,
        status,
        config,
        symbols,
        doctor,
        healthcheck,
        sandbox,
        coverage,
        gaps,
        alpha,
    ):
        app.command(command.__name__)(command)
    app.command("export")(export)
    app.command("import")(import_)
    app.command("backfill")(backfill)
    app.command("reconcile")(reconcile)
    app.command("aggregate")(aggregate)
    task_commands.register(app)
    app.add_typer(plots(), name="plot")


def migrate(
    ctx: typer.Context, dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list them.")] = False
) -> None:
    """Bring the tables up to date; harmless to repeat.

    Works as DATABASE_OWNER_URL (default: DATABASE_URL). Several at once are safe: one applies, the others
    wait. The daemon never migrates by itself; it ends with 78 while migrations are pending.
    """
    from ..migrate import run

    raise typer.Exit(run(context_of(ctx), dry_run=dry_run))


def serve(ctx: typer.Context) -> None:
    """Serve HTTP, the live feed and the pages alone: `--api` without anything that collects.

    Beside a daemon that collects, or on another machine with the same database. The feed then asks the database
    each second. Ends like the daemon, on SIGTERM or Ctrl-C.
    """
    # Told to stop while it still loads: nothing is open, so nothing has to drain.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(EXIT_OK))
    from ...wiring.roles import API
    from ..daemon import run_daemon

    raise typer.Exit(run_daemon(context_of(ctx), roles=[API], standby=False))


def status(
    ctx: typer.Context,
    as_json: Json = False,
    stale: Annotated[int, typer.Option("--stale", metavar="N", help="List at most N stale symbols.")] = 10,
) -> None:
    """Show what runs, and how fresh the data is.

    Asks the daemon over HTTP and the database over SQL; either may be down, and what it would have said is
    then left out. Ends with 0 when the daemon is ready, else 1.
    """
    from ..health.status import run

    raise typer.Exit(run(context_of(ctx), as_json=as_json, stale=stale))


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
    from ..config import run

    form: Literal["table", "json", "shell"] = "json" if as_json else "shell" if shell else "table"
    raise typer.Exit(run(context_of(ctx), form=form, example=example and example.value, get=get))


def symbols(
    ctx: typer.Context,
    as_json: Json = False,
    listings: Annotated[
        bool, typer.Option("--listings", help="When each contract traded, from the database instead.")
    ] = False,
) -> None:
    """List the selected symbols, and why others are out.

    Asks the exchange (weight 2), not the database. With --listings the other way round: every listing interval the
    database knows, living and delisted; a symbol that was listed again has a line for each time.
    """
    if listings:
        from ..symbols.listings import run as run_listings

        raise typer.Exit(run_listings(context_of(ctx), as_json=as_json))
    from ..symbols.selected import run

    raise typer.Exit(run(context_of(ctx), as_json=as_json))


def doctor(ctx: typer.Context, as_json: Json = False) -> None:
    """Check what marketd stands on; say what to do.

    Settings, database (reachable, edition, rights, locks, migrations), exchange, stream, archive, proxy, clock,
    port, disk, limits of the process, permissions of files. Ends with 1 if something must be done.
    """
    from ..health.doctor import run

    raise typer.Exit(run(context_of(ctx), as_json=as_json))


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
    from ..health.healthcheck import run

    raise typer.Exit(run(context_of(ctx), live=live, timeout=timeout))


def sandbox(
    port: Annotated[
        int, typer.Option(metavar="N", help="Port on 127.0.0.1; 0 takes a free one and prints it.")
    ] = 8787,
    symbols: Annotated[int, typer.Option(metavar="N", help="How many symbols it lists.")] = 740,
    seed: Annotated[int, typer.Option(metavar="N", help="Another seed is another market.")] = 1,
    speed: Annotated[float, typer.Option(metavar="N", help="Venue seconds per second, 1 to 1000.")] = 1.0,
    history_days: Annotated[
        int, typer.Option("--history-days", metavar="N", help="The market began so many days ago.")
    ] = 40,
    delisted: Annotated[int, typer.Option(metavar="N", help="So many more were delisted since.")] = 0,
    relisted: Annotated[
        int, typer.Option(metavar="N", help="So many were delisted since and listed again.")
    ] = 0,
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Replay real months, shifted to now.")
    ] = None,
    exchange_info: Annotated[Path | None, typer.Option(metavar="FILE", help="A real exchangeInfo.")] = None,
) -> None:
    """Run a stand-in exchange on loopback.

    It speaks the venue's real protocols and can be told to fail. Prints the addresses to put into
    BINANCE_REST_URL, BINANCE_WS_URL and the others. Ends on SIGTERM or Ctrl-C.
    """
    from ..sandbox import run

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


def alpha(ctx: typer.Context, as_json: Json = False) -> None:
    """List the Binance Alpha tokens.

    Reads the list that the daemon keeps in the database (--metrics, every 6 h), with each token's contracts.
    Ends with 1 while there is none.
    """
    from ..symbols.alpha import run

    raise typer.Exit(run(context_of(ctx), as_json=as_json))
