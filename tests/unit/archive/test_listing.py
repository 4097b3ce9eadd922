"""One page of the bucket's listing, and what is not one."""

from __future__ import annotations

import pytest

from src.adapters.binance.archive.listing import parse_page
from src.errors import MarketdError, NotPublished, Unavailable

_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
_OPEN = '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
_CLOSE = "</ListBucketResult>"
_KEY = (
    "<Contents><Key>data/a.zip</Key><LastModified>2026-03-18T09:12:33.250Z</LastModified>"
    '<ETag>"x"</ETag><Size>61023</Size></Contents>'
)


def test_keys_folders_and_the_token() -> None:
    page = parse_page(
        f"{_HEAD}{_OPEN}<IsTruncated>true</IsTruncated>{_KEY}"
        "<CommonPrefixes><Prefix>data/币安USDT/</Prefix></CommonPrefixes>"
        f"<NextContinuationToken>1ueG==</NextContinuationToken>{_CLOSE}".encode()
    )
    assert page.keys == (("data/a.zip", 1_773_825_153_250, 61_023),)
    assert page.folders == ("data/币安USDT/",)
    assert page.token == "1ueG=="


def test_the_last_page_has_no_token() -> None:
    page = parse_page(f"{_HEAD}{_OPEN}<IsTruncated>false</IsTruncated>{_CLOSE}".encode())
    assert (page.keys, page.folders, page.token) == ((), (), None)


@pytest.mark.parametrize(
    ("body", "kind", "reason"),
    [
        (b"", Unavailable, "bad_listing"),
        (f"{_HEAD}{_OPEN}<IsTruncated>false</IsTruncated>".encode(), Unavailable, "bad_listing"),
        (f"{_HEAD}{_OPEN}{_KEY}{_CLOSE}".encode(), Unavailable, "bad_listing"),
        (f"{_HEAD}{_OPEN}<IsTruncated>true</IsTruncated>{_KEY}{_CLOSE}".encode(), Unavailable, "bad_listing"),
        (b"<!DOCTYPE html><html><body>index</body></html>", Unavailable, "html"),
        (b"<html><head></head></html>", Unavailable, "html"),
        (f"{_HEAD}<Error><Code>SlowDown</Code></Error>".encode(), Unavailable, "archive_error"),
        (f"{_HEAD}<Error><Code>NoSuchKey</Code></Error>".encode(), NotPublished, "not_published"),
        (
            f'{_HEAD}<!DOCTYPE x [<!ENTITY a "aaaa">]>{_OPEN}<IsTruncated>false</IsTruncated>{_CLOSE}'.encode(),
            Unavailable,
            "bad_listing",
        ),
        (f"{_HEAD}{_OPEN}{_CLOSE}".encode("utf-16"), Unavailable, "bad_listing"),
        (
            b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>",
            Unavailable,
            "bad_listing",
        ),
    ],
)
def test_what_is_no_listing_says_so(body: bytes, kind: type[MarketdError], reason: str) -> None:
    with pytest.raises(kind) as refused:
        parse_page(body)
    assert getattr(refused.value, "reason", "") == reason
