"""Which symbols exist, when they trade, and what exchangeInfo says of them."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from ..options import SandboxOptions
from .candles import MINUTE_MS, Traits, traits
from .catalogue import NEVER_MS, Entry, catalogue, entry, filters, spoken_for
from .past import Stay, departed, relisted, spread
from .replay import Replay

TRADING = "TRADING"
SETTLING = "SETTLING"
PENDING = "PENDING_TRADING"


@dataclass(slots=True)
class Period:
    """One stretch of trading: candles exist for the minutes [first, end) since 1970; end None is open."""

    onboard_ms: int
    first: int
    end: int | None = None

    def has(self, minute: int) -> bool:
        return self.first <= minute and (self.end is None or minute < self.end)


@dataclass(slots=True)
class Instrument:
    """A symbol with everything that is known of it. ``info`` is its exchangeInfo entry."""

    info: Entry
    traits: Traits
    periods: list[Period] = field(default_factory=list)
    gone: bool = False
    """Taken off exchangeInfo altogether; REST still answers for its past."""

    @property
    def symbol(self) -> str:
        return str(self.info["symbol"])

    @property
    def stream(self) -> str:
        """Lower case as the venue has it: ASCII letters only change, ``币安人生USDT`` becomes ``币安人生usdt``."""
        return self.symbol.lower() + "@kline_1m"

    def trades(self, minute: int) -> bool:
        """True if this minute has a candle."""
        return any(period.has(minute) for period in self.periods)

    def folders(self) -> dict[str, list[Period]]:
        """The archive's folders of the symbol: the contract of now under its name, earlier ones as SETTLED."""
        found: dict[str, list[Period]] = {}
        newest = max((period.onboard_ms for period in self.periods), default=0)
        for period in sorted(self.periods, key=lambda period: period.first):
            name = self.symbol if period.onboard_ms == newest else f"{self.symbol}SETTLED"
            found.setdefault(name, []).append(period)
        return found

    def minutes(self, lowest: int, highest: int, *, backwards: bool = False) -> Iterator[int]:
        """The minutes of trading from ``lowest`` to ``highest``, both inclusive, in order of time or against it."""
        for period in sorted(self.periods, key=lambda period: period.first, reverse=backwards):
            end = highest + 1 if period.end is None else min(highest + 1, period.end)
            minutes = range(max(lowest, period.first), end)
            yield from reversed(minutes) if backwards else minutes


