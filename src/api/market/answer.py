"""The answer to a question about a series: JSON that was written by the database, in a frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from starlette.requests import Request
from starlette.responses import Response

from ..answers import Json
from ..cache import CLOSED_S
from ..parts import Parts
from ..problems import encode
from .arrow import MEDIA_TYPE as ARROW
from .arrow import klines_stream
from .pieces import Piece

NEXT = "X-Next-Cursor"
"""Header of an answer that is no JSON: the cursor of the next piece, where there is one."""


def wants_arrow(accept: str) -> bool:
    """Whether a header ``Accept`` names Arrow, and does not rank JSON above it."""
    ranks = dict(_ranked(accept))
    return ranks.get(ARROW, 0.0) > 0 and ranks[ARROW] >= ranks.get("application/json", 0.0)


def _ranked(accept: str) -> Iterator[tuple[str, float]]:
    for part in accept.split(","):
        kind, *options = (word.strip() for word in part.lower().split(";"))
        rank = 1.0
        for option in options:
            if option.startswith("q="):
                try:
                    rank = float(option[2:])
                except ValueError:
                    rank = 0.0
        yield kind, rank


def piece_of(piece: Piece, **about: object) -> Json:
    """``{..., "data": [...], "next": ...}``; ``about`` comes first."""
    return Json(framed(about, piece.text, {"next": piece.next}))


def stream_of(piece: Piece) -> Response:
    """A packed piece as an Arrow IPC stream; what does not fit into a table is in headers."""
    headers = {NEXT: piece.next} if piece.next else {}
    return Response(klines_stream(piece.text), media_type=ARROW, headers=headers)


def framed(about: Mapping[str, object], rows: str, behind: Mapping[str, object] | None = None) -> bytes:
    """``about``, the rows as ``data``, and what comes behind them, as one JSON object."""
    head = encode(dict(about))[:-1] + (b"," if about else b"")
    tail = b"," + encode(dict(behind))[1:] if behind else b"}"
    return b"".join((head, b'"data":[', rows.encode(), b"]", tail))


def keep(
    given: Parts, request: Request, answer: Response, piece: Piece, symbol: str, closed_ms: int | None
) -> Response:
    """The answer, kept for a while where all of it lies before ``closed_ms``: what is over changes seldom."""
    if piece.upto_ms is not None and closed_ms is not None and piece.upto_ms <= closed_ms:
        given.cache.keep(request, answer, CLOSED_S, symbol=symbol, upto_ms=piece.upto_ms)
    return answer
