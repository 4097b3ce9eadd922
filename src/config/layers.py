"""Where settings are written: flags, environment, ``.env``, ``config.yaml``; the first that has one wins."""

from __future__ import annotations

import difflib
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from dotenv.parser import parse_stream

_MOST_DEPTH = 20
"""Of lists and mappings in one another; a schedule's parameters have four."""
_NO_VALUE = (ValueError, ArithmeticError, AttributeError, LookupError)
"""What the library raises for a date, number or switch that is none: ``!!int ""``, ``!!bool x``, ``!!timestamp x``."""


@dataclass(frozen=True, slots=True)
class Raw:
    """A value as it was written, and where."""

    value: object
    origin: str


@dataclass(frozen=True, slots=True)
class Layer:
    """One place of settings: upper-case names to values, and what was wrong with the place itself."""

    values: Mapping[str, Raw]
    problems: tuple[str, ...] = ()


def from_flags(flags: Mapping[str, object], known: Iterable[str]) -> Layer:
    """``--set NAME=VALUE`` and the flags with a name of their own; unknown names are refused."""
    return _layer(((name, value, "flag") for name, value in flags.items()), known, ())


def from_environment(environ: Mapping[str, str], known: Iterable[str]) -> Layer:
    """The process environment, which is full of other programs' names: unknown ones are not looked at."""
    names = set(known)
    return Layer({n: Raw(v, "environment") for n, v in environ.items() if n in names and v.strip()})


def from_env_file(path: Path, known: Iterable[str]) -> Layer:
    """A ``.env`` file. ``$`` is an ordinary character, because passwords have it. A missing file is empty."""
    text, problems = _read(path)
    rows: list[tuple[str, object, str]] = []
    for binding in parse_stream(io.StringIO(text)):
        line = binding.original.line
        if binding.error or (binding.key is not None and binding.value is None):
            problems.append(f"{path} line {line}: not NAME=VALUE; write it so, or put # before it")
        elif binding.key is not None:
            rows.append((binding.key, binding.value, f"{path} line {line}"))
    return _layer(rows, known, problems)


def from_yaml(path: Path, known: Iterable[str]) -> Layer:
    """A YAML mapping from setting (either case) to value or list. A missing file is empty."""
    text, problems = _read(path)
    try:
        content: Any = yaml.load(text, _PlainLoader)  # noqa: S506 - it is a SafeLoader
    except (yaml.YAMLError, *_NO_VALUE) as error:
        where = getattr(error, "problem_mark", None)
        line = f" line {where.line + 1}" if where else ""
        return Layer({}, (f"{path}{line}: is not YAML; compare it with config.example.yaml",))
    if content is None:
        return Layer({}, tuple(problems))
    if not isinstance(content, dict):
        return Layer({}, (f"{path}: must be setting: value lines; compare it with config.example.yaml",))
    rows = ((str(name).upper(), value, str(path)) for name, value in content.items())
    return _layer(rows, known, problems)


class _PlainLoader(yaml.SafeLoader):
    """Without aliases, a few lines of which are a value of gigabytes as soon as somebody prints it, and without
    brackets in brackets for ever."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self._depth > _MOST_DEPTH or self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "no setting", mark)
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1


def _layer(rows: Iterable[tuple[str, object, str]], known: Iterable[str], problems: Iterable[str]) -> Layer:
    names = list(known)
    values: dict[str, Raw] = {}
    found = list(problems)
    for name, value, origin in rows:
        if name not in names:
            found.append(f"{name} ({origin}): no such setting{_suggestion(name, names)}")
        elif name in values:
            found.append(f"{name} ({origin}): stands there twice; keep one")
        elif value is not None and not (isinstance(value, str) and not value.strip()):
            values[name] = Raw(value, origin)
    return Layer(values, tuple(found))


def _suggestion(name: str, names: list[str]) -> str:
    close = difflib.get_close_matches(name.upper(), names, n=1, cutoff=0.7)
    return f"; did you mean {close[0]}?" if close else "; `marketd config --example env` lists all"


def _read(path: Path) -> tuple[str, list[str]]:
    try:
        return path.read_text(encoding="utf-8-sig"), []
    except (FileNotFoundError, NotADirectoryError):
        return "", []
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        return "", [f"{path}: cannot be read: {reason}"]
