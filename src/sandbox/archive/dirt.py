"""What is wrong with an archive file on demand: its rows, its bytes, its members."""

from __future__ import annotations

import stat
import struct
import zipfile
from collections.abc import Callable, Sequence

from ..faults import Fault
from ..market.candles import unit
from .zip import pack

TRANSPORT = frozenset({"truncated", "bit_flip", "cut", "stall", "missing", "html", "s3_error"})
"""What happens on the way; the checksum is that of the good file."""
PROOF = frozenset({"checksum", "no_checksum"})
"""What is wrong with the ``.CHECKSUM`` file."""
SHARED_ROWS = 0.02
"""By default one row in fifty is spoiled."""
BOMB_BYTES = 64 * 1024 * 1024

Line = list[bytes]
"""The cells of a row."""


def spoiled(header: bytes, text: bytes, faults: Sequence[Fault]) -> bytes:
    """Header and rows after the faults that are in the text."""
    for fault in faults:
        if (change := _ROWS.get(fault.mode)) is not None:
            text = _join(change([line.split(b",") for line in text.splitlines()], fault))
    modes = {fault.mode for fault in faults}
    if "headerless" in modes:
        header = b""
    if "extra_columns" in modes:
        header, text = header.replace(b"\n", b",extra\n"), text.replace(b"\n", b",7\n")
    whole = header + text
    if "reordered" in modes:
        whole = _join([line.split(b",")[::-1] for line in whole.splitlines()])
    if "crlf" in modes:
        whole = whole.replace(b"\n", b"\r\n")
    return b"\xef\xbb\xbf" + whole if "bom" in modes else whole


def packed(stem: str, text: bytes, faults: Sequence[Fault]) -> bytes:
    """The ZIP with the text, in the form of the first fault that is about the form."""
    for fault in faults:
        if (form := _FORMS.get(fault.mode)) is not None:
            return form(stem, text, fault)
    return pack((f"{stem}.csv", text))


def flipped(content: bytes) -> bytes:
    """One bit in the middle is another."""
    place = len(content) // 2
    return content[:place] + bytes([content[place] ^ 0x10]) + content[place + 1 :]


def wrong_proof(proof: bytes) -> bytes:
    """A checksum of something else."""
    return proof[:64][::-1] + proof[64:]


def revised(text: bytes, minutes: Sequence[tuple[int, int]]) -> bytes:
    """Kline rows in which candles have been corrected: (open time, how often). Volume and trades grow by it."""
    wanted = dict(minutes)
    lines = [line.split(b",") for line in text.splitlines()]
    for cells in lines:
        if (times := wanted.get(int(cells[0]))) is not None:
            digits = str(int(cells[5].replace(b".", b"")) + times).encode().rjust(len(cells[5]) - 1, b"0")
            places = len(cells[5].partition(b".")[2])
            cells[5] = digits[:-places] + b"." + digits[-places:] if places else digits.lstrip(b"0")
            cells[8] = str(int(cells[8]) + times).encode()
    return _join(lines)


def _chosen(fault: Fault, place: int) -> bool:
    return fault.share >= 1.0 or unit(place ^ fault.number << 32 ^ 0xD1 << 48) < fault.share


def _gaps(lines: list[Line], fault: Fault) -> list[Line]:
    return [cells for place, cells in enumerate(lines) if not _chosen(fault, place)]


def _duplicates(lines: list[Line], fault: Fault) -> list[Line]:
    return [cells for place, cells in enumerate(lines) for _ in range(1 + _chosen(fault, place))]


def _unsorted(lines: list[Line], fault: Fault) -> list[Line]:
    order = sorted(range(len(lines)), key=lambda place: unit(place ^ fault.number << 32))
    return [lines[place] for place in order]


def _blank(lines: list[Line], fault: Fault) -> list[Line]:
    """One cell of a row is empty: the quote volume of a candle, one value of metrics."""
    for place, cells in enumerate(lines):
        if _chosen(fault, place):
            cells[7 if len(cells) > 8 else 2 + place % (len(cells) - 2)] = b""
    return lines


def _zero_volume(lines: list[Line], fault: Fault) -> list[Line]:
    """Candles in which nothing was traded, where REST has trades."""
    for place, cells in enumerate(lines):
        if _chosen(fault, place):
            cells[2:5] = [cells[1]] * 3
            for column in (5, 7, 8, 9, 10):
                cells[column] = b"0"
    return lines


def _microseconds(lines: list[Line], _: Fault) -> list[Line]:
    for cells in lines:
        cells[0] += b"000"
        if len(cells) > 8:
            cells[6] += b"999"
    return lines