class Universe:
    """All instruments by name, and the changes of their status.

    Every change of a listing becomes effective at a whole minute, so that no candle is half traded: a listing
    at the minute that contains its onboard time, an end at the end of the running minute.
    """

    def __init__(self, options: SandboxOptions, start_ms: int, replay: Replay) -> None:
        self._options = options
        self.version = 0
        self.answer: dict[str, Any] = _header(options)
        self.instruments: dict[str, Instrument] = {}
        self.by_stream: dict[str, Instrument] = {}
        self._left_alone: set[str] = set()
        """Symbols of a real universe, whose statuses are as the file has them whatever the time."""
        past: list[tuple[Entry, Stay]] = []
        before: dict[str, Stay] = {}
        if options.exchange_info is None:
            entries = catalogue(options.seed, options.symbols, start_ms)
            spread(entries, start_ms, options.history_days)
            before = relisted(entries, options.relisted, start_ms, options.history_days)
            taken = spoken_for(options.symbols)
            past = departed(options.seed, taken, options.delisted, start_ms, options.history_days)
        else:
            document = _read(options.exchange_info)
            entries = document.pop("symbols")
            self.answer = {**document, "rateLimits": self.answer["rateLimits"]}
            self._left_alone = {info["symbol"] for info in entries}
        for info in entries:
            self._add(info)
        for symbol, stay in before.items():
            self.instruments[symbol].periods.insert(0, _over(stay))
        for info, stay in past:
            instrument = self._add(info)
            instrument.periods.append(_over(stay))
            instrument.gone = True
        for symbol in replay.months:
            self._add_replayed(symbol, replay)

    def _add(self, info: Entry) -> Instrument:
        instrument = Instrument(info, self._traits(info))
        if info["status"] == TRADING:
            instrument.periods.append(_opened(info["onboardDate"]))
        self.instruments[instrument.symbol] = instrument
        self.by_stream[instrument.stream] = instrument
        self.version += 1
        return instrument

    def _add_replayed(self, symbol: str, replay: Replay) -> None:
        """A replayed symbol trades from its first row on, whatever the universe says of it."""
        known = self.instruments.get(symbol)
        info = known.info if known else entry(self._options.seed, symbol.removesuffix("USDT"))
        spans = replay.all_spans(symbol)
        first = spans[0][0]
        row = replay.kline(symbol, first)
        if known is None and row is not None:
            info["filters"] = filters(_last_place(row.open), _last_place(row.volume))
        self._add({**info, "status": TRADING, "onboardDate": first * MINUTE_MS})
        self.instruments[symbol].periods = [Period(first * MINUTE_MS, start, end) for start, end in spans]

    def _traits(self, info: Entry) -> Traits:
        by_type = {one["filterType"]: one for one in info["filters"]}
        return traits(
            self._options.seed,
            info["symbol"],
            tick_size=by_type["PRICE_FILTER"]["tickSize"],
            step_size=by_type["LOT_SIZE"]["stepSize"],
            sleeper_share=self._options.sleeper_share,
        )

    def due(self, now_ms: int) -> list[Instrument]:
        """PENDING_TRADING symbols whose time has come, now TRADING. A real universe's statuses are left alone."""
        ready = [
            instrument
            for name, instrument in self.instruments.items()
            if instrument.info["status"] == PENDING
            and instrument.info["onboardDate"] <= now_ms
            and name not in self._left_alone
        ]
        for instrument in ready:
            instrument.info["status"] = TRADING
            instrument.periods.append(_opened(instrument.info["onboardDate"]))
            self.version += 1
        return ready

    def list_symbol(self, symbol: str, onboard_ms: int, now_ms: int, contract_type: str) -> Instrument:
        """A new contract, also under a name that was delisted: PENDING_TRADING until ``onboard_ms``."""
        known = self.instruments.get(symbol)
        if known and known.info["status"] == TRADING:
            raise ValueError(f"{symbol} is trading already")
        status = TRADING if onboard_ms <= now_ms else PENDING
        self._left_alone.discard(symbol)
        if known is None:
            base = symbol.removesuffix("USDT")
            info = entry(
                self._options.seed, base, contract_type=contract_type, status=status, onboard_ms=onboard_ms
            )
            return self._add({**info, "symbol": symbol})
        known.gone = False
        known.info |= {"status": status, "onboardDate": onboard_ms, "deliveryDate": NEVER_MS}
        if status == TRADING:
            known.periods.append(_opened(onboard_ms))
        self.version += 1
        return known

    def tell_weight_limit(self, limit: int) -> None:
        """exchangeInfo says so from now on."""
        for one in self.answer["rateLimits"]:
            if one["rateLimitType"] == "REQUEST_WEIGHT":
                one["limit"] = limit
        self.version += 1

    def end(self, symbol: str, now_ms: int, *, status: str, gone: bool, final: bool) -> Instrument:
        """Trading stops at the end of the running minute: ``final`` for a delisting, else a halt."""
        instrument = self.find(symbol)
        stop = now_ms // MINUTE_MS + 1
        for period in instrument.periods:
            if period.end is None or period.end > stop:
                period.end = stop
        instrument.info["status"] = status
        if final:
            instrument.info["deliveryDate"] = stop * MINUTE_MS
        instrument.gone = gone
        self.version += 1
        return instrument

    def resume(self, symbol: str, now_ms: int) -> Instrument:
        """A halted symbol trades again from the next minute, as the same contract."""
        instrument = self.find(symbol)
        onboard_ms = instrument.info["onboardDate"]
        instrument.periods.append(Period(onboard_ms, now_ms // MINUTE_MS + 1))
        instrument.info["status"] = TRADING
        self.version += 1
        return instrument

    def find(self, symbol: str) -> Instrument:
        """The instrument; ``ValueError`` for an unknown name."""
        if (instrument := self.instruments.get(symbol)) is None:
            raise ValueError(f"no such symbol: {symbol}")
        return instrument

    def body(self, stated_ms: int) -> bytes:
        """The exchangeInfo answer."""
        shown = [one.info for one in self.instruments.values() if not one.gone]
        return orjson.dumps({**self.answer, "serverTime": stated_ms, "symbols": shown})


def _opened(onboard_ms: int) -> Period:
    return Period(onboard_ms, onboard_ms // MINUTE_MS)


def _over(stay: Stay) -> Period:
    return Period(stay.onboard_ms, stay.onboard_ms // MINUTE_MS, stay.end)


def _last_place(number: str) -> str:
    """The size of one unit of the last place: ``0.1038`` gives ``0.0001``."""
    places = len(number.partition(".")[2])
    return f"{10**-places:.{places}f}" if places else "1"


def _header(options: SandboxOptions) -> dict[str, Any]:
    def limit(kind: str, interval: str, number: int, most: int) -> dict[str, Any]:
        return {"rateLimitType": kind, "interval": interval, "intervalNum": number, "limit": most}

    return {
        "timezone": "UTC",
        "serverTime": 0,
        "futuresType": "U_MARGINED",
        "rateLimits": [
            limit("REQUEST_WEIGHT", "MINUTE", 1, options.weight_limit),
            limit("ORDERS", "MINUTE", 1, 1_200),
            limit("ORDERS", "SECOND", 10, 300),
        ],
        "exchangeFilters": [],
        "assets": [
            {"asset": asset, "marginAvailable": True, "autoAssetExchange": "-10000"}
            for asset in ("USDT", "USDC", "BTC")
        ],
    }


def _read(path: Path) -> dict[str, Any]:
    """A real answer, plain or gzipped; ``ValueError`` when it is not one."""
    raw = path.read_bytes()
    try:
        document = orjson.loads(gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw)
    except (orjson.JSONDecodeError, gzip.BadGzipFile, EOFError) as error:
        raise ValueError(f"{path}: not an exchangeInfo answer: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("symbols"), list):
        raise ValueError(f"{path}: not an exchangeInfo answer: no symbols")  # noqa: TRY004 - a bad file
    return document
