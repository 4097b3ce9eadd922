"""The text of a CSV file cut into lines and columns, pure: header or none, byte-order mark, line ends, odd lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ....errors import BadData

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_COMMA, _NEWLINE, _POINT, _ZERO = 44, 10, 46, 48
_PLAIN = b"0123456789.,-\n"
_KLINE_COLUMNS = 11


@dataclass(frozen=True, slots=True)
class Table:
    """``body`` holds lines of ``width`` cells each, every one ended by a newline, and no header.

    ``places`` is the column of each name, ``odd`` are lines of another width, ``plain`` says that nothing but digits,
    minus signs and points between digits is in it.
    """

    body: bytes
    width: int
    places: Mapping[str, int]
    odd: tuple[str, ...]
    plain: bool


def cut(
    data: bytes, names: Sequence[str], aliases: Mapping[str, str], *, needed: int = _KLINE_COLUMNS
) -> Table:
    """The table in ``data``, whose columns are ``names`` in order, or as its header says; ``needed`` at least.

    Raises ``BadData``: ``empty``, ``columns`` (too few, or a header without one of ``names``).
    """
    text = data.removeprefix(_BYTE_ORDER_MARK)
    if b"\r" in text:
        text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    text = text.lstrip(b"\n")
    if not text.strip():
        raise BadData("the file has no rows", reason="empty")
    text = text if text.endswith(b"\n") else text + b"\n"
    first, _, rest = text.partition(b"\n")
    has_header = not first[:1].isdigit()
    width = first.count(b",") + 1
    places = _header(first, names, aliases) if has_header else {name: at for at, name in enumerate(names)}
    if width < needed:
        raise BadData(f"{width} columns instead of {needed} or more: {first[:100]!r}", reason="columns")
    body = rest if has_header else text
    odd: list[str] = []
    if not _is_regular(body, width):
        body, odd = _regular_lines(body, width)
    return Table(body, width, places, tuple(odd), _is_plain(body))


def _header(line: bytes, names: Sequence[str], aliases: Mapping[str, str]) -> dict[str, int]:
    cells = line.decode("utf-8", "replace").split(",")
    found = [cell.strip().strip('"').lower().replace(" ", "_") for cell in cells]
    found = [aliases.get(name, name) for name in found]
    places = {name: at for at, name in enumerate(found)}
    if missing := [name for name in names if name not in places]:
        raise BadData(f"the header has no {', '.join(missing)}: {line[:200]!r}", reason="columns")
    if len(places) != len(found):
        raise BadData(f"the header names a column twice: {line[:200]!r}", reason="columns")
    return places


def _is_plain(body: bytes) -> bool:
    if body.translate(None, _PLAIN):
        return False
    # Of these characters the digits are the largest; the body ends in a newline, so there is one after each point.
    codes = np.frombuffer(body, np.uint8)
    points = np.flatnonzero(codes == _POINT)
    begins = len(points) > 0 and points[0] == 0
    return not begins and bool((codes[points - 1] >= _ZERO).all() and (codes[points + 1] >= _ZERO).all())


def _is_regular(body: bytes, width: int) -> bool:
    """Whether each line has exactly ``width`` cells; looks at all bytes at once."""
    if body.count(b",") != body.count(b"\n") * (width - 1):
        return False
    codes = np.frombuffer(body, np.uint8)
    ends = np.flatnonzero(codes == _NEWLINE)
    commas = np.flatnonzero(codes == _COMMA).reshape(len(ends), width - 1)
    return bool((commas[:, -1] < ends).all() and (commas[1:, 0] > ends[:-1]).all())


def _regular_lines(body: bytes, width: int) -> tuple[bytes, list[str]]:
    regular, odd = [], []
    for line in body.split(b"\n"):
        if line.count(b",") == width - 1:
            regular.append(line + b"\n")
        elif line.strip():
            odd.append(line.decode("utf-8", "replace"))
    return b"".join(regular), odd
