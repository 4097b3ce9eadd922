"""Logs: one JSON object a line, or a readable line when a person watches.

    {"ts":"2026-11-20T20:26:02.123456Z","level":"info","event":"flush_done","component":"writer",
     "run_id":"5f0c2b7a","msg":"stored 740 candles","rows":740}

``event`` is a stable snake_case name to search and alert on, ``msg`` a sentence for people and free to
change. Lines of libraries (logging, warnings) take the same way as ``library_log`` with the library as
component.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterable, Mapping, MutableMapping
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any, Literal, TextIO

import orjson
import structlog
from structlog.stdlib import BoundLogger, ProcessorFormatter

from ..errors import ConfigError
from .log_file import LogFile
from .log_output import RepeatFilter, SafeHandler
from .masking import MAX_TRACEBACK_CHARS, Cleaner, escape_controls
from .metrics import Metrics

Format = Literal["auto", "json", "text"]
Event = MutableMapping[str, Any]

_ROOT = "marketd"
_LIBRARY_PREFIX = "lib."
_LEVELS = {name: getattr(logging, name.upper()) for name in ("debug", "info", "warning", "error", "critical")}
_COMPONENT = re.compile(r"[A-Za-z0-9_.]+")
_FIRST_KEYS = ("ts", "level", "event", "component", "run_id", "msg")

_leveled: set[str] = set()
_components: set[str] = set()


def get_logger(component: str) -> BoundLogger:
    """The logger of one component; its name is ``marketd.<component>`` however the package was imported."""
    _components.add(component)
    return structlog.wrap_logger(  # type: ignore[no-any-return] # structlog types the factory as Any
        logging.getLogger(f"{_ROOT}.{component}"),
        processors=[structlog.stdlib.filter_by_level, ProcessorFormatter.wrap_for_formatter],
        wrapper_class=BoundLogger,
        cache_logger_on_first_use=True,
        component=component,
    )


def new_run_id() -> str:
    """A short random name of this run, the same on all its lines."""
    return token_hex(4)


def configure(
    *,
    level: str = "info",
    levels: str | Mapping[str, str] = "",
    fmt: Format = "auto",
    stream: TextIO | None = None,
    file: LogFile | None = None,
    metrics: Metrics | None = None,
    run_id: str = "",
    secrets: Iterable[str] = (),
) -> None:
    """Send all logs of the process to ``stream`` (default standard error, whose ``file`` is kept); may be called again.

    ``levels`` is the text of LOG_LEVELS (``writer=debug,lib.aiohttp=info``) or the same as a mapping.
    ``secrets`` are values to mask wherever they appear. Raises ``ConfigError`` before anything is changed.
    """
    wanted = _parse(level, levels)
    stream = sys.stderr if stream is None else stream
    if fmt == "auto":
        fmt = "text" if _is_terminal(stream) else "json"
    handler = SafeHandler(stream, metrics.log_lost if metrics else None, file)
    handler.addFilter(RepeatFilter(suppressed=metrics.log_suppressed if metrics else None))
    handler.setFormatter(_formatter(fmt, Cleaner(secrets), run_id, colors=_is_terminal(stream)))
    reset()
    logging.getLogger().addHandler(handler)
    logging.captureWarnings(True)
    _apply(wanted)


def check_levels(level: str, levels: str | Mapping[str, str] = "") -> None:
    """Raise ``ConfigError`` for levels that ``configure`` and ``set_levels`` would refuse."""
    _parse(level, levels)


def unknown_components(levels: Mapping[str, str]) -> list[str]:
    """Those that no part of this process, as far as it is loaded, writes lines as. Of libraries nobody knows."""
    return [name for name in levels if name not in _components and not name.startswith(_LIBRARY_PREFIX)]


def set_levels(level: str, levels: str | Mapping[str, str] = "") -> None:
    """Change the levels only (SIGHUP). Raises ``ConfigError`` and keeps the old ones."""
    _apply(_parse(level, levels))


def reset() -> None:
    """Undo ``configure``."""
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, SafeHandler)]:
        root.removeHandler(handler)
        handler.close()
    logging.captureWarnings(False)
    _apply({})


def parse_levels(text: str) -> dict[str, str]:
    """``writer=debug,rest=warning`` as a mapping; raises ``ConfigError`` naming every fault."""
    pairs = [item.strip().partition("=") for item in text.split(",") if item.strip()]
    found = {name.strip(): level.strip().lower() for name, _, level in pairs}
    problems = [
        f"LOG_LEVELS: {name}={level}: expected component=level with one of {', '.join(_LEVELS)}"
        for name, level in found.items()
        if level not in _LEVELS or not _COMPONENT.fullmatch(name)
    ]
    if problems:
        raise ConfigError(*problems)
    return found


def _parse(level: str, levels: str | Mapping[str, str]) -> dict[str, int]:
    """Levels by logger name."""
    if level.lower() not in _LEVELS:
        raise ConfigError(f"LOG_LEVEL: {level!r} is not one of {', '.join(_LEVELS)}")
    text = (
        levels if isinstance(levels, str) else ",".join(f"{name}={value}" for name, value in levels.items())
    )
    wanted = {_ROOT: _LEVELS[level.lower()]}
    for name, value in parse_levels(text).items():
        is_library = name.startswith(_LIBRARY_PREFIX)
        wanted[name.removeprefix(_LIBRARY_PREFIX) if is_library else f"{_ROOT}.{name}"] = _LEVELS[value]
    return wanted


def _apply(wanted: Mapping[str, int]) -> None:
    for name in _leveled - wanted.keys():
        logging.getLogger(name).setLevel(logging.NOTSET)
    for name, level in wanted.items():
        logging.getLogger(name).setLevel(level)
    _leveled.clear()
    _leveled.update(wanted)


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except (ValueError, AttributeError):  # closed, or detached by whoever started us
        return False


def _formatter(fmt: Format, cleaner: Cleaner, run_id: str, *, colors: bool) -> ProcessorFormatter:
    render: structlog.typing.Processor = _render_json if fmt == "json" else _TextRenderer(colors)
    clean = _Clean(cleaner)
    return ProcessorFormatter(
        processors=[_Envelope(run_id), structlog.processors.format_exc_info, clean, render]
    )


class _Envelope:
    """Adds what every line has, for our own lines and for those of libraries."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id

    def __call__(self, logger: Any, name: str, event: Event) -> Event:
        record: logging.LogRecord = event.pop("_record")
        if not event.pop("_from_structlog"):
            event.update(msg=event["event"], event="library_log", component=record.name)
        event["ts"] = (
            datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds")[:-6] + "Z"
        )
        event["level"] = record.levelname.lower()
        if self._run_id:
            event["run_id"] = self._run_id
        if held_back := getattr(record, "suppressed", 0):
            event["suppressed"] = held_back
        if error := _error_of(event.get("exc_info")):
            event.setdefault("err_class", type(error).__name__)
        return event


