"""What a person sees: results on standard output, complaints on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence

from ..errors import ConfigError, MarketdError


def complain(error: MarketdError) -> None:
    """One clear line an error; a configuration has one line for each problem."""
    lines = error.problems if isinstance(error, ConfigError) else (str(error),)
    for line in lines:
        print(f"marketd: {line}", file=sys.stderr)  # noqa: T201


def note(text: str) -> None:
    """A remark for a person, on standard error so that it never mixes with a result."""
    print(f"marketd: {text}", file=sys.stderr)  # noqa: T201


def line(text: str = "") -> None:
    """One line of the result."""
    print(text, flush=True)  # noqa: T201 - flushed for whoever waits for it on a pipe


def as_json(content: object) -> None:
    """The result as one JSON document."""
    line(json.dumps(content, indent=2, ensure_ascii=False))


def pairs(rows: Mapping[str, str] | Sequence[tuple[str, str]]) -> None:
    """Two columns, the left one as wide as its longest word; line breaks in the right one are aligned."""
    items = list(rows.items()) if isinstance(rows, Mapping) else list(rows)
    width = max((len(name) for name, _ in items), default=0)
    for name, value in items:
        first, *more = value.split("\n")
        line(f"{name:<{width}}  {first}".rstrip())
        for part in more:
            line(f"{'':<{width}}  {part}".rstrip())
