"""Archive files as tests make them: honest ones, and every way in which one can be damaged."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from collections.abc import Callable, Mapping

NAME = "BTCUSDT-1m-2026-02-01.csv"
HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,"
    "taker_buy_quote_volume,ignore\n"
)
FIRST_MS = 1_769_904_000_000
"""2026-02-01 00:00 UTC."""


def csv_row(minute: int, *, price: float = 100.0, trades: int = 10) -> str:
    """One good row of the archive, without its line end."""
    opened = FIRST_MS + minute * 60_000
    volume = 2 * trades
    return (
        f"{opened},{price},{price + 1},{price - 1},{price + 0.5},{volume},{opened + 59_999},{volume * price},"
        f"{trades},{trades},{trades * price},0"
    )


def csv_text(minutes: int = 1440, *, header: bool = True) -> bytes:
    """One day of candles."""
    rows = (csv_row(minute, price=100.0 + minute % 7, trades=1 + minute % 5) for minute in range(minutes))
    return ((HEADER if header else "") + "".join(f"{row}\n" for row in rows)).encode()


def zipped(members: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def good_zip(content: bytes | None = None, name: str = NAME) -> bytes:
    return zipped({name: csv_text() if content is None else content})


def _flipped() -> bytes:
    data = bytearray(good_zip())
    data[len(data) // 2] ^= 0x10
    return bytes(data)


def _with_size(change: int) -> bytes:
    """The uncompressed size in both headers is wrong by ``change`` bytes."""
    data = bytearray(good_zip())
    central = data.rindex(b"PK\x01\x02")
    for place in (22, central + 24):
        (size,) = struct.unpack_from("<I", data, place)
        struct.pack_into("<I", data, place, size + change)
    return bytes(data)


def _encrypted() -> bytes:
    data = bytearray(good_zip())
    central = data.rindex(b"PK\x01\x02")
    data[6] |= 1
    data[central + 8] |= 1
    return bytes(data)


def _symlink() -> bytes:
    buffer = io.BytesIO()
    entry = zipfile.ZipInfo(NAME)
    entry.create_system = 3
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(entry, "/etc/passwd")
    return buffer.getvalue()


DAMAGED: dict[str, tuple[Callable[[], bytes], str]] = {
    "cut": (lambda: good_zip()[:-40], "bad_zip"),
    "cut in the middle": (lambda: good_zip()[: len(good_zip()) // 2], "bad_zip"),
    "empty": (lambda: b"", "bad_zip"),
    "no zip": (lambda: csv_text(5), "bad_zip"),
    "one bit flipped": (_flipped, "bad_zip"),
    "bomb": (lambda: good_zip(b"0" * 64_000_000), "ratio"),
    "forged to be smaller": (lambda: _with_size(-1000), "bad_zip"),
    "forged to be larger": (lambda: _with_size(1000), "size"),
    "a gigabyte": (lambda: _with_size(1 << 30), "too_large"),
    "no member": (lambda: zipped({}), "members"),
    "two members": (lambda: zipped({NAME: csv_text(), "readme.txt": b"hello"}), "members"),
    "wrong member": (lambda: good_zip(name="ETHUSDT-1m-2026-02-01.csv"), "member_name"),
    "parent folder": (lambda: good_zip(name=f"../../{NAME}"), "member_name"),
    "absolute": (lambda: good_zip(name=f"/tmp/{NAME}"), "member_name"),  # noqa: S108 - never written
    "device": (lambda: good_zip(name="CON"), "member_name"),
    "symbolic link": (_symlink, "member_kind"),
    "encrypted": (_encrypted, "encrypted"),
    "lzma": (lambda: zipped({NAME: csv_text()}, zipfile.ZIP_LZMA), "method"),
    "bzip2": (lambda: zipped({NAME: csv_text()}, zipfile.ZIP_BZIP2), "method"),
    "nested zip": (lambda: good_zip(good_zip()), "nested"),
}
"""What is wrong with it: how it is made, and the reason it is refused with (faults D1, D2, D5, D6, D7)."""