def _error_of(exc_info: object) -> BaseException | None:
    if isinstance(exc_info, tuple):
        exc_info = exc_info[1]
    elif exc_info is True:
        exc_info = sys.exc_info()[1]
    return exc_info if isinstance(exc_info, BaseException) else None


class _Clean:
    """Masks secrets, bounds sizes and puts the keys in their order."""

    def __init__(self, cleaner: Cleaner) -> None:
        self._cleaner = cleaner

    def __call__(self, logger: Any, name: str, event: Event) -> Event:
        traceback = event.pop("exception", None)
        keys = dict.fromkeys((*(key for key in _FIRST_KEYS if key in event), *event))
        clean = {self._cleaner.text(key): self._cleaner.named(key, event[key]) for key in keys}
        if traceback is not None:
            clean["exception"] = self._cleaner.text(str(traceback), MAX_TRACEBACK_CHARS)
        return clean


def _render_json(logger: Any, name: str, event: Event) -> str:
    return orjson.dumps(event).decode()


class _TextRenderer:
    """``20:26:02 [info] flush_done [writer] rows=740``; only a traceback may take more lines."""

    def __init__(self, colors: bool) -> None:
        self._render = structlog.dev.ConsoleRenderer(
            colors=colors,
            pad_event_to=28,
            exception_formatter=structlog.dev.plain_traceback,
            timestamp_key="ts",
        )

    def __call__(self, logger: Any, name: str, event: Event) -> str:
        traceback = event.pop("exception", None)
        event.pop("run_id", None)
        line = {
            key: escape_controls(value) if isinstance(value, str) else value for key, value in event.items()
        }
        line["ts"] = line["ts"][11:19]
        line["logger"] = line.pop("component", "")
        text = str(self._render(logger, name, line))
        if traceback is None:
            return text
        return text + "\n" + "\n".join(escape_controls(part) for part in traceback.split("\n"))
