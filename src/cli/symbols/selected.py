"""``marketd symbols``: which symbols the settings select, and why the others are out."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ...adapters.binance.rest.client import BinanceRest
from ...clock import VenueClock
from ...collectors.listings.selection import Picture, Selection, survey
from ...config import Settings
from ...errors import EXIT_OK, Retryable, Unavailable
from ...model import ContractStatus, Instrument
from ...telemetry.metrics import Metrics
from ...wiring.leasing import budgets_at_hand, leasing
from ...wiring.options import rest_options, selection
from .. import output
from ..context import Context


@dataclass(frozen=True, slots=True)
class Answer:
    """What the exchange said. ``offset`` is its time minus this computer's, in seconds.

    ``alone`` is why the request budget was not shared with the daemon's although a database is configured, or empty.
    """

    offset: float
    instruments: list[Instrument]
    selection: Selection
    picture: Picture
    alone: str = ""


def run(context: Context, *, as_json: bool) -> int:
    """Print them. Raises ``ConfigError``, or ``Unavailable`` (69) when the exchange cannot be asked."""
    settings = context.settings()
    answer = asyncio.run(ask_exchange(settings))
    if answer.alone:
        output.note(f"the request budget is not shared with other processes: {answer.alone}")
    for text in misnamed(settings, answer.instruments):
        output.note(text)
    chosen = sorted(answer.picture.live)
    out = Counter(
        why_out(item, answer.selection)
        for item in answer.instruments
        if item.symbol not in answer.picture.live
    )
    if as_json:
        output.as_json({"symbols": chosen, "out": dict(out.most_common())})
        return EXIT_OK
    for symbol in chosen:
        output.line(symbol)
    output.note(f"{len(chosen)} symbols selected")
    for reason, count in out.most_common():
        output.note(f"{count} out: {reason}")
    return EXIT_OK


def misnamed(settings: Settings, instruments: Sequence[Instrument]) -> list[str]:
    """Names in SYMBOLS and TRADE_SYMBOLS that no contract of the exchange has, a sentence for each setting; pure."""
    written = {"SYMBOLS": selection(settings).include, "TRADE_SYMBOLS": settings.trade_symbols}
    return [
        f"{name}: the exchange lists no contract called {', '.join(wrong)}"
        for name, globs in written.items()
        if (wrong := [glob for glob in globs if not _names_any(glob, instruments)])
    ]


def _names_any(glob: str, instruments: Sequence[Instrument]) -> bool:
    one = Selection(include=(glob,))
    return any(one.admits_name(item.symbol) for item in instruments)


def why_out(item: Instrument, chosen: Selection) -> str:
    """The first rule that leaves the instrument out, with the setting that would change it; pure."""
    if item.quote != chosen.quote:
        return f"quoted in another asset than {chosen.quote}"
    if item.contract_type not in chosen.contract_types:
        return f"contract type {item.contract_type or 'not given'} (CONTRACT_TYPES)"
    if not chosen.admits_name(item.symbol):
        return "name not selected (SYMBOLS, EXCLUDE_SYMBOLS)"
    if item.status is ContractStatus.PENDING_TRADING:
        return "not trading yet; joins by itself 2 min before it starts"
    return f"not trading: {item.status.value}"


async def ask_exchange(settings: Settings) -> Answer:
    """Ask for time and contracts (weight 2), out of the budget of all processes where a database has it. Raises
    ``Unavailable`` or ``ConfigError``."""
    clock, metrics = VenueClock(speed=settings.speed), Metrics()
    budgets, alone = await budgets_at_hand(settings, clock, metrics)
    rest = BinanceRest(rest_options(settings), budgets.fapi, clock, metrics)
    try:
        async with leasing(budgets):
            await rest.open()
            clock.set(await rest.server_time())
            offset = clock.now() - time.time()
            instruments = await rest.instruments()
    except Retryable as error:
        raise Unavailable(f"{settings.binance_rest_url} cannot be asked: {error}") from error
    finally:
        await rest.close()
        await budgets.close()
    chosen = selection(settings)
    return Answer(offset, instruments, chosen, survey(instruments, chosen, clock.now_ms()), alone)
