"""The list of Binance Alpha tokens, from another host than the market's."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from typing import NoReturn

import orjson
from yarl import URL

from ...errors import BadData, Unavailable
from ...ports import Clock
from ...ports.metrics import AlphaToken
from ...telemetry.log import get_logger
from ...telemetry.metrics import Metrics
from .rest.errors import error_of
from .rest.http import GuardedSession, checked_url

PATH = "/bapi/defi/v1/public/wallet-direct/buw/wallet/cex/alpha/all/token/list"
_GOOD_CODE = "000000"
_MAX_CHARS = 200
_DECIMAL = re.compile(r"[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,2})?")
_NEWEST_MS = 9_999_999_999_999

log = get_logger("alpha")


class AlphaList:
    """``ports.metrics.AlphaSource``. A session for each reading: it comes every 6 h.

    Raises ``ConfigError`` for a base URL that is not TLS and not loopback. ``timeout`` is in wall seconds.
    """

    def __init__(
        self,
        base_url: str,
        clock: Clock,
        metrics: Metrics,
        *,
        proxy: str | None = None,
        timeout: float = 30.0,
    ) -> None:
        self._base_url = checked_url("BINANCE_ALPHA_URL", base_url)
        self._clock, self._metrics = clock, metrics
        self._proxy, self._timeout = proxy, timeout

    async def tokens(self) -> list[AlphaToken]:
        """The whole list; unusable entries are counted and left out."""
        session = GuardedSession(
            self._base_url, proxy=self._proxy, timeout=self._timeout, on_answer=self._count, max_connections=1
        )
        try:
            async with session.get(URL(self._base_url + PATH), headers={"User-Agent": "marketd"}) as answer:
                status, headers, body = answer.status, answer.headers, answer.body
        finally:
            await session.close()
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError:
            document = None
        if not 200 <= status < 300 or document is None:
            raise error_of(
                status, headers, body[:500].decode("utf-8", "replace"), document, self._clock.now()
            )
        tokens, rejected = parse_tokens(document)
        for reason, count in rejected.items():
            self._metrics.metric_rows_rejected.labels("alpha", reason).inc(count)
        return tokens

    def _count(self, path: str, status: str, headers: Mapping[str, str], seconds: float) -> None:
        self._metrics.rest_requests.labels("alpha", status).inc()


def parse_tokens(document: object) -> tuple[list[AlphaToken], Mapping[str, int]]:
    """The tokens of one answer by ``alphaId``, and how many entries were left out, by reason. Pure.

        {"code":"000000","message":null,"messageDetail":null,"success":true,"data":[
          {"tokenId":"BE8DA...","chainId":"56","contractAddress":"0x92aa...","name":"Quack AI","symbol":"Q",
           "price":"0.0185","volume24h":"126893.1","marketCap":"...","liquidity":"...","decimals":18,"alphaId":"ALPHA_175",
           "listingCex":false,"cexCoinName":"","offline":false,"listingTime":1757066400000, ...}, ...]}

    Other keys may be there or not; amounts may be absent, null or "". Raises ``Unavailable`` for a code that is not
    "000000" (asked again later) and ``BadData`` for a list that is none, or has no usable entry: the last one stays.
    """
    if not isinstance(document, Mapping):
        _refuse("not_list", f"no object but {document!r:.100}")
    if document.get("code") != _GOOD_CODE:
        raise Unavailable(
            f"the Alpha list says {document.get('code')!r:.40}: {document.get('message')!r:.100}"
        )
    data = document.get("data")
    if not isinstance(data, list):
        _refuse("not_list", f"no list of tokens but {data!r:.100}")
    found: dict[str, AlphaToken] = {}
    rejected: Counter[str] = Counter()
    for item in data:
        try:
            token = _token(item)
        except BadData as error:
            rejected[error.reason] += 1
            continue
        if token.alpha_id in found:
            rejected["duplicate"] += 1
        found[token.alpha_id] = token
    if not found:
        _refuse("empty", f"no usable token among {len(data)}")
    return [found[alpha_id] for alpha_id in sorted(found)], dict(rejected)


def _token(item: object) -> AlphaToken:
    if not isinstance(item, Mapping):
        _refuse("not_row", f"no token: {item!r:.80}")
    return AlphaToken(
        alpha_id=_text(item, "alphaId", needed=True),
        symbol=_text(item, "symbol", needed=True),
        name=_text(item, "name"),
        chain_id=_text(item, "chainId"),
        contract_address=_text(item, "contractAddress"),
        cex_coin_name=_text(item, "cexCoinName"),
        offline=item.get("offline") is True,
        listing_cex=item.get("listingCex") is True,
        listing_ms=_time(item.get("listingTime")),
        price=_amount(item.get("price")),
        volume_24h=_amount(item.get("volume24h")),
        market_cap=_amount(item.get("marketCap")),
        liquidity=_amount(item.get("liquidity")),
    )


def _text(item: Mapping[str, object], name: str, *, needed: bool = False) -> str:
    value = item.get(name)
    if value is None and not needed:
        return ""
    if (
        not isinstance(value, str)
        or len(value) > _MAX_CHARS
        or not value.isprintable()
        or (needed and not value)
    ):
        _refuse("bad_text", f"{name} is {value!r:.80}")
    return value


def _amount(value: object) -> Decimal | None:
    """An amount that is no plain decimal says nothing: the token is still one."""
    return Decimal(value) if isinstance(value, str) and _DECIMAL.fullmatch(value) else None


def _time(value: object) -> int | None:
    return value if type(value) is int and 0 < value <= _NEWEST_MS else None


def _refuse(reason: str, detail: str) -> NoReturn:
    raise BadData(detail, reason=reason)
