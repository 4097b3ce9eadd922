"""The generated universe: exchangeInfo entries in the real shape, a pure function of (seed, count, start)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from .candles import decimal, mix, symbol_key

Entry = dict[str, Any]
"""One element of ``symbols`` in a ``/fapi/v1/exchangeInfo`` answer."""

NEVER_MS = 4_133_404_800_000
"""``deliveryDate`` of a perpetual without an end (2100-12-25), as the real host has it."""

_FIRST = (
    "BTC",
    "ETH",
    "币安人生",
    "XAU",
    "SOL",
    "1000PEPE",
    "我踏马来了",
    "BNB",
    "TSLA",
    "XRP",
    "龙虾",
    "DOGE",
    "XAG",
    "ADA",
    "测试测试",
    "LINK",
    "1INCH",
    "AVAX",
    "LTC",
    "哈基米",
    "NVDA",
    "DOT",
    "TRX",
    "TON",
    "SUI",
    "NEAR",
    "APT",
    "ARB",
    "OP",
    "FIL",
    "ATOM",
    "ETC",
    "XLM",
    "UNI",
    "AAVE",
    "INJ",
    "HBAR",
    "ICP",
    "VET",
    "ALGO",
)
_TRADIFI_FIRST = frozenset({"XAU", "XAG", "TSLA", "NVDA"})
_TRADIFI_KINDS = ("EQUITY", "EQUITY", "EQUITY", "COMMODITY", "INDEX", "KR_EQUITY", "FX")
_ONSETS = (*"BCDFGHJKLMNPRSTVWXZ", "TR", "ST", "BR", "CH", "PL")
_VOWELS = "AEIOUY"
_TICKS = ("0.10", "0.01", "0.010", "0.001", "0.0001", "0.00001", "0.0000001", "0.0000100")
_STEPS = ("0.001", "0.01", "0.1", "1", "1")


def catalogue(seed: int, count: int, start_ms: int) -> list[Entry]:
    """``count`` USDT perpetuals that trade, then those that a client must leave out.

    Among the first fifteen are a Chinese name, a name that begins with a digit and a TRADIFI_PERPETUAL; about
    23 % are TRADIFI_PERPETUAL. The rest: other quotes, SETTLING, PENDING_TRADING, quarterlies with ``_``.
    """
    bases = names(seed, spoken_for(count))
    trading = [_trading(seed, base) for base in bases[:count]]
    return trading + _left_out(seed, bases[count:], bases[:count], start_ms)


def _trading(seed: int, base: str) -> Entry:
    tradifi = base in _TRADIFI_FIRST or (base not in _FIRST and mix(symbol_key(seed, base)) % 4 == 0)
    kind = "TRADIFI_PERPETUAL" if tradifi else "PERPETUAL"
    return entry(seed, base, "USDT", contract_type=kind)


def _left_out(seed: int, spare: list[str], bases: list[str], start_ms: int) -> list[Entry]:
    few = max(1, len(bases) // 20)
    others = [entry(seed, base, "USDC") for base in bases[:few]]
    others.append(entry(seed, "ETH", "BTC"))
    for number, base in enumerate(spare):
        if number < 3:
            due = start_ms // 86_400_000 * 86_400_000 + (4 + 9 * number) * 86_400_000 + 37_800_000
            others.append(entry(seed, base, "USDT", status="PENDING_TRADING", onboard_ms=due))
        else:
            ended = 1_720_000_000_000 + number * 86_400_000
            others.append(entry(seed, base, "USDT", status="SETTLING", delivery_ms=ended))
    for ahead, kind in enumerate(("CURRENT_QUARTER", "NEXT_QUARTER")):
        due_on = _quarter_end(start_ms, ahead)
        for base in ("BTC", "ETH"):
            delivery = int(due_on.timestamp() * 1000)
            others.append(
                entry(
                    seed,
                    base,
                    "USDT",
                    contract_type=kind,
                    delivery_ms=delivery,
                    suffix=f"_{due_on:%y%m%d}",
                )
            )
    return others


def _quarter_end(start_ms: int, ahead: int) -> datetime:
    """08:00 UTC of the last Friday of the quarter, ``ahead`` quarters on."""
    moment = datetime.fromtimestamp(start_ms / 1000, UTC)
    quarter = (moment.year * 12 + moment.month - 1) // 3 + 1 + ahead
    day = datetime(quarter * 3 // 12, quarter * 3 % 12 + 1, 1, 8, tzinfo=UTC) - timedelta(days=1)
    return day - timedelta(days=(day.weekday() - 4) % 7)


def spoken_for(count: int) -> int:
    """How many base names a catalogue of ``count`` symbols uses up."""
    return count + count // 10 + 4


def names(seed: int, count: int) -> list[str]:
    """The first ``count`` base names of a seed; more of them begin with the same."""
    found = list(_FIRST[:count])
    taken = set(_FIRST)
    number = 0
    while len(found) < count:
        bits = mix(mix(seed) ^ number)
        number += 1
        syllables = [
            _ONSETS[(bits >> shift) % len(_ONSETS)] + _VOWELS[(bits >> (shift + 6)) % len(_VOWELS)]
            for shift in range(0, 12 * (2 + bits % 2), 12)
        ]
        name = ("1000" if bits >> 60 == 0 else "") + "".join(syllables)
        if name not in taken:
            taken.add(name)
            found.append(name)
    return found


def entry(
    seed: int,
    base: str,
    quote: str = "USDT",
    *,
    contract_type: str = "PERPETUAL",
    status: str = "TRADING",
    onboard_ms: int | None = None,
    delivery_ms: int = NEVER_MS,
    suffix: str = "",
) -> Entry:
    """One symbol as the host lists it. Without ``onboard_ms`` it was listed between 2019-09 and 2023-12."""
    symbol = base + quote + suffix
    key = symbol_key(seed, symbol)
    tick, step = _TICKS[mix(key) % len(_TICKS)], _STEPS[mix(key ^ 1) % len(_STEPS)]
    tradifi = contract_type == "TRADIFI_PERPETUAL"
    listed = 1_569_398_400_000 + mix(key ^ 2) % 26_000 * 5_100_000 // 300_000 * 300_000
    return {
        "symbol": symbol,
        "pair": base + quote,
        "contractType": contract_type,
        "deliveryDate": delivery_ms,
        "onboardDate": listed if onboard_ms is None else onboard_ms,
        "status": status,
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": base,
        "quoteAsset": quote,
        "marginAsset": quote,
        "pricePrecision": len(tick.partition(".")[2]),
        "quantityPrecision": len(step.partition(".")[2]),
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": _TRADIFI_KINDS[mix(key ^ 3) % len(_TRADIFI_KINDS)] if tradifi else "COIN",
        "underlyingSubType": ["TradFi"] if tradifi else [],
        "triggerProtect": "0.0500",
        "liquidationFee": "0.020000",
        "marketTakeBound": "0.30",
        "maxMoveOrderLimit": 10_000,
        "filters": filters(tick, step),
        "orderTypes": ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
        "permissionSets": ["GRID", "COPY"],
    }


def filters(tick: str, step: str) -> list[dict[str, Any]]:
    """The seven filters of a symbol; ``tickSize`` stands in the first one, where clients look for it."""
    decimals = len(tick.partition(".")[2])
    return [
        {
            "filterType": "PRICE_FILTER",
            "tickSize": tick,
            "minPrice": tick,
            "maxPrice": decimal(10**9, decimals),
        },
        {"filterType": "LOT_SIZE", "maxQty": "1000000", "minQty": step, "stepSize": step},
        {"filterType": "MARKET_LOT_SIZE", "maxQty": "100000", "minQty": step, "stepSize": step},
        {"filterType": "MAX_NUM_ORDERS", "limit": 200},
        {"filterType": "MIN_NOTIONAL", "notional": "5"},
        {
            "filterType": "PERCENT_PRICE",
            "multiplierUp": "1.0500",
            "multiplierDown": "0.9500",
            "multiplierDecimal": "4",
        },
        {"filterType": "POSITION_RISK_CONTROL", "positionControlSide": "NONE"},
    ]
