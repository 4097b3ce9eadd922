"""The pages as they are served: what is known, for how long it may be kept, and what a browser may do with it."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from src.api import static_files
from src.api.security import Tokens
from tests.support.api import Api, served

_SCRIPT = "const text = 'the same again';\n" * 100
_BUILT = {
    "index.html": '<!doctype html><script type="module" src="/assets/index-0123.js"></script>',
    "assets/index-0123.js": _SCRIPT,
    "assets/index-0123.css": "body {}",
    "icon.svg": "<svg xmlns='http://www.w3.org/2000/svg'/>",
    ".stamp": "secret",
}


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installation whose pages are built."""
    for name, text in _BUILT.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    yield from _installed(tmp_path, monkeypatch)


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """One without."""
    yield from _installed(tmp_path, monkeypatch)


def _installed(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(static_files, "ROOT", root)
    static_files.files.cache_clear()
    yield root
    static_files.files.cache_clear()


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    """Tokens are set: the pages are for strangers all the same."""
    tokens = tmp_path / "tokens.txt"
    tokens.write_text(f"somebody admin {'s' * 64}\n")
    loaded = Tokens(str(tokens))
    loaded.load()
    async with served(tokens=loaded) as api:
        yield api


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        yield session


@pytest.mark.parametrize("path", static_files.PAGES)
async def test_every_page_is_the_same_document(
    built: Path, api: Api, session: aiohttp.ClientSession, path: str
) -> None:
    async with session.get(f"{api.url}{path}?id=1&interval=1h") as answer:
        assert (answer.status, await answer.text()) == (200, _BUILT["index.html"])
        assert answer.content_type == "text/html"
        assert answer.headers["Cache-Control"] == "no-cache"
        policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in policy and "http" not in policy and "*" not in policy
    async with session.head(f"{api.url}{path}") as answer:
        assert (answer.status, await answer.read()) == (200, b"")


async def test_hashed_files_are_kept_for_ever_and_come_zipped_where_that_is_smaller(
    built: Path, api: Api, session: aiohttp.ClientSession
) -> None:
    url = f"{api.url}/assets/index-0123.js"
    async with session.get(url, headers={"Accept-Encoding": "br, gzip"}) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.content_type == "text/javascript"
        assert gzip.decompress(await answer.read()).decode() == _SCRIPT
    async with session.get(url, headers={"Accept-Encoding": "identity"}) as answer:
        assert "Content-Encoding" not in answer.headers
        assert await answer.text() == _SCRIPT
    async with session.get(f"{api.url}/assets/index-0123.css") as answer:
        assert "Content-Encoding" not in answer.headers, "too small to be worth it"


async def test_what_has_not_changed_is_not_sent_again(
    built: Path, api: Api, session: aiohttp.ClientSession
) -> None:
    async with session.get(api.url) as answer:
        etag = answer.headers["ETag"]
    async with session.get(api.url, headers={"If-None-Match": etag}) as answer:
        assert (answer.status, await answer.read()) == (304, b"")
        assert answer.headers["ETag"] == etag
    async with session.get(api.url, headers={"If-None-Match": '"another"'}) as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/assets/nothing.js",
        "/assets/../index.html",
        "/assets/%2e%2e/%2e%2e/security.py",
        "/assets/..%2f..%2fsecurity.py",
        "/assets/%2fetc%2fpasswd",
        "/assets/index-0123.js%00",
        "/assets/.stamp",
        "/.stamp",
        "/index.html",
        "/assets/",
    ],
)
async def test_nothing_else_is_there(
    built: Path, api: Api, session: aiohttp.ClientSession, path: str
) -> None:
    async with session.get(URL(api.url + path, encoded=True)) as answer:
        assert answer.status in (400, 401, 404)
        assert "secret" not in await answer.text()


async def test_without_pages_one_plain_page_says_so(
    bare: Path, api: Api, session: aiohttp.ClientSession
) -> None:
    async with session.get(f"{api.url}/chart", headers={"Accept-Encoding": "identity"}) as answer:
        text = await answer.text()
        assert answer.status == 200
        assert answer.headers["Content-Security-Policy"] == static_files.POLICY
    assert "The pages are not built" in text and "scripts/pages.sh" in text
    async with session.get(f"{api.url}/assets/index-0123.js") as answer:
        assert answer.status == 404
