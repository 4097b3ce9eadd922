"""Run one benchmark: ``python -m benchmarks NAME [--json] [--save]``."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import inspect
import json
import keyword
import pkgutil
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.circumstances import circumstances

_HERE = Path(__file__).parent


def names() -> list[str]:
    """Every module of this folder that defines ``run``; told apart by its text, so that none is imported in vain.

    A benchmark whose name is a word of Python lies in a file with an underscore after it.
    """
    modules = (module.name for module in pkgutil.iter_modules([str(_HERE)]))
    found = (name for name in modules if "def run()" in (_HERE / f"{name}.py").read_text(encoding="utf-8"))
    return [name.removesuffix("_") for name in found]


def measure(name: str) -> dict[str, object]:
    """The figures of one benchmark, under its name."""
    module = f"{name}_" if keyword.iskeyword(name) else name
    result = importlib.import_module(f"benchmarks.{module}").run()
    if inspect.isawaitable(result):
        result = asyncio.run(_finish(result))
    return {"benchmark": name, **result}


def save(result: dict[str, object]) -> Path:
    """Keep ``result`` with machine, commit and versions in ``results/NAME-<date>-<commit>.json``."""
    around = circumstances()
    path = _HERE / "results" / f"{result['benchmark']}-{around['date']}-{around['commit']}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({**result, **around}, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the result; 0 when it ran, whatever the figures are."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=names())
    parser.add_argument(
        "--json", action="store_true", help="one JSON object on standard output, nothing else"
    )
    parser.add_argument("--save", action="store_true", help="keep the result in benchmarks/results")
    chosen = parser.parse_args(arguments)
    # What a benchmark or its child processes print belongs to standard error.
    result = measure(chosen.name)
    if chosen.save:
        print(f"saved to {save(result)}", file=sys.stderr)
    if chosen.json:
        print(json.dumps(result, ensure_ascii=False))
    else:
        for key, value in result.items():
            print(f"{key:32} {value}")
    return 0


async def _finish(work: object) -> dict[str, object]:
    if not inspect.isawaitable(work):
        raise TypeError("run() gave nothing to wait for")
    found = await work
    return dict(found)


if __name__ == "__main__":
    sys.exit(main())
