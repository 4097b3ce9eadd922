"""One object of the archive into a ``Part``: resumed where the version is the same, never past its cap."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable

from yarl import URL

from ....errors import BadData, NotPublished, Unavailable
from ..rest.errors import error_of
from ..rest.http import GuardedSession, Streamed
from .listing import refuse_page
from .part import Part

_BLOCK_BYTES = 256 * 1024
_SHOWN_BYTES = 2048
_RANGE = re.compile(r"bytes ([0-9]{1,15})-[0-9]{1,15}/([0-9]{1,15})")
# Weak tags (W/"...") name no bytes, and this one is kept as a file: only what a bucket writes is believed.
_STRONG_TAG = re.compile(r'"[\x21\x23-\x7e]{1,128}"')
_WHOLE, _REST, _MISSING, _NOT_SO_LONG = 200, 206, 404, 416


async def download(
    session: GuardedSession,
    url: URL,
    part: Part,
    *,
    limit: int,
    now: Callable[[], float],
    on_bytes: Callable[[int], None],
) -> None:
    """Fill ``part`` from ``url``; a call that failed is continued by the next one.

    Raises ``NotPublished``, ``Unavailable`` (a page instead of a file, a cut), ``BadData`` (``too_large``) over
    ``limit`` bytes, and ``OSError`` when the disk does not take it.
    """
    headers = {"Accept-Encoding": "identity"}
    if part.size and part.tag:
        headers |= {"Range": f"bytes={part.size}-", "If-Range": part.tag}
    async with session.stream(url, headers=headers) as answer:
        await _check(answer, now())
        await asyncio.to_thread(_place, part, answer)
        expected = part.size + _length(answer)
        if expected > limit:
            raise BadData(f"{url.name} has {expected} bytes, more than {limit}", reason="too_large")
        async for block in _blocks(answer):
            if part.size == 0:
                _refuse_text(block)
            if part.size + len(block) > limit:
                raise BadData(f"{url.name} has more than {limit} bytes", reason="too_large")
            await asyncio.to_thread(part.write, block)
            on_bytes(len(block))
    if part.size < expected:
        raise Unavailable(f"{url.name} ended after {part.size} of {expected} bytes", reason="truncated")


async def _check(answer: Streamed, now: float) -> None:
    if answer.status in (_WHOLE, _REST):
        return
    if answer.status == _NOT_SO_LONG:
        # The part is as long as the object or longer; whether it is the object, its checksum will say.
        raise Unavailable("the archive has no more bytes", reason="range")
    text = await answer.text(_SHOWN_BYTES)
    if answer.status == _MISSING:
        raise NotPublished("the archive has no such file", reason="not_published")
    raise error_of(answer.status, answer.headers, text, None, now)


def _place(part: Part, answer: Streamed) -> None:
    """Go on where the answer goes on, or begin anew with the version it has."""
    tag = answer.headers.get("ETag", "")
    found = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    if answer.status == _REST:
        if found is None or int(found.group(1)) != part.size or tag != part.tag:
            part.restart("")
            raise Unavailable("the archive went on somewhere else", reason="range")
        return
    part.restart(tag if _STRONG_TAG.fullmatch(tag) else "")


def _length(answer: Streamed) -> int:
    value = answer.headers.get("Content-Length", "")
    return int(value) if value.isascii() and value.isdecimal() and len(value) < 16 else 0


async def _blocks(answer: Streamed) -> AsyncIterator[bytes]:
    """The body in blocks worth a thread's time; what came before a cut is kept too."""
    waiting = bytearray()
    try:
        async for piece in answer.parts():
            waiting += piece
            if len(waiting) >= _BLOCK_BYTES:
                yield bytes(waiting)
                waiting.clear()
    except Unavailable:
        if waiting:
            yield bytes(waiting)
        raise
    if waiting:
        yield bytes(waiting)


def _refuse_text(block: bytes) -> None:
    """A page with status 200 where a file should be: no ZIP begins like one."""
    if block[:64].lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<"):
        refuse_page(block[:_SHOWN_BYTES].decode("utf-8", "replace"))
        raise Unavailable(f"a page instead of a file: {block[:60]!r}", reason="html")
