"""The subcommands about tasks: ``marketd jobs ...`` and ``marketd worker``; see ``general``."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from ...model import TaskState
from ..options import Json, context_of

Follow = Annotated[bool, typer.Option("--follow", "-f", help="Print its log until it is over.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="As `marketd jobs` lists it.")]

State = StrEnum("State", {state.name: state.value for state in TaskState})  # type: ignore[misc]


def register(app: typer.Typer) -> None:
    """Add ``worker`` and the group ``jobs``."""
    app.command("worker")(worker)
    group = typer.Typer(
        help="Show, ask for and cancel tasks. Without a command: list the newest.",
        rich_markup_mode=None,
        invoke_without_command=True,
        no_args_is_help=False,
    )
    group.callback()(listed)
    for command in (kinds, show, cancel):
        group.command(command.__name__)(command)
    group.command("run")(run)
    app.add_typer(group, name="jobs")


def worker(ctx: typer.Context) -> None:
    """Work at tasks, and nothing else, until SIGTERM or Ctrl-C.

    For other machines beside a daemon that runs with --jobs; any number of them share the queue. Needs DATABASE_URL
    (a direct connection, not a pooler in transaction mode). Give each process on one machine its own METRICS_PORT.
    """
    from ...wiring.roles import JOBS
    from ..daemon import run_daemon

    raise typer.Exit(run_daemon(context_of(ctx), roles=[JOBS], standby=False))


def listed(
    ctx: typer.Context,
    kind: Annotated[str | None, typer.Option("--kind", help="Only tasks of this kind.")] = None,
    state: Annotated[State | None, typer.Option("--state", help="Only tasks in this state.")] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="Show at most N.")] = 20,
    as_json: Json = False,
) -> None:
    """Show, ask for and cancel tasks. Without a command: list the newest."""
    if ctx.invoked_subcommand is not None:
        return
    from ..jobs.command import list_tasks

    wanted = None if state is None else TaskState(state.value)
    raise typer.Exit(list_tasks(context_of(ctx), kind=kind, state=wanted, limit=limit, as_json=as_json))


def kinds(ctx: typer.Context, as_json: Json = False) -> None:
    """List what can be asked for, with parameters and schedules."""
    from ..jobs.command import list_kinds

    raise typer.Exit(list_kinds(context_of(ctx), as_json=as_json))


def run(
    ctx: typer.Context,
    kind: Annotated[str, typer.Argument(metavar="KIND", help="As `marketd jobs kinds` lists it.")],
    parameters: Annotated[
        list[str] | None, typer.Argument(metavar="NAME=VALUE", help="Its parameters; a list as JSON.")
    ] = None,
    task_id: Annotated[
        str | None, typer.Option("--id", help="Its id; one that is there is not asked for again.")
    ] = None,
    follow: Follow = False,
) -> None:
    """Ask for a task, and print its id.

    A daemon with --jobs, or `marketd worker`, does it. With --follow: print its log; ends with 0 if it succeeded,
    else with 1. Ctrl-C ends the following, not the task.
    """
    from ..jobs.command import ask

    raise typer.Exit(ask(context_of(ctx), kind, parameters or [], task_id=task_id, follow=follow))


def show(ctx: typer.Context, task_id: Id, follow: Follow = False, as_json: Json = False) -> None:
    """Show one task: what was asked, how far it is, what came of it, and its log.

    Ends with 1 if it failed or was cancelled, or is not there.
    """
    from ..jobs.command import show_task

    raise typer.Exit(show_task(context_of(ctx), task_id, follow=follow, as_json=as_json))


def cancel(ctx: typer.Context, task_id: Id) -> None:
    """Cancel a task: one that waits ends at once, one that runs is stopped. Ends with 1 if it is over already."""
    from ..jobs.command import cancel_task

    raise typer.Exit(cancel_task(context_of(ctx), task_id))
