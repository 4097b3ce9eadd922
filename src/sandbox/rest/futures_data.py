"""``/futures/data/...`` and funding: parameters and rows in the venue's shapes, without HTTP."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..market.metrics import HOUR_MS, SLOT_MS, Funding, Metric, interval_hours, metric, shares
from ..market.past import DAY_MS
from ..market.universe import Instrument
from ..venue import Venue
from .klines import Refused, integer

MOST = 500
_DEFAULT = 30
KEPT_MS = 30 * DAY_MS
_PERIODS = frozenset({"5m", "15m", "30m", "1h", "2h", "4h", "6h", "12h", "1d"})
_FUNDING_DEFAULT, _FUNDING_MOST = 100, 1000
_CAPS = {"adjustedFundingRateCap": "0.02000000", "adjustedFundingRateFloor": "-0.02000000"}

Row = dict[str, Any]


def _open_interest(symbol: str, one: Metric) -> Row:
    return {
        "symbol": symbol,
        "sumOpenInterest": one.open_interest,
        "sumOpenInterestValue": one.open_interest_value,
        "CMCCirculatingSupply": "20094037.00000000",
        "timestamp": one.end_ms,
    }


def _ratio(column: str) -> Callable[[str, Metric], Row]:
    def row(symbol: str, one: Metric) -> Row:
        ratio = getattr(one, column)
        long, short = shares(ratio)
        return {
            "symbol": symbol,
            "longAccount": long,
            "longShortRatio": ratio,
            "shortAccount": short,
            "timestamp": one.end_ms,
        }

    return row


def _taker(_: str, one: Metric) -> Row:
    """No symbol, and the period's start instead of its end."""
    return {
        "buySellRatio": one.taker,
        "sellVol": one.sell_volume,
        "buyVol": one.buy_volume,
        "timestamp": one.end_ms - SLOT_MS,
    }


ENDPOINTS: dict[str, Callable[[str, Metric], Row]] = {
    "openInterestHist": _open_interest,
    "topLongShortAccountRatio": _ratio("top_accounts"),
    "topLongShortPositionRatio": _ratio("top_positions"),
    "globalLongShortAccountRatio": _ratio("accounts"),
    "takerlongshortRatio": _taker,
}


def metric_rows(venue: Venue, endpoint: str, parameters: Mapping[str, str]) -> list[Row]:
    """The rows, ascending: from startTime on, or the newest ones up to endTime; both are about their timestamps.

    Nothing older than thirty days. Raises ``Refused``.
    """
    instrument = _instrument(venue, parameters)
    period = _sent(parameters, "period")
    if period not in _PERIODS:
        raise Refused(-1130, "Data sent for parameter 'period' is not valid.")
    if period != "5m":
        raise Refused(-1130, "Data sent for parameter 'period' is not valid. (This sandbox has 5m only.)")
    limit, start, end = _range(parameters, _DEFAULT, MOST)
    now = venue.clock.now_ms()
    shift = SLOT_MS if endpoint != "takerlongshortRatio" else 0
    oldest = now - KEPT_MS
    lowest = max(oldest, oldest if start is None else start) - shift
    highest = (now if end is None else min(now, end)) - shift
    found = venue.metric_slots(instrument, lowest, highest + 1)
    chosen = found[-limit:] if start is None else found[:limit]
    make = ENDPOINTS[endpoint]
    return [make(instrument.symbol, metric(instrument.traits, slot)) for slot in chosen]


def funding_rows(venue: Venue, parameters: Mapping[str, str]) -> list[Row]:
    """Settlements of one symbol or of all, ascending; without startTime the newest. Raises ``Refused``."""
    given = parameters.get("symbol")
    chosen = [_instrument(venue, parameters)] if given else list(venue.universe.instruments.values())
    limit, start, end = _range(parameters, _FUNDING_DEFAULT, _FUNDING_MOST)
    now = venue.clock.now_ms()
    until = now if end is None else min(now, end)
    reach = (limit + 24) * interval_hours(chosen[0].traits) * HOUR_MS if given else 3 * DAY_MS
    since = max(0, until - reach) if start is None else start
    if given:
        until = min(until, since + reach)
    found: list[tuple[Funding, str]] = sorted(
        (one, instrument.symbol)
        for instrument in chosen
        for one in venue.funding(instrument, since, until + 1)
    )
    return [
        {
            "symbol": symbol,
            "fundingTime": one.time_ms,
            "fundingRate": one.rate,
            "markPrice": one.mark_price,
            "rateType": "Regular",
        }
        for one, symbol in (found[-limit:] if start is None else found[:limit])
    ]


def funding_info(venue: Venue) -> list[Row]:
    """The interval of every symbol whose interval is not eight hours."""
    return [
        {
            "symbol": instrument.symbol,
            **_CAPS,
            "fundingIntervalHours": interval_hours(instrument.traits),
            "disclaimer": False,
        }
        for instrument in venue.universe.instruments.values()
        if instrument.periods and not instrument.gone and interval_hours(instrument.traits) != 8
    ]


def _instrument(venue: Venue, parameters: Mapping[str, str]) -> Instrument:
    instrument = venue.universe.instruments.get(_sent(parameters, "symbol"))
    if instrument is None:
        raise Refused(-1121, "Invalid symbol.")
    return instrument


def _sent(parameters: Mapping[str, str], name: str) -> str:
    if not (value := parameters.get(name, "")):
        text = f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
        raise Refused(-1102, text)
    return value


def _range(parameters: Mapping[str, str], default: int, most: int) -> tuple[int, int | None, int | None]:
    limit = integer(parameters, "limit")
    limit = default if limit is None else limit
    if not 1 <= limit <= most:
        raise Refused(-1130, "Data sent for parameter 'limit' is not valid.")
    start, end = integer(parameters, "startTime"), integer(parameters, "endTime")
    if start is not None and end is not None and start > end:
        raise Refused(-1023, "Start time is greater than end time.")
    return limit, start, end
