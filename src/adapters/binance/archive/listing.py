"""One page of the bucket's listing (S3, version 2), pure and defused: no DTD, no entity, no endless list."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from ....errors import NotPublished, Unavailable

PAGE_KEYS = 1000
MAX_PAGES = 200
"""A folder of ten years of daily files with their checksums has eight."""

_NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"
_DECLARATION = re.compile(r"<!\s*(?:DOCTYPE|ENTITY)", re.IGNORECASE)
_ERROR_CODE = re.compile(r"<Error>.{0,200}?<Code>([A-Za-z]{1,60})</Code>", re.DOTALL)
_MISSING_CODES = ("NoSuchKey", "NoSuchBucket")


@dataclass(frozen=True, slots=True)
class ListingPage:
    """``keys`` with their publication time (UTC ms) and size in bytes, ``folders`` as prefixes; ``token`` asks on."""

    keys: tuple[tuple[str, int, int], ...]
    folders: tuple[str, ...]
    token: str | None


def page_query(prefix: str, *, folders: bool, token: str | None) -> str:
    """The query of one page; with ``folders`` the keys below the next slash are folded into one entry."""
    fields = {"list-type": "2", "prefix": prefix, "max-keys": str(PAGE_KEYS)}
    fields |= {"delimiter": "/"} if folders else {}
    return urlencode(fields | ({"continuation-token": token} if token else {}))


def parse_page(body: bytes) -> ListingPage:
    """One page.

        <ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><IsTruncated>true</IsTruncated>
          <Contents><Key>data/futures/um/.../BTCUSDT-1m-2024-01-31.zip</Key>
            <LastModified>2024-02-01T08:32:11.000Z</LastModified><ETag>"..."</ETag><Size>61023</Size></Contents>
          <CommonPrefixes><Prefix>data/futures/um/daily/klines/BTCUSDT/</Prefix></CommonPrefixes>
          <NextContinuationToken>1ueGcx...</NextContinuationToken></ListBucketResult>

    Raises ``Unavailable`` for anything else: nothing may be concluded from half a list.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise Unavailable("the archive's listing is not UTF-8", reason="bad_listing") from None
    refuse_page(text)
    if _DECLARATION.search(text):
        raise Unavailable("the archive's listing declares a document type", reason="bad_listing")
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 - no DTD, so no entities; the size was capped
        if root.tag != f"{_NAMESPACE}ListBucketResult":
            raise Unavailable(f"not a bucket's listing but {root.tag!r:.80}", reason="bad_listing")
        keys = tuple(_key(entry) for entry in root.iterfind(f"{_NAMESPACE}Contents"))
        folders = tuple(_text(entry, "Prefix") for entry in root.iterfind(f"{_NAMESPACE}CommonPrefixes"))
        more = _text(root, "IsTruncated") == "true"
        token = _text(root, "NextContinuationToken") if more else None
    except (ElementTree.ParseError, ValueError) as error:
        raise Unavailable(f"the archive's listing cannot be read: {error}", reason="bad_listing") from None
    return ListingPage(keys, folders, token)


def refuse_page(text: str) -> None:
    """Raise what an answer that begins like a page means, whatever its status was; else do nothing.

    <?xml version="1.0"?><Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>
    """
    start = text[:4096].lstrip("\ufeff \r\n\t")
    if error := _ERROR_CODE.search(start):
        if error.group(1) in _MISSING_CODES:
            raise NotPublished(f"the archive says {error.group(1)}", reason="not_published")
        raise Unavailable(f"the archive says {error.group(1)}", reason="archive_error")
    if start[:9].lower().startswith(("<!doctype", "<html", "<head", "<body")):
        raise Unavailable(f"a page instead of data: {start[:100]!r}", reason="html")


def _key(entry: ElementTree.Element) -> tuple[str, int, int]:
    modified = datetime.fromisoformat(_text(entry, "LastModified"))
    return _text(entry, "Key"), round(modified.timestamp() * 1000), int(_text(entry, "Size"))


def _text(entry: ElementTree.Element, name: str) -> str:
    text = entry.findtext(f"{_NAMESPACE}{name}")
    if not text:
        raise ValueError(f"{name} is missing")
    return text
