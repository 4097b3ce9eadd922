"""``marketd sandbox``: the stand-in exchange as a process."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import uvloop

from ..errors import EXIT_OK, ConfigError
from ..sandbox import Sandbox, SandboxOptions
from . import output


def run(
    *,
    port: int,
    symbols: int,
    seed: int,
    speed: float,
    history_days: int,
    delisted: int,
    relisted: int,
    data: Path | None,
    exchange_info: Path | None,
) -> int:
    """Serve until SIGTERM or SIGINT. Raises ``ConfigError`` for wrong options, unreadable files or a taken port."""
    try:
        options = SandboxOptions(
            port=port,
            symbols=symbols,
            seed=seed,
            speed=speed,
            history_days=history_days,
            delisted=delisted,
            relisted=relisted,
            data_dir=data,
            exchange_info=exchange_info,
        )
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(options))
    except (ValueError, OSError) as error:
        raise ConfigError(f"sandbox: {error}") from error
    return EXIT_OK


async def _serve(options: SandboxOptions) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Sandbox(options) as sandbox:
        output.line(f"BINANCE_REST_URL={sandbox.rest_url}")
        output.line(f"BINANCE_WS_URL={sandbox.ws_url}")
        output.line(f"BINANCE_ARCHIVE_URL={sandbox.archive_url}")
        output.line(f"BINANCE_ARCHIVE_LIST_URL={sandbox.archive_list_url}")
        output.line(f"BINANCE_ALPHA_URL={sandbox.alpha_url}")
        output.line(f"ETH_RPC_URL={sandbox.rpc_url}")
        output.note(f"faults on demand: {sandbox.control_url} (docs/sandbox.md)")
        await stop.wait()
