"""The one member of a ZIP, read in place: nothing is ever extracted, and no header is believed about sizes."""

from __future__ import annotations

import errno
import lzma
import stat
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ....errors import BadData

_ENCRYPTED = 0x1
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_BLOCK_BYTES = 1 << 20
_SMALL_BYTES = 1 << 20
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    ValueError,
    OverflowError,
)


@dataclass(frozen=True, slots=True)
class ZipLimits:
    """Bytes as they lie there and unpacked, and how many times larger they may become.

    A month of 1m candles has 2 MB and unpacks to 5 MB. A month without one trade packs 30 times smaller; a bomb
    1000 times.
    """

    packed: int = 64 * 1024 * 1024
    unpacked: int = 256 * 1024 * 1024
    ratio: int = 200


def read_member(path: Path, name: str, limits: ZipLimits | None = None) -> bytes:
    """The bytes of the member ``name``, which must be the only one; its length and CRC are checked.

    Raises ``BadData`` with a reason: ``bad_zip`` (cut, damaged), ``too_large``, ``members``, ``member_name``,
    ``member_kind``, ``encrypted``, ``method``, ``ratio``, ``size`` (another one than the header says), ``nested``.
    """
    return b"".join(member_blocks(path, name, limits))


def member_blocks(path: Path, name: str | None, limits: ZipLimits | None = None) -> Iterator[bytes]:
    """The same block by block, for members that are too large to be held; any one member without a ``name``.

    That it is damaged may show after some blocks only, its CRC after the last.
    """
    limits = limits or ZipLimits()
    if path.stat().st_size > limits.packed:
        raise BadData(f"{path.name} has more than {limits.packed} bytes", reason="too_large")
    first = True
    try:
        with zipfile.ZipFile(path) as archive:
            for block in _read(archive, _only_member(archive, name, limits), limits):
                if first and block.startswith(b"PK\x03\x04"):
                    raise BadData(f"{path.name}: its member is a ZIP again", reason="nested")
                first = False
                yield block
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        # A forged place before the file's beginning.
        raise _bad_zip(path, error) from error
    except _DAMAGED as error:
        raise _bad_zip(path, error) from error


def member_size(path: Path) -> int:
    """The unpacked bytes that the directory of a ZIP promises. Raises ``BadData`` (``bad_zip``)."""
    try:
        with zipfile.ZipFile(path) as archive:
            return sum(member.file_size for member in archive.infolist())
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        # A forged place before the file's beginning.
        raise _bad_zip(path, error) from error
    except _DAMAGED as error:
        raise _bad_zip(path, error) from error


def _bad_zip(path: Path, error: Exception) -> BadData:
    return BadData(f"{path.name}: {type(error).__name__}: {error}", reason="bad_zip")


def _only_member(archive: zipfile.ZipFile, name: str | None, limits: ZipLimits) -> zipfile.ZipInfo:
    members = archive.infolist()
    if len(members) != 1:
        raise BadData(f"{len(members)} members instead of one", reason="members")
    member = members[0]
    # orig_filename: zipfile cuts a name at a NUL and turns backslashes round.
    if name is not None and (member.filename != name or member.orig_filename != name):
        raise BadData(
            f"the member is called {member.orig_filename[:100]!r}, not {name!r}", reason="member_name"
        )
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise BadData(f"the member is no plain file (mode {kind:o})", reason="member_kind")
    if member.flag_bits & _ENCRYPTED:
        raise BadData("the member is encrypted", reason="encrypted")
    if member.compress_type not in _METHODS:
        raise BadData(f"compression method {member.compress_type} is not taken", reason="method")
    if member.file_size > limits.unpacked:
        raise BadData(f"would have {member.file_size} bytes unpacked", reason="too_large")
    if _is_bomb(member.file_size, member.compress_size, limits):
        raise BadData(f"{member.compress_size} bytes would become {member.file_size}", reason="ratio")
    return member


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo, limits: ZipLimits) -> Iterator[bytes]:
    """All of it, block by block, so that what a forged header hides is seen before it fills the memory."""
    size = 0
    with archive.open(member) as stream:
        while block := stream.read(_BLOCK_BYTES):
            size += len(block)
            if size > limits.unpacked:
                raise BadData(f"more than {limits.unpacked} bytes unpacked", reason="too_large")
            if _is_bomb(size, member.compress_size, limits):
                raise BadData(f"{member.compress_size} bytes became {size} and more", reason="ratio")
            yield block
    if size != member.file_size:
        raise BadData(f"{size} bytes instead of {member.file_size}", reason="size")


def _is_bomb(unpacked: int, packed: int, limits: ZipLimits) -> bool:
    return unpacked > _SMALL_BYTES and unpacked > packed * limits.ratio
