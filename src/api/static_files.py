"""The pages people look at: what ``scripts/pages.sh`` built from ``web/``, served from memory.

Only names that were found at the start are known, so no path leads anywhere else. Files under ``/assets/`` carry a hash
in their name and may be kept for ever; the page itself is asked for again each time, by its ETag.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.datastructures import Headers
from starlette.responses import Response

from .problems import problem

ROOT = Path(__file__).resolve().parent / "static"
PAGES = ("/", "/chart", "/analysis", "/arbitrage", "/tasks", "/alerts")
PUBLIC = (*PAGES, "/assets/", "/icon.svg")
"""What needs no token: no data are in it, and the page has to be there to ask for a token."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'"
)
"""Nothing inline, nothing from elsewhere, nobody's frame."""

_FOR_EVER = "public, max-age=31536000, immutable"
_ASK_AGAIN = "no-cache"
_ZIP_FROM_BYTES = 512
_NOT_BUILT = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>marketd</title></head><body>
<h1>The pages are not built</h1>
<p>marketd runs, and its data are at <code>/api/v1</code> (<a href="/docs">described here</a>), but the pages were
not built into this installation.</p>
<p>In a checkout: install Node 20.19 or newer with npm, run <code>scripts/pages.sh</code>, and start marketd again.</p>
</body></html>
"""

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file in memory; ``zipped`` where that is smaller."""

    body: bytes
    zipped: bytes | None
    media_type: str
    cache: str
    etag: str

    @classmethod
    def of(cls, name: str, body: bytes) -> StaticFile:
        zipped = gzip.compress(body, 9, mtime=0) if len(body) >= _ZIP_FROM_BYTES else body
        return cls(
            body=body,
            zipped=zipped if len(zipped) < len(body) else None,
            media_type=_media_type(name),
            cache=_FOR_EVER if name.startswith("assets/") else _ASK_AGAIN,
            etag=f'"{hashlib.sha256(body).hexdigest()[:32]}"',
        )

    def answer(self, headers: Headers) -> Response:
        """For a request with these headers: whole, zipped, or that it has not changed."""
        own = {
            "cache-control": self.cache,
            "content-security-policy": POLICY,
            "cross-origin-opener-policy": "same-origin",
            "etag": self.etag,
            "vary": "accept-encoding",
        }
        if self.etag in headers.get("if-none-match", ""):
            return Response(status_code=304, headers=own)
        if self.zipped is not None and "gzip" in headers.get("accept-encoding", ""):
            return Response(
                self.zipped, headers={**own, "content-encoding": "gzip"}, media_type=self.media_type
            )
        return Response(self.body, headers=own, media_type=self.media_type)


def load(root: Path) -> Mapping[str, StaticFile]:
    """Every file below ``root`` by its name there; none whose name begins with a dot. Empty without ``index.html``."""
    if not (root / "index.html").is_file():
        return {}
    found = sorted(path for path in root.rglob("*") if path.is_file() and not path.name.startswith("."))
    names = {path.relative_to(root).as_posix(): path for path in found}
    return {name: StaticFile.of(name, path.read_bytes()) for name, path in names.items()}


@lru_cache(maxsize=1)
def files() -> Mapping[str, StaticFile]:
    """The files of this installation, read once: a megabyte."""
    return load(ROOT)


async def page(request: Request) -> Response:
    """Any of the pages: one document, which looks at its own address."""
    found = files().get("index.html") or _not_built()
    return found.answer(request.headers)


@router.get("/assets/{name}")
@router.head("/assets/{name}")
async def asset(name: str, request: Request) -> Response:
    return _named(f"assets/{name}", request)


@router.get("/icon.svg")
@router.head("/icon.svg")
async def icon(request: Request) -> Response:
    return _named("icon.svg", request)


for _path in PAGES:
    router.add_api_route(_path, page, methods=["GET", "HEAD"], response_class=Response)


def _named(name: str, request: Request) -> Response:
    found = files().get(name)
    if found is None:
        raise problem(404, detail="there is no such file; load the page again")
    return found.answer(request.headers)


@lru_cache(maxsize=1)
def _not_built() -> StaticFile:
    return StaticFile.of("not-built.html", _NOT_BUILT.encode())


def _media_type(name: str) -> str:
    if name.endswith(".js"):
        return "text/javascript"  # what the standard library says of it depends on the machine
    return mimetypes.guess_type(name)[0] or "application/octet-stream"
