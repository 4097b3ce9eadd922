"""The bucket's listing as S3 gives it, version 1 (marker) and 2 (continuation token)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from xml.sax.saxutils import escape

from .files import ArchiveFiles, Entry
from .names import CHECKSUM

BUCKET = "data.binance.vision"
NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
PAGE_KEYS = 1000
DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'


class Refused(Exception):
    """HTTP 400 with an S3 error document: its code and message."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


@dataclass(frozen=True, slots=True)
class _Query:
    version: int
    prefix: str
    delimiter: str
    after: str
    """Only what comes behind it in the order of UTF-8."""
    limit: int
    given: Mapping[str, str]


def error(code: str, text: str, **more: str) -> str:
    """``<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message>...</Error>``"""
    extra = "".join(_tag(name, value) for name, value in more.items())
    return f"{DECLARATION}<Error>{_tag('Code', code)}{_tag('Message', text)}{extra}<RequestId>0</RequestId></Error>"


def page(files: ArchiveFiles, query: Mapping[str, str]) -> str:
    """One page of at most 1000 keys and folders. Raises ``Refused``."""
    asked = _parse(query)
    found = list(islice(_entries(files, asked), asked.limit + 1))
    shown, more = found[: asked.limit], len(found) > asked.limit
    last = _name(shown[-1]) if shown else ""
    folders = [one for one in shown if isinstance(one, str)]
    keys = [one for one in shown if isinstance(one, Entry)]
    parts = [_tag("Name", BUCKET), _tag("Prefix", asked.prefix)]
    if asked.version == 2:
        parts += [_tag("KeyCount", str(len(shown)))]
        parts += [
            _tag("ContinuationToken", asked.given[name])
            for name in ("continuation-token",)
            if name in asked.given
        ]
        parts += [_tag("StartAfter", asked.given[name]) for name in ("start-after",) if name in asked.given]
        parts += [_tag("NextContinuationToken", _token(last))] if more else []
    else:
        parts += [_tag("Marker", asked.given.get("marker", ""))]
        parts += [_tag("NextMarker", last)] if more and asked.delimiter else []
    parts += [_tag("MaxKeys", str(asked.limit))]
    parts += [_tag("Delimiter", asked.delimiter)] if asked.delimiter else []
    parts += [_tag("IsTruncated", "true" if more else "false")]
    parts += [_contents(one) for one in keys]
    parts += [f"<CommonPrefixes>{_tag('Prefix', one)}</CommonPrefixes>" for one in folders]
    return f'{DECLARATION}<ListBucketResult xmlns="{NAMESPACE}">{"".join(parts)}</ListBucketResult>'


def _parse(query: Mapping[str, str]) -> _Query:
    try:
        limit = int(query.get("max-keys", PAGE_KEYS))
    except ValueError:
        raise Refused("InvalidArgument", "Provided max-keys not an integer or within integer range") from None
    version = 2 if query.get("list-type") == "2" else 1
    after = query.get("start-after" if version == 2 else "marker", "")
    if version == 2 and "continuation-token" in query:
        try:
            after = base64.urlsafe_b64decode(query["continuation-token"].encode()).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise Refused("InvalidArgument", "The continuation token provided is incorrect") from None
    return _Query(
        version,
        query.get("prefix", ""),
        query.get("delimiter", ""),
        after,
        max(0, min(limit, PAGE_KEYS)),
        query,
    )


def _entries(files: ArchiveFiles, asked: _Query) -> Iterator[Entry | str]:
    """What the page may show from ``after`` on, in order: objects, and folders as strings."""
    after, folded = asked.after.encode(), ""
    for base, span, kind, folder in files.places():
        if not (base.startswith(asked.prefix) or asked.prefix.startswith(base)):
            continue
        if after > base.encode() and not asked.after.startswith(base):
            continue
        cut = base.find(asked.delimiter, len(asked.prefix)) if asked.delimiter else -1
        if cut >= 0:
            shown = base[: cut + len(asked.delimiter)]
            if shown != folded and shown.encode() > after and next(files.files(span, kind, folder), None):
                folded = shown
                yield shown
            continue
        for name in files.files(span, kind, folder):
            entry = files.entry(name)
            beside = Entry(name.key + CHECKSUM, entry.modified_ms, len(name.stem) + 71, entry.etag)
            for one in (entry, beside):
                if one.key.startswith(asked.prefix) and one.key.encode() > after:
                    yield one


def _contents(one: Entry) -> str:
    modified = datetime.fromtimestamp(one.modified_ms // 1000, UTC)
    fields = {
        "Key": one.key,
        "LastModified": f"{modified:%Y-%m-%dT%H:%M:%S}.000Z",
        "ETag": one.etag,
        "Size": str(one.size),
        "StorageClass": "STANDARD",
    }
    return f"<Contents>{''.join(_tag(name, value) for name, value in fields.items())}</Contents>"


def _tag(name: str, text: str) -> str:
    return f"<{name}>{escape(text)}</{name}>"


def _name(one: Entry | str) -> str:
    return one if isinstance(one, str) else one.key


def _token(last: str) -> str:
    return base64.urlsafe_b64encode(last.encode()).decode()
