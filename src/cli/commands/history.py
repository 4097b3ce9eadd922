"""The subcommands about the history: what of it is stored, and what fills and checks it; see ``general``."""

from __future__ import annotations

from datetime import UTC
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from ...model import Dataset
from ..options import FirstDay, Globs, Json, LastDay, SymbolGlobs, Until, context_of, days, split


class FillSource(StrEnum):
    """Where missing candles may come from."""

    auto = "auto"
    zip = "zip"
    rest = "rest"


class ExportDataset(StrEnum):
    """What can be exported."""

    instruments = "instruments"
    candles_1m = "candles_1m"
    metrics_5m = "metrics_5m"
    funding = "funding"
    agg_trades = "agg_trades"


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
    from ..coverage.command import Wanted, run

    wanted = Wanted(dataset, split(symbol), *days(first, last))
    raise typer.Exit(run(context_of(ctx), wanted, as_json=as_json))


def gaps(
    ctx: typer.Context,
    symbol: SymbolGlobs = None,
    first: FirstDay = None,
    last: LastDay = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="Show at most N entries.")] = 20,
    dataset: Annotated[
        Dataset, typer.Option("--dataset", help="Candles or metrics; of funding the ledger has only numbers.")
    ] = Dataset.CANDLES,
    as_json: Json = False,
) -> None:
    """List the candles that are missing, since when, why, and what is planned.

    Exact to the row, from the ledger and the rows of incomplete days; needs no daemon. Symbols with the same gap
    and the same story are one entry; --json lists every gap of every symbol.
    """
    from ..gaps.command import Wanted, run

    wanted = Wanted(split(symbol), *days(first, last), limit, dataset)
    raise typer.Exit(run(context_of(ctx), wanted, as_json=as_json))


def backfill(
    ctx: typer.Context,
    symbols: Globs = "*",
    since: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="TIME",
            help="A day, a UTC time, or listing for all there is. Default: BACKFILL_FROM.",
        ),
    ] = None,
    until: Until = None,
    source: Annotated[
        FillSource, typer.Option(help="Only archive files (zip), only REST, or whatever is cheapest.")
    ] = FillSource.auto,
    workers: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=8, help="Imports side by side, where no daemon does the work."),
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
    from ..backfill.command import Wanted, run

    wanted = Wanted(split([symbols.upper()]), since, until, source.value, workers, dry_run, force, keep)
    raise typer.Exit(run(context_of(ctx), wanted))


def reconcile(
    ctx: typer.Context,
    since: Annotated[str, typer.Option("--from", metavar="TIME", help="A day or a UTC time.")],
    symbols: Globs = "*",
    until: Until = None,
    as_json: Json = False,
) -> None:
    """Compare what is stored with REST and with the archive.

    Value by value; changes nothing. Costs weight 6 and one file for each day of each symbol. Ends with 0 when all
    agree, else 1.
    """
    from ..reconcile.command import run

    raise typer.Exit(run(context_of(ctx), split([symbols.upper()]), since, until, as_json=as_json))


def import_(
    ctx: typer.Context,
    dsn: Annotated[
        str | None,
        typer.Option("--from-dsn", metavar="URL", envvar="IMPORT_DSN", help="A tradecat database."),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--from-dir", metavar="DIR", help="The folder of a `marketd export`.")
    ] = None,
    symbols: Annotated[
        list[str] | None, typer.Option("--symbols", metavar="GLOB", help="Only these; repeatable.")
    ] = None,
    first: FirstDay = None,
    last: LastDay = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what there is.")] = False,
) -> None:
    """Take over an export of marketd, or a tradecat database.

    --from-dir first compares every file with the manifest's SHA-256 and names those that are damaged; nothing is
    written then. Rows keep their authority: they replace nothing that is better, and the same import again changes
    nothing. --from-dsn finds candles_1m and binance_futures_metrics_5m of tradecat by their columns and reads them
    symbol by symbol, month by month. Those rows have the least authority: they fill holes. Stopped, the same command
    goes on where it was. IMPORT_DSN in the environment keeps the password out of the list of processes.
    """
    between = days(first, last)
    if folder is not None:
        from ..import_.folder import WantedFolder
        from ..import_.folder import run as run_folder

        raise typer.Exit(run_folder(context_of(ctx), WantedFolder(folder, split(symbols), *between, dry_run)))
    if dsn is None:
        raise typer.BadParameter("say where from: --from-dir, or --from-dsn")
    from ..import_.command import Wanted, run

    raise typer.Exit(run(context_of(ctx), Wanted(dsn, split(symbols), *between, dry_run)))


def export(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to; the same again goes on there.")],
    dataset: Annotated[
        list[ExportDataset] | None, typer.Option("--dataset", help="Only these; repeatable. Default: all.")
    ] = None,
    symbol: SymbolGlobs = None,
    first: FirstDay = None,
    last: LastDay = None,
) -> None:
    """Write what is stored as Parquet files, with a manifest of their hashes.

    One file for each symbol and month, of trades for each day, below DIR/DATASET/EXCHANGE/SYMBOL. Stopped at any
    point, the same command goes on; repeated, it writes only what has changed. Needs no daemon and disturbs none.
    `marketd import --from-dir` takes it back.
    """
    from ..export.command import DATASETS, Wanted, run

    datasets = tuple(one.value for one in dataset) if dataset else DATASETS
    wanted = Wanted(folder, datasets, split(symbol), *days(first, last))
    raise typer.Exit(run(context_of(ctx), wanted))


def aggregate(
    ctx: typer.Context,
    symbol: Annotated[str, typer.Argument(metavar="SYMBOL", help="Such as BTCUSDT.")],
    size: Annotated[
        str,
        typer.Argument(
            metavar="SIZE",
            help="An interval such as 7m, 90s or 2h; or trades, base asset, quote asset of each bar, by --kind.",
        ),
    ],
    kind: Annotated[
        Literal["time", "tick", "volume", "dollar"], typer.Option("--kind", help="What fills a bar.")
    ] = "time",
    source: Annotated[
        Literal["auto", "candles", "trades"],
        typer.Option(
            "--source", help="What bars are made of. Default: candles for whole minutes, else trades."
        ),
    ] = "auto",
    exchange: Annotated[
        str | None,
        typer.Option("--exchange", help="Default: BINANCE_WS_DB_EXCHANGE. Spot trades: binance_spot."),
    ] = None,
    first: FirstDay = None,
    anew: Annotated[bool, typer.Option("--anew", help="Forget what was built before.")] = False,
    as_json: Json = False,
) -> None:
    """Build bars of any kind and size for one symbol, into the table bars.

    From candles they are built anew, as far as the symbol's candles are closed; 5m, 15m, 1h, 4h and 1d are those that
    the daemon keeps. From trades the same command goes on where it stopped. Needs no daemon. Ctrl-C stops at once,
    and leaves whole bars.
    """
    from ..aggregate import run

    wanted = {
        "symbol": symbol,
        "size": size,
        "kind": kind,
        "source": source,
        "exchange": exchange,
        "since": first and first.replace(tzinfo=UTC),
        "anew": anew,
    }
    raise typer.Exit(run(context_of(ctx), wanted, as_json=as_json))
