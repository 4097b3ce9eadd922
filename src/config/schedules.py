"""How schedules are written: ``Levels(timeframe=15m)=*/15 * * * *``, or in YAML as a list of kind, cron, parameters."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from croniter import CroniterBadDateError, croniter

_NAME = re.compile(r"(\w+)(?:\((.*)\))?", re.DOTALL)
_KEYS = {"kind", "cron", "parameters"}
_PLAIN = re.compile(r"[^\s\"\[{(,)\]}=][^\"\[{(,)\]}]*")
_OPEN, _CLOSE = "([{", ")]}"


def schedules(value: object) -> dict[str, str]:
    """Each schedule's name (kind and parameters, in one way of writing them) to its cron. Raises ``ValueError``."""
    found: dict[str, str] = {}
    for name, cron in _written(value):
        kind, parameters = named(name)
        one, when = name_of(kind, parameters), " ".join(cron.split())
        if not croniter.is_valid(when) or len(when.split()) not in (5, 6):
            raise ValueError(f"{one}={when}: not five or six cron fields, as in */5 * * * *")
        if not _comes(when):
            raise ValueError(f"{one}={when}: no year has such a day")
        if one in found:
            raise ValueError(f"{one}: stands there twice; keep one, a cron field takes a list such as 5,35")
        found[one] = when
    return found


def _comes(cron: str) -> bool:
    """Whether it is ever due: the 31st of February has five fields as well."""
    try:
        croniter(cron, 0).get_next(float)
    except CroniterBadDateError:
        return False
    return True


def named(name: str) -> tuple[str, dict[str, Any]]:
    """Kind and parameters of a schedule's name. A value that looks like JSON is JSON, another one text."""
    match = _NAME.fullmatch(name.strip())
    if match is None:
        raise ValueError(f"{name.strip()!r} is not a task, as in Levels or Levels(timeframe=15m)")
    parameters: dict[str, Any] = {}
    for item in split(match[2] or ""):
        field, equals, text = (part.strip() for part in item.partition("="))
        if not equals or not field:
            raise ValueError(f"{name.strip()}: {item.strip()!r} is not NAME=VALUE, as in timeframe=15m")
        if field in parameters:
            raise ValueError(f"{name.strip()}: {field} stands there twice")
        parameters[field] = _value(name, field, text)
    return match[1], parameters


def name_of(kind: str, parameters: dict[str, Any]) -> str:
    """The name of a schedule, the same for the same parameters in any order."""
    if not parameters:
        return kind
    return f"{kind}({','.join(f'{field}={_text(value)}' for field, value in sorted(parameters.items()))})"


def split(text: str) -> Iterator[str]:
    """``text`` at its commas, but not at those within brackets or JSON texts. Blank parts are left out."""
    depth, quoted, escaped, part = 0, False, False, ""
    for character in text:
        if character == "," and not depth and not quoted:
            if part.strip():
                yield part
            part = ""
            continue
        part += character
        if character == '"' and not escaped:
            quoted = not quoted
        escaped = quoted and character == "\\" and not escaped
        if not quoted:
            depth += (character in _OPEN) - (character in _CLOSE)
    if depth or quoted:
        raise ValueError(f"{text.strip()!r}: a bracket or quote is not closed")
    if part.strip():
        yield part


def _written(value: object) -> Iterable[tuple[str, str]]:
    if isinstance(value, str):
        return [_pair(item) for item in _items(value)]
    if isinstance(value, dict):
        return [(str(name), str(cron)) for name, cron in value.items()]
    if isinstance(value, list):
        return [_entry(number, item) for number, item in enumerate(value, 1)]
    raise ValueError("must be task=cron pairs, as in Bars=*/5 * * * * 20")


def _items(text: str) -> list[str]:
    """A comma within a cron field does not end an item, as only an item has an equals sign."""
    items: list[str] = []
    for part in split(text):
        if "=" in part or not items:
            items.append(part)
        else:
            items[-1] += f",{part}"
    return items


def _pair(item: str) -> tuple[str, str]:
    name, equals, cron = item.rpartition("=")
    if not equals or not name.strip() or ")" in cron:
        raise ValueError(f"{item.strip()!r} is not task=cron, as in Levels=2 * * * *")
    return name, cron


def _entry(number: int, item: object) -> tuple[str, str]:
    if not isinstance(item, dict) or not {"kind", "cron"} <= item.keys() or not item.keys() <= _KEYS:
        raise ValueError(f"entry {number}: must have kind and cron, and may have parameters")
    parameters = item.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise ValueError(f"entry {number}: parameters must be name: value lines")  # noqa: TRY004
    given = {str(field): value for field, value in parameters.items() if value is not None}
    return name_of(str(item["kind"]), given), str(item["cron"])


def _value(name: str, field: str, text: str) -> Any:
    if text[:1] not in ('"', "[", "{"):
        return text
    try:
        return json.loads(text)
    except ValueError:
        raise ValueError(f"{name.strip()}: {field}={text} looks like JSON and is not") from None


def _text(value: object) -> str:
    """As it is written: plain where that is read back as the same, else as JSON."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value == value.strip():
        return value
    if isinstance(value, str | dict | list):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True, default=str)
    return str(value)
