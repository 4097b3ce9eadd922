"""A CSV, packed or not, in pieces of whole lines: a month of trades is larger than a process may become."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from ....errors import BadData
from .zip import ZipLimits, member_blocks, member_size

LARGE = ZipLimits(packed=4 << 30, unpacked=64 << 30, ratio=200)
"""A month of trades of the busiest symbol packs into 1 GB."""
_BLOCK_BYTES = 1 << 20
_LONGEST_PIECE = 256 << 20
"""Bytes: a file without line ends must not fill the memory."""


def pieces(path: Path, name: str | None, *, rows: int, percentage: float) -> Iterator[bytes]:
    """The first ``percentage`` of the file's bytes, up to the end of a line, ``rows`` lines a piece.

    A ``.csv`` is read as it lies there, anything else as a ZIP whose one member is called ``name``, or as it likes.
    Raises ``BadData`` like ``read_member``, some pieces perhaps given already.
    """
    plain = path.suffix.lower() == ".csv"
    size = path.stat().st_size if plain else member_size(path)
    blocks = _plain_blocks(path) if plain else member_blocks(path, name, LARGE)
    if percentage < 100:
        blocks = _first(blocks, math.ceil(size * percentage / 100))
    yield from _in_lines(blocks, rows)


def _plain_blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            yield block


def _first(blocks: Iterator[bytes], limit: int) -> Iterator[bytes]:
    """The first ``limit`` bytes, and on to the end of that line."""
    taken = 0
    for block in blocks:
        if taken + len(block) >= limit and (end := block.find(b"\n", max(0, limit - taken - 1))) >= 0:
            yield block[: end + 1]
            return
        yield block
        taken += len(block)


def _in_lines(blocks: Iterator[bytes], rows: int) -> Iterator[bytes]:
    waiting, lines = bytearray(), 0
    for block in blocks:
        waiting += block
        lines += block.count(b"\n")
        while lines >= rows:
            end = _end_of_line(waiting, rows)
            yield bytes(waiting[:end])
            del waiting[:end]
            lines -= rows
        if len(waiting) > _LONGEST_PIECE:
            raise BadData(f"{len(waiting)} bytes hold no {rows} lines", reason="lines")
    if waiting:
        yield bytes(waiting)


def _end_of_line(text: bytearray, number: int) -> int:
    """Where the ``number``-th line of ``text`` ends."""
    end = 0
    for _ in range(number):
        end = text.index(b"\n", end) + 1
    return end
