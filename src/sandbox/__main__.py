"""``python -m src.sandbox``: the sandbox as a process of its own, for tests; people use ``marketd sandbox``."""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import fields
from pathlib import Path

import uvloop

from .options import SandboxOptions
from .server import run_sandbox

_TYPES = {
    "port": int,
    "seed": int,
    "symbols": int,
    "speed": float,
    "start_ms": int,
    "anchor": float,
    "data_dir": Path,
    "replay_offset_s": int,
    "exchange_info": Path,
    "sleeper_share": float,
    "history_days": int,
    "delisted": int,
    "relisted": int,
    "publish_after_s": int,
    "weight_limit": int,
    "stream_limit": int,
}


def main() -> None:
    """Options have the names of ``SandboxOptions`` with dashes."""
    parser = argparse.ArgumentParser(prog="python -m src.sandbox", description=__doc__)
    for field in fields(SandboxOptions):
        flag = "--" + field.name.replace("_", "-")
        if field.name == "tls":
            parser.add_argument(flag, action="store_true")
        else:
            parser.add_argument(flag, type=_TYPES.get(field.name, str), default=field.default)
    arguments = vars(parser.parse_args())
    try:
        options = SandboxOptions(**arguments)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run_sandbox(options))
    except (ValueError, OSError) as error:
        parser.exit(78, f"sandbox: {error}\n")


if __name__ == "__main__":
    main()
