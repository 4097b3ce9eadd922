"""What is fuzzed, by name: each takes any bytes and may raise what its readers expect (``MarketdError``), nothing else.

The first byte of several chooses among parsers, so that one corpus serves all of a kind.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from src.adapters.binance.alpha import parse_tokens
from src.adapters.binance.archive.klines import parse_klines
from src.adapters.binance.archive.listing import parse_page
from src.adapters.binance.archive.trades import one_an_id, parse_trades
from src.adapters.binance.archive.zip import ZipLimits, member_blocks, member_size, read_member
from src.adapters.binance.parse import funding, messages, metrics
from src.adapters.binance.parse.trades import trade_event, trade_row
from src.adapters.binance.rest.bars import bar_row
from src.adapters.binance.rest.errors import error_of
from src.adapters.binance.stream.dial import Dialer
from src.adapters.binance.stream.feed import BinanceFeed, CandleIntake, FrameHandler
from src.adapters.binance.stream.options import StreamOptions
from src.adapters.binance.stream.trade_frames import TradeFrames
from src.adapters.binance.stream.transport import BinanceConnection
from src.adapters.binance.symbols import parse_exchange_info
from src.adapters.ethereum.node import EthereumNode, NodeOptions
from src.adapters.ethereum.provider import connected
from src.cli.context import parse_assignments
from src.clock import VenueClock
from src.config import load, masked
from src.config.load import CONFIG_FILE, ENV_FILE
from src.errors import MarketdError
from src.model import DAY_MS, MINUTE_MS, Authority, Block, Pool
from src.ports.metrics import MetricSeries
from src.telemetry.metrics import Metrics

Target = Callable[[bytes], None]

HANG_S = 1.0
"""Seconds of the processor for one input of at most ``MAX_BYTES``; those of the wall depend on who else works."""
MAX_BYTES = 4096

_DAY = date(2026, 2, 1)
_DAY_MS = 1_769_904_000_000
_LIMITS = ZipLimits(packed=MAX_BYTES, unpacked=1 << 20, ratio=200)
_POOL = Pool(
    "ethereum", f"0x{'9' * 40}", f"0x{'a' * 40}", f"0x{'b' * 40}", "WETH", "ENS", 18, 18, 3000, 60, base=0
)


class HangError(AssertionError):
    """An input took too long."""


def guarded(target: Target) -> Target:
    """``target``, which may raise ``MarketdError``, and must be through within ``HANG_S``."""

    def run(data: bytes) -> None:
        began = time.process_time()
        with suppress(MarketdError):
            target(data)
        if (took := time.process_time() - began) > HANG_S:
            raise HangError(f"{took:.1f} s for {len(data)} bytes")

    return run


# --- frames ----------------------------------------------------------------------------------------------------


def frame(data: bytes) -> None:
    """What comes out of a web socket, through the sorting of bytes, the parsers and cryptofeed's handler."""
    connection, handler = _stream()
    listener = connection._listener
    listener._text(data)
    while listener.queue:
        connection.last_message, payload = listener.queue.popleft()
        _loop().run_until_complete(handler.handle(payload, connection, connection.counts))
    _loop().run_until_complete(_trades().handle(data, connection, connection.counts))
    # Whatever way the bytes took: each parser by itself.
    document = messages.load(data)
    event = messages.payload_of(document)
    for parse in (messages.kline_event, trade_event, messages.contract_change):
        with suppress(MarketdError):
            parse(event)


@cache
def _stream() -> tuple[BinanceConnection, FrameHandler]:
    clock, counted = VenueClock(), Metrics()
    connection = BinanceConnection(
        "fuzz", Dialer(StreamOptions()), now=clock.now, queue_frames=4, write_wall=1.0
    )
    feed = BinanceFeed(StreamOptions().url, CandleIntake(lambda _: None, clock, counted, "fuzz"))
    feed.know({"BTCUSDT", "1000PEPEUSDT", "币安人生USDT"})
    return connection, FrameHandler(feed, lambda _: None, counted, source="fuzz")


@cache
def _trades() -> TradeFrames:
    return TradeFrames(lambda _: None, VenueClock(), Metrics())


@cache
def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


# --- REST ------------------------------------------------------------------------------------------------------


def rest(data: bytes) -> None:
    """The body of an answer, as one of the venue's endpoints."""
    kind, text = data[:1], data[1:]
    document = messages.load(text)
    parsers = _rest_parsers(text, document)
    parsers[kind[0] % len(parsers)](document)


