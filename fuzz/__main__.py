"""One target, for some seconds: ends with 0 if no input crashed or hung, else the input lies in ``found``.

python -m fuzz TARGET [--seconds N] [--folder DIR] [--keep]
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

import atheris

_HANG_WALL_S = 60
"""When even the clock of the wall says so; what counts is the processor's (targets.HANG_S)."""
_RESIDENT_MB = 2048


def main() -> None:
    options = _options()
    folder = options.folder / options.target
    corpus, found = folder / "corpus", folder / "found"
    found.mkdir(parents=True, exist_ok=True)
    with atheris.instrument_imports(include=["src"]):
        from . import targets
    from .corpus import keep, unpack
    from .seeds import SEEDS

    if options.keep:
        sys.stdout.write(f"{keep(options.target, corpus)} inputs of {options.target} are kept\n")
        return
    unpack(options.target, corpus)
    for number, seed in enumerate(SEEDS[options.target]):
        (corpus / f"seed-{number}").write_bytes(seed)
    logging.disable()  # what is refused is told, and there is nobody to read it
    target = targets.guarded(targets.TARGETS[options.target])
    targets.warm_up(options.target, SEEDS[options.target])
    flags = [
        f"-max_total_time={options.seconds}",
        f"-max_len={targets.MAX_BYTES}",
        f"-timeout={_HANG_WALL_S}",
        f"-rss_limit_mb={_RESIDENT_MB}",
        f"-artifact_prefix={found}/",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *flags, str(corpus)], target)
    atheris.Fuzz()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("target", choices=["frame", "rest", "csv", "zip", "config", "jsonrpc"])
    parser.add_argument("--seconds", type=int, default=20, help="how long (20)")
    parser.add_argument("--folder", type=Path, default=Path("var/fuzz"), help="where inputs lie (var/fuzz)")
    parser.add_argument(
        "--keep", action="store_true", help="keep what was found in fuzz/corpus, and fuzz no more"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