def _two_members(stem: str, text: bytes, _: Fault) -> bytes:
    return pack((f"{stem}.csv", text), ("readme.txt", b"more\n"))


def _no_member(stem: str, text: bytes, _: Fault) -> bytes:
    return pack()


def _wrong_member(stem: str, text: bytes, _: Fault) -> bytes:
    return pack((f"X{stem}.csv", text))


def _evil_path(stem: str, text: bytes, fault: Fault) -> bytes:
    """The member's name is the fault's, or leads out of the folder."""
    return pack(((fault.body or "../{stem}.csv").replace("{stem}", stem), text))


def _symlink(stem: str, text: bytes, _: Fault) -> bytes:
    """The member is a symbolic link; its content is where that leads."""
    content = pack((f"{stem}.csv", b"/etc/passwd"))
    return _patched(content, central=38, value=struct.pack("<I", (stat.S_IFLNK | 0o777) << 16))


def _nested_content(stem: str, text: bytes, _: Fault) -> bytes:
    """The member has the right name, and is a ZIP again."""
    return pack((f"{stem}.csv", pack((f"{stem}.csv", text))))


def _nested(stem: str, text: bytes, _: Fault) -> bytes:
    return pack((f"{stem}.zip", pack((f"{stem}.csv", text))))


def _lzma(stem: str, text: bytes, _: Fault) -> bytes:
    return pack((f"{stem}.csv", text), compression=zipfile.ZIP_LZMA)


def _bomb(stem: str, text: bytes, _: Fault) -> bytes:
    return pack((f"{stem}.csv", text + b"0" * BOMB_BYTES), level=9)


def _forged(size: int | None, more: int = 0, *, bomb: bool = False) -> Callable[[str, bytes, Fault], bytes]:
    """Both headers say that the member has ``size`` bytes, or so many ``more`` than it has."""

    def form(stem: str, text: bytes, fault: Fault) -> bytes:
        content = _bomb(stem, text, fault) if bomb else pack((f"{stem}.csv", text))
        said = struct.pack("<I", len(text) + more if size is None else size)
        return _patched(content, local=22, central=24, value=said)

    return form


def _encrypted(stem: str, text: bytes, _: Fault) -> bytes:
    """Both headers say that a password is needed."""
    return _patched(pack((f"{stem}.csv", text)), local=6, central=8, value=struct.pack("<H", 0x801))


def _published_short(stem: str, text: bytes, _: Fault) -> bytes:
    """Cut in the middle before anybody reckoned the checksum."""
    content = pack((f"{stem}.csv", text))
    return content[: len(content) // 2]


def _published_flip(stem: str, text: bytes, _: Fault) -> bytes:
    """One bit was another already when the checksum was reckoned."""
    return flipped(pack((f"{stem}.csv", text)))


def _patched(content: bytes, *, local: int | None = None, central: int, value: bytes) -> bytes:
    """With ``value`` at these places of the member's two headers."""
    changed = bytearray(content)
    second = content.rindex(b"PK\x01\x02")
    for place in (second + central, *([] if local is None else [local])):
        changed[place : place + len(value)] = value
    return bytes(changed)


def _join(lines: list[Line]) -> bytes:
    return b"".join(b",".join(cells) + b"\n" for cells in lines)


_ROWS: dict[str, Callable[[list[Line], Fault], list[Line]]] = {
    "gaps": _gaps,
    "duplicates": _duplicates,
    "unsorted": _unsorted,
    "blank": _blank,
    "zero_volume": _zero_volume,
    "microseconds": _microseconds,
}
_FORMS: dict[str, Callable[[str, bytes, Fault], bytes]] = {
    "two_members": _two_members,
    "no_member": _no_member,
    "wrong_member": _wrong_member,
    "evil_path": _evil_path,
    "symlink": _symlink,
    "nested": _nested,
    "nested_content": _nested_content,
    "lzma": _lzma,
    "bomb": _bomb,
    "forged_size": _forged(100),
    "forged_larger": _forged(None, 1000),
    "forged_huge": _forged(1 << 30),
    "forged_bomb": _forged(100, bomb=True),
    "encrypted": _encrypted,
    "published_short": _published_short,
    "published_flip": _published_flip,
}
CONTENT = frozenset({*_ROWS, *_FORMS, "headerless", "extra_columns", "reordered", "crlf", "bom"})
"""What is wrong inside the file; the checksum is that of the spoiled file."""
KLINES_ONLY = frozenset({"zero_volume"})
"""What makes no sense in other files, which are then served as they are."""
