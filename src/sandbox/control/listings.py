"""Control of listings: new symbols, delistings, halts."""

from __future__ import annotations

from typing import Any

from ..market.universe import SETTLING, TRADING, Instrument
from .part import ControlPart


class Listings(ControlPart):
    """Changes of the universe; each is announced by ``!contractInfo`` and in exchangeInfo."""

    def list_symbol(
        self, symbol: str, *, in_seconds: float = 0.0, contract_type: str = "PERPETUAL"
    ) -> dict[str, Any]:
        """A listing, also under a delisted name: PENDING_TRADING until its onboard time; its exchangeInfo entry."""
        now = self._venue.clock.now_ms()
        onboard = now + int(in_seconds * 1000)
        return self._announce(self._venue.universe.list_symbol(symbol, onboard, now, contract_type))

    def delist(self, symbol: str, *, status: str = SETTLING, remove: bool = False) -> dict[str, Any]:
        """The running minute is the last one; ``remove`` takes it off exchangeInfo altogether."""
        return self._end(symbol, status, remove=remove, final=True)

    def halt(self, symbol: str, *, status: str = "PRE_SETTLE") -> dict[str, Any]:
        """Trading pauses at the end of the running minute; there are no candles until ``resume``."""
        return self._end(symbol, status, remove=False, final=False)

    def resume(self, symbol: str) -> dict[str, Any]:
        """A halted symbol trades again from the next minute on."""
        instrument = self._venue.universe.find(symbol)
        if instrument.info["status"] == TRADING:
            raise ValueError(f"{symbol} is trading")
        return self._announce(self._venue.universe.resume(symbol, self._venue.clock.now_ms()))

    def _end(self, symbol: str, status: str, *, remove: bool, final: bool) -> dict[str, Any]:
        now = self._venue.clock.now_ms()
        return self._announce(self._venue.universe.end(symbol, now, status=status, gone=remove, final=final))

    def _announce(self, instrument: Instrument) -> dict[str, Any]:
        self._broadcaster.announce(instrument)
        self._hub.flush()
        self._faults.count("listing")
        return dict(instrument.info)
