"""``marketd doctor``: checks what marketd stands on, and says what to do about what is wrong."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from functools import partial

from ...config import Settings
from ...errors import EXIT_FAILURE, EXIT_OK, ConfigError, MarketdError
from .. import output
from ..context import Context
from ..symbols.selected import ask_exchange, misnamed, why_out
from .checkup import Finding, check_disk, check_port, judge_reader, judge_server
from .checkup_machine import check_archive_folder, check_limits, check_secrets
from .checkup_ways import check_ways
from .checkup_work import check_folder, check_kernels, check_node, judge_tasks

_CLOCK_LIMIT = 1.0
"""Seconds. The daemon corrects itself by the exchange's clock, but logs and alerts use the computer's."""


def run(context: Context, *, as_json: bool) -> int:
    """Print all findings; 1 if one of them needs somebody. Raises ``ConfigError``."""
    loaded = context.load()
    settings = loaded.settings
    scheduled = "SCHEDULES" in loaded.origins
    findings = [Finding("settings", "ok", "valid"), *asyncio.run(_examine(settings, scheduled=scheduled))]
    findings += [*check_folder(settings), check_port(settings), check_disk()]
    findings += [
        *check_archive_folder(settings),
        *check_limits(),
        *check_secrets(os.environ, settings, loaded.origins),
    ]
    if as_json:
        output.as_json([asdict(finding) for finding in findings])
    else:
        output.pairs([(finding.subject, _text(finding)) for finding in findings])
    return EXIT_FAILURE if any(finding.state == "bad" for finding in findings) else EXIT_OK


def _text(finding: Finding) -> str:
    words = {"ok": "ok      ", "warning": "look    ", "bad": "PROBLEM "}
    text = words[finding.state] + finding.text
    return f"{text}\n        -> {finding.advice}" if finding.advice else text


async def _examine(settings: Settings, *, scheduled: bool) -> list[Finding]:
    found: list[Finding] = []
    database = partial(_database, scheduled=scheduled)
    for subject, check in (("database", database), ("reader", _reader), ("exchange", _exchange)):
        found += await _guarded(subject, check, settings)
    found += await check_ways(settings)
    found += [*await check_kernels(settings), *await check_node(settings)]
    return found


async def _guarded(
    subject: str, check: Callable[[Settings], Awaitable[list[Finding]]], settings: Settings
) -> list[Finding]:
    try:
        return await check(settings)
    except ConfigError as error:
        return [Finding(subject, "bad", problem, "correct the setting") for problem in error.problems]
    except MarketdError as error:
        return [Finding(subject, "bad", str(error), _ADVICE[subject])]


_ADVICE = {
    "database": "see that the server runs and DATABASE_URL is right; scripts/timescaledb.sh up brings a private one",
    "reader": "see that DATABASE_READER_URL is right; `marketd migrate` as the owner gives it its rights",
    "exchange": "see that this machine reaches it (a firewall, HTTP_PROXY, BINANCE_REST_URL); `marketd sandbox`"
    " stands in for it",
}


async def _database(settings: Settings, *, scheduled: bool) -> list[Finding]:
    from ...adapters.timescale.reports.inspection import inspect
    from ...adapters.timescale.reports.work import inspect_work

    if settings.database_url is None:
        return [Finding("database", "bad", "DATABASE_URL is not set", "set it, or use scripts/start.sh")]
    url = settings.database_url.get_secret_value()
    where = (url, settings.kline_db_schema, settings.binance_ws_db_exchange)
    inspection = await inspect(*where)
    found = judge_server(inspection)
    # Tables that are not all there cannot be asked.
    return (
        found
        if inspection.pending
        else [*found, *judge_tasks(await inspect_work(*where), scheduled=scheduled)]
    )


async def _reader(settings: Settings) -> list[Finding]:
    """All that only look work as this role (status, coverage, gaps, the API); nothing where it is not set."""
    from ...adapters.timescale.reports.inspection import inspect
    from ...adapters.timescale.reports.work import inspect_work

    if settings.database_reader_url is None:
        return []
    url = settings.database_reader_url.get_secret_value()
    where = (url, settings.kline_db_schema, settings.binance_ws_db_exchange)
    inspection = await inspect(*where)
    if not inspection.pending:
        await inspect_work(*where)
    return judge_reader(inspection)


async def _exchange(settings: Settings) -> list[Finding]:
    way = "through HTTP_PROXY" if settings.http_proxy else "directly"
    answer = await ask_exchange(settings)
    chosen = [item for item in answer.instruments if item.symbol in answer.picture.live]
    found = [Finding("exchange", "ok", f"{settings.binance_rest_url} answers {way}")]
    if chosen:
        found.append(
            Finding("symbols", "ok", f"{len(chosen)} of {len(answer.instruments)} contracts selected")
        )
    else:
        reasons = {why_out(item, answer.selection) for item in answer.instruments}
        text = f"none of {len(answer.instruments)} contracts is selected"
        found.append(
            Finding("symbols", "bad", text, f"they are out because: {'; '.join(sorted(reasons)[:3])}")
        )
    found += [
        Finding("symbols", "warning", text, "correct it, or leave it if that one was delisted")
        for text in misnamed(settings, answer.instruments)
    ]
    return [*found, _clock(answer.offset, settings.speed)]


def _clock(offset: float, speed: float) -> Finding:
    text = f"the exchange is {offset:+.3f} s from this computer"
    if speed == 1 and abs(offset) > _CLOCK_LIMIT:
        return Finding(
            "clock", "warning", text, "let NTP (chrony, systemd-timesyncd) set this computer's clock"
        )
    return Finding("clock", "ok", text)
