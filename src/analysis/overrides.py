"""``db_overrides``: settings of the database session that a task works in. Four of them, each within bounds.

Never where the database is or who connects: a task works in the database that it is kept in, with the rights it has.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, WithJsonSchema

Name = Literal["lock_timeout", "max_parallel_workers_per_gather", "statement_timeout", "work_mem"]

_KB = {"kB": 1, "MB": 1_024, "GB": 1_048_576}
_MS = {"ms": 1, "s": 1_000, "min": 60_000}
_ONE = {"": 1}


def _bounded(units: Mapping[str, int], least: int, most: int, words: str) -> Callable[[str], bool]:
    """Whether a text is a whole number with one of ``units``, between ``least`` and ``most`` of the smallest."""
    form = re.compile(rf"([0-9]{{1,7}})({'|'.join(units)})")

    def holds(text: str) -> bool:
        found = form.fullmatch(text)
        return found is not None and least <= int(found[1]) * units[found[2]] <= most

    holds.__doc__ = words
    return holds


_TAKEN: dict[str, Callable[[str], bool]] = {
    "lock_timeout": _bounded(_MS, 100, 600_000, "100ms to 10min"),
    "max_parallel_workers_per_gather": _bounded(_ONE, 0, 8, "0 to 8"),
    "statement_timeout": _bounded(_MS, 1_000, 3_600_000, "1s to 60min"),
    "work_mem": _bounded(_KB, 64, 1_048_576, "64kB to 1GB"),
}


def _checked(values: dict[Name, str]) -> dict[Name, str]:
    for name, text in values.items():
        if not _TAKEN[name](text):
            raise ValueError(f"{name} takes {_TAKEN[name].__doc__}")
    return values


Overrides = Annotated[
    dict[Name, str],
    AfterValidator(_checked),
    WithJsonSchema(
        {
            "type": "object",
            "properties": {
                name: {"type": "string", "description": takes.__doc__} for name, takes in _TAKEN.items()
            },
            "additionalProperties": False,
        }
    ),
]
"""Type of a task's parameter. ``work_mem`` 64MB and so on, as PostgreSQL writes them."""
