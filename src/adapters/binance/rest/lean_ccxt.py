"""Imports ccxt without the hundred exchanges that nobody here asks.

``import ccxt.async_support`` loads the code of every exchange it knows, twice. Measured with 4.5.90 beside
cryptofeed: 124 MB resident instead of 75 MB and 0.4 s instead of 0.1 s, out of the 220 MB that the daemon is
held to. So while it is imported the others are replaced by placeholders.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from ....telemetry.log import get_logger

# Where the exchanges lie, and which files there are really wanted. ``ccxt`` itself holds the synchronous ones.
_WANTED = {
    "ccxt": frozenset[str](),
    "ccxt.async_support": frozenset({"binance", "binanceusdm"}),
    "ccxt.abstract": frozenset({"binance", "binanceusdm"}),
}

log = get_logger("rest")


def import_ccxt() -> Any:
    """The module ``ccxt.async_support`` with ``binance`` and ``binanceusdm``; all other exchanges refuse.

    Should a release of ccxt not bear it, everything is imported as usual. Does nothing if it is loaded already.
    """
    if "ccxt" in sys.modules:
        return importlib.import_module("ccxt.async_support")
    try:
        with _placeholders():
            return importlib.import_module("ccxt.async_support")
    except Exception as error:  # whatever a later release trips over, the whole of it is the way that works
        log.warning("ccxt_whole", msg="all exchanges are loaded, for 50 MB more", error=error)
        for name in [name for name in sys.modules if name.partition(".")[0] == "ccxt"]:
            del sys.modules[name]
        return importlib.import_module("ccxt.async_support")


@contextmanager
def _placeholders() -> Iterator[None]:
    finder = _Finder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in finder.replaced:
            sys.modules.pop(name, None)


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds an empty module in the place of each exchange's file; folders and wanted files are left alone."""

    def __init__(self) -> None:
        self.replaced: list[str] = []

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        parent, _, leaf = fullname.rpartition(".")
        if parent not in _WANTED or leaf in _WANTED[parent]:
            return None
        found = importlib.machinery.PathFinder.find_spec(fullname, path)
        if found is None or found.submodule_search_locations is not None:
            return None
        self.replaced.append(fullname)
        return importlib.machinery.ModuleSpec(fullname, self)

    def exec_module(self, module: ModuleType) -> None:
        module.__getattr__ = _refusing  # type: ignore[method-assign]


def _refusing(name: str) -> type:
    """A class that tells whoever makes one why it cannot."""
    if name.startswith("__"):
        raise AttributeError(name)

    def refuse(self: object, *_: object, **__: object) -> None:
        raise RuntimeError(f"ccxt's {name} is not loaded in this process, see lean_ccxt.py")

    return type(name, (), {"__init__": refuse})
