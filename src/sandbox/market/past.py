"""What happened before the exchange started: listings, delistings and relistings inside the history."""

from __future__ import annotations

from dataclasses import dataclass

from .candles import MINUTE_MS, mix, symbol_key
from .catalogue import NEVER_MS, Entry, entry, names

DAY_MS = 86_400_000
SHORTEST_DAYS = 8
"""So many days a history needs to have a delisting or a relisting inside it."""
_OLDEST = 6
"""The first symbols of the catalogue are there from the first day on."""
_ONE_IN = 8
"""One in so many of the others was listed later."""


@dataclass(frozen=True, slots=True)
class Stay:
    """One listing: minutes [first, end) since 1970 from ``onboard_ms`` on; ``end`` None goes on."""

    onboard_ms: int
    end: int | None = None


def first_day_ms(start_ms: int, history_days: int) -> int:
    """The midnight at which the history begins, UTC milliseconds."""
    return (start_ms // DAY_MS - history_days) * DAY_MS


def spread(entries: list[Entry], start_ms: int, history_days: int) -> None:
    """Give every trading entry its onboard time: the first day, or later for one in eight, in place."""
    first = first_day_ms(start_ms, history_days)
    room = (history_days - 3) * DAY_MS
    for place, info in enumerate(one for one in entries if one["status"] == "TRADING"):
        bits = mix(symbol_key(history_days, info["symbol"]))
        later = place >= _OLDEST and room > 0 and bits % _ONE_IN == 0
        info["onboardDate"] = first + (DAY_MS + (bits >> 8) % room // 300_000 * 300_000 if later else 0)


def departed(
    seed: int, taken: int, number: int, start_ms: int, history_days: int
) -> list[tuple[Entry, Stay]]:
    """Contracts that were delisted inside the history and that exchangeInfo does not show any more.

    ``taken`` names of the catalogue belong to others.
    """
    first = first_day_ms(start_ms, history_days)
    gone = []
    for base in names(seed, taken + number)[taken:]:
        bits = mix(symbol_key(seed, base) ^ 0xD0)
        end_ms = first + 2 * DAY_MS + (bits >> 8) % ((history_days - 5) * DAY_MS)
        stay = Stay(first, end_ms // MINUTE_MS)
        info = entry(
            seed, base, status="CLOSE", onboard_ms=first, delivery_ms=end_ms // MINUTE_MS * MINUTE_MS
        )
        gone.append((info, stay))
    return gone


def relisted(entries: list[Entry], number: int, start_ms: int, history_days: int) -> dict[str, Stay]:
    """The earlier listing of the last ``number`` perpetuals; their entries get a later onboard time, in place."""
    first = first_day_ms(start_ms, history_days)
    chosen = [
        one
        for one in entries
        if one["status"] == "TRADING" and one["quoteAsset"] == "USDT" and one["deliveryDate"] == NEVER_MS
    ]
    stays = {}
    for info in chosen[len(chosen) - number :]:
        bits = mix(symbol_key(history_days, info["symbol"]) ^ 0xD1)
        end_ms = first + 2 * DAY_MS + (bits >> 8) % ((history_days - 7) * DAY_MS)
        stays[info["symbol"]] = Stay(first, end_ms // MINUTE_MS)
        away = 6 * 3_600_000 + mix(bits) % (2 * DAY_MS)
        info["onboardDate"] = (end_ms + away) // 300_000 * 300_000
    return stays
