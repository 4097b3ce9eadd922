"""The command tree: what ``marketd --help`` shows."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable
from typing import Annotated, Any

import typer

from .. import __version__
from ..errors import EXIT_OK, EXIT_USAGE
from .commands import general as commands
from .context import Context, parse_assignments
from .output import line

_ABOUT = """Keep a complete copy of the Binance USDT-perpetual market in TimescaleDB.

With one of --all, --ws, --metrics, --backfill, --trades, --uniswap, --jobs, --api marketd runs as a daemon in the
foreground until SIGTERM or Ctrl-C; with a command it does one thing and returns.
"""

_MORE = """\b
Examples:
  marketd --all                          run everything there is
  marketd --ws --standby                 run the live candles; wait while another instance does
  marketd migrate && marketd --ws        bring the tables up to date first
  marketd status                         what runs, and how fresh the data is
  marketd doctor                         what is wrong here, and what to do about it
  marketd sandbox --port 8787            a stand-in exchange, to work without access to the real one
  marketd --set SYMBOLS='BTC*' symbols   which symbols a setting selects

\b
Settings:
  Flag over environment over .env over config.yaml over default. `marketd config` shows every setting, its
  value and where it comes from; `marketd config --example env` explains each. An empty value counts as not
  set. NAME_FILE names a file with the value of a secret. The ones you need first:
  DATABASE_URL            where candles go: postgresql://user:password@host:5432/database
  HTTP_PROXY              the proxy for the exchange: http://host:port
  SYMBOLS                 which symbols: globs, comma-separated (default: all)
  MARKETD_ENV_FILE        another file than .env; /dev/null for none
  MARKETD_CONFIG_FILE     another file than config.yaml; /dev/null for none

\b
Signals:
  SIGHUP                  read settings and tokens again: symbols, limits, schedules, tokens, log levels
                          change; a mistake changes nothing, and the log names what needs a restart
  SIGTERM, SIGINT         stop reading, write what waits (30 s at most), end with 0
  the same again          end at once, with 143 or 130

\b
Exit codes:
  0    done, or the daemon was told to stop
  1    it failed (healthcheck: not healthy; doctor: something must be done)
  2    the command line is wrong
  69   a command could not reach the database
  75   another instance holds the lock or the port (--standby waits for it)
  78   a setting is wrong, migrations are pending, or the port is taken: nothing was touched
"""


def application() -> Callable[..., object]:
    """The whole command line; called with ``args`` and ``prog_name`` it ends with ``SystemExit``."""
    app = typer.Typer(
        help=_ABOUT,
        epilog=_MORE,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    )
    app.callback(invoke_without_command=True)(_root)
    commands.register(app)
    return typer.main.get_command(app)


def _version(wanted: bool) -> None:
    if wanted:
        line(f"marketd {__version__}")
        raise typer.Exit


def _root(
    ctx: typer.Context,
    run_all: Annotated[bool, typer.Option("--all", help="Run all of these.")] = False,
    ws: Annotated[bool, typer.Option("--ws", help="Run the live 1m candles.")] = False,
    metrics: Annotated[bool, typer.Option("--metrics", help="Run futures metrics and funding.")] = False,
    backfill: Annotated[bool, typer.Option("--backfill", help="Fill and verify the history.")] = False,
    trades: Annotated[
        bool, typer.Option("--trades", help="Keep the trades of TRADE_SYMBOLS; in --all where some are set.")
    ] = False,
    uniswap: Annotated[
        bool,
        typer.Option("--uniswap", help="Follow the swaps of UNISWAP_POOLS; in --all where they are set."),
    ] = False,
    jobs: Annotated[
        bool, typer.Option("--jobs", help="Work at tasks, and ask for those that are due.")
    ] = False,
    api: Annotated[bool, typer.Option("--api", help="Serve HTTP, the live feed and the pages.")] = False,
    standby: Annotated[
        bool, typer.Option("--standby", help="Wait for the lock instead of ending with 75.")
    ] = False,
    speed: Annotated[
        float | None, typer.Option("--speed", metavar="N", help="Venue seconds per second; sandbox only.")
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A setting, above all other places; repeatable."),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    flags: dict[str, Any] = dict(parse_assignments(assignments or []))
    if speed is not None:
        flags["SPEED"] = speed
    context = Context(flags)
    ctx.obj = context
    asked = {
        "ws": ws,
        "metrics": metrics,
        "backfill": backfill,
        "trades": trades,
        "uniswap": uniswap,
        "jobs": jobs,
        "api": api,
    }
    wanted = run_all or any(asked.values())
    if ctx.invoked_subcommand is not None:
        if wanted or standby:
            raise typer.BadParameter(f"{ctx.invoked_subcommand} is not the daemon: leave its flags out")
        # A command says what happened by itself; the log of what it uses (each retry) is the daemon's.
        logging.getLogger("marketd").addHandler(logging.NullHandler())
        return
    if not wanted:
        typer.echo(ctx.get_usage(), err=True)
        typer.echo("Say what to run (--all, --ws) or name a command; --help is the manual.", err=True)
        raise typer.Exit(EXIT_USAGE)
    # Told to read its settings again while it still loads: it is about to read them.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # Told to stop while it still loads: nothing is open, so nothing has to drain.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(EXIT_OK))
    from .daemon import run_daemon

    roles = None if run_all else [name for name, is_asked in asked.items() if is_asked]
    raise typer.Exit(run_daemon(context, roles=roles, standby=standby))
