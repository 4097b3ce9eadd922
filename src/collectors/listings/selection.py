"""Which instruments we collect, and from when to when each is expected to have candles."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from unicodedata import normalize

from ...model import DAY_MS, MINUTE_MS, ContractStatus, Instrument, Listing

PENDING_LEAD_MS = 2 * MINUTE_MS
"""A coming listing is subscribed this long before its onboard time."""
PENDING_PATIENCE_MS = 60 * MINUTE_MS
"""A listing still pending this long after its onboard time is not coming: the venue keeps dozens of contracts
pending for years (52 of the 705 on 2026-03-31, OMGUSDT since 2019). It counts again once it says TRADING."""


@dataclass(slots=True)
class Selection:
    """What a person chose: quote asset, contract types, and globs over symbols (``1000*``, ``BTCUSDT``).

    One object for all who ask it, so that a choice that changes while they work changes for all of them.
    """

    quote: str = "USDT"
    contract_types: frozenset[str] = frozenset({"PERPETUAL", "TRADIFI_PERPETUAL"})
    include: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()

    def become(self, other: Selection) -> None:
        """What was chosen instead."""
        self.quote, self.contract_types = other.quote, other.contract_types
        self.include, self.exclude = other.include, other.exclude

    def admits(self, instrument: Instrument) -> bool:
        return (
            instrument.quote == self.quote
            and instrument.contract_type in self.contract_types
            and self.admits_name(instrument.symbol)
        )

    def admits_name(self, symbol: str) -> bool:
        return _matches(symbol, self.include) and not _matches(symbol, self.exclude)


def _matches(symbol: str, globs: Iterable[str]) -> bool:
    # A person may type a Chinese name in another normal form than the venue's.
    return any(fnmatchcase(symbol, normalize("NFC", glob)) for glob in globs)


@dataclass(frozen=True, slots=True)
class Picture:
    """What one answer of the venue says: who trades, who was delivered within the last two days, who comes next."""

    live: dict[str, Listing] = field(default_factory=dict)
    ended: dict[str, Listing] = field(default_factory=dict)
    next_onboard_ms: int | None = None


def survey(instruments: Iterable[Instrument], selection: Selection, now_ms: int) -> Picture:
    """Sort the venue's instruments by what they mean at ``now_ms``; pure.

    An instrument that is not trading and has no delivery time yet (a halt) is in neither: only who followed it
    before knows when it stopped.
    """
    picture, coming = Picture(), []
    for item in instruments:
        if not selection.admits(item):
            continue
        listing = Listing(item.symbol, item.onboard_ms, item.delivery_ms)
        if item.status is ContractStatus.TRADING:
            picture.live[item.symbol] = listing
        elif item.status is ContractStatus.PENDING_TRADING:
            if now_ms < item.onboard_ms - PENDING_LEAD_MS:
                coming.append(item.onboard_ms)
            elif now_ms < item.onboard_ms + PENDING_PATIENCE_MS:
                picture.live[item.symbol] = listing
        elif now_ms - 2 * DAY_MS < item.delivery_ms <= now_ms:
            picture.ended[item.symbol] = listing
    return Picture(picture.live, picture.ended, min(coming, default=None))