def _rest_parsers(text: bytes, document: object) -> Sequence[Callable[[Any], object]]:
    wanted = range(_DAY_MS, _DAY_MS + DAY_MS, MINUTE_MS)
    series = list(MetricSeries)

    def refused(_: object) -> object:
        shown = text.decode("utf-8", "replace")
        headers = {"Retry-After": shown[:40], "Date": shown[40:80]}
        return [
            error_of(status, headers, shown, document, 1.7e9) for status in (400, 403, 418, 429, 451, 500)
        ]

    return (
        _each(lambda row: messages.kline_row("BTCUSDT", row, source="fuzz", authority=Authority.REST)),
        _each(lambda row: bar_row(row, wanted)),
        _each(lambda row: trade_row("BTCUSDT", row)),
        parse_exchange_info,
        lambda told: [
            metrics.rest_metrics(one, "BTCUSDT", told, source="fuzz", asked_ms=_DAY_MS) for one in series
        ],
        lambda told: funding.rest_funding(told, source="fuzz"),
        funding.funding_intervals,
        parse_tokens,
        refused,
    )


def _each(parse: Callable[[object], object]) -> Callable[[Any], object]:
    """``parse`` of every row of a list; one that is unusable leaves the others be."""

    def rows(document: Any) -> None:
        for row in document if isinstance(document, list) else [document]:
            with suppress(MarketdError):
                parse(row)

    return rows


# --- files -----------------------------------------------------------------------------------------------------


def csv(data: bytes) -> None:
    """The text of an archive file, and a page of the archive's listing."""
    kind, text = data[:1], data[1:]
    parsers: Sequence[Callable[[bytes], object]] = (
        lambda body: parse_klines(body, "BTCUSDT", source="fuzz", from_ms=_DAY_MS, to_ms=_DAY_MS + DAY_MS),
        lambda body: one_an_id(parse_trades(body, "BTCUSDT")),
        lambda body: metrics.archive_day(body.decode("utf-8", "replace"), "BTCUSDT", _DAY),
        lambda body: funding.archive_month(body.decode("utf-8", "replace"), "BTCUSDT", _DAY),
        parse_page,
    )
    if kind:
        parsers[kind[0] % len(parsers)](text)


def zip_member(data: bytes) -> None:
    """A file that is to be a ZIP with one member."""
    with in_memory(data) as path:
        with suppress(MarketdError):
            member_size(path)
        with suppress(MarketdError):
            read_member(path, "BTCUSDT-1m-2026-02-01.csv", _LIMITS)
        for block in member_blocks(path, None, _LIMITS):
            assert len(block) <= _LIMITS.unpacked


@contextmanager
def in_memory(data: bytes) -> Iterator[Path]:
    """A file with this in it, which lies nowhere."""
    number = os.memfd_create("fuzz")
    try:
        os.write(number, data)
        yield Path(f"/proc/self/fd/{number}")
    finally:
        os.close(number)


# --- settings --------------------------------------------------------------------------------------------------


def config(data: bytes) -> None:
    """A file of settings: ``.env``, ``config.yaml``, or ``--set`` lines; what is taken is rendered too."""
    kind, text = data[:1], data[1:]
    nothing = {ENV_FILE: os.devnull, CONFIG_FILE: os.devnull}
    way = kind[0] % 3 if kind else 0
    if way == 2:
        lines = text.decode("utf-8", "replace").splitlines()
        masked(load(flags=parse_assignments(lines), environ=nothing).settings)
        return
    with in_memory(text) as path:
        found = load(environ={**nothing, (ENV_FILE, CONFIG_FILE)[way]: str(path)})
    masked(found.settings)


# --- the node --------------------------------------------------------------------------------------------------


def jsonrpc(data: bytes) -> None:
    """The body of a node's answer, as that of each question we ask; each is asked once."""
    _loop().run_until_complete(_asked(data))


async def _asked(data: bytes) -> None:
    node = _node(data)
    for ask in (
        node.chain,
        node.head,
        lambda: node.block(0xCF3B2A),
        lambda: node.pool(_POOL.address),
        lambda: node.logs(_POOL, 1, 20_000_000),
        lambda: node.keeps(1),
        lambda: node.swaps_of_block([_POOL], _block()),
    ):
        with suppress(MarketdError):
            await ask()
    with suppress(MarketdError):
        await node.swaps(_POOL, await node.logs(_POOL, 1, 20_000_000))


def _block() -> Block:
    """One whose bloom may hold anything."""
    return Block(0xCF3B2A, f"0x{'c' * 64}", f"0x{'d' * 64}", _DAY_MS, None, (1 << 2048) - 1)


def _node(data: bytes) -> EthereumNode:
    async def post(_: bytes) -> bytes:
        return data

    options = NodeOptions("http://127.0.0.1:9", attempts=1, patience=0.0, backoff_base=0.0, backoff_cap=0.0)
    node = EthereumNode(options, _counted())
    node._provider = connected(post).provider
    return node


@cache
def _counted() -> Metrics:
    return Metrics()


TARGETS: Mapping[str, Target] = {
    "frame": frame,
    "rest": rest,
    "csv": csv,
    "zip": zip_member,
    "config": config,
    "jsonrpc": jsonrpc,
}


def warm_up(name: str, seeds: Sequence[bytes]) -> None:
    """The first call loads and compiles what later ones have; that is no hang."""
    for seed in seeds:
        with suppress(MarketdError):
            TARGETS[name](seed)
