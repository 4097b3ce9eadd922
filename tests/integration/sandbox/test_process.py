"""The sandbox as a whole: replayed months, TLS, the control API over HTTP, a process of its own."""

from __future__ import annotations

import asyncio
import gzip
import json
import signal
import ssl
import sys
from pathlib import Path

import aiohttp
import pytest

from src.sandbox import Sandbox, SandboxOptions
from src.sandbox.market.candles import MINUTE_MS
from tests.support.processes import ROOT, port_of, reserved_port

from .client import START_MS, Client, row_of

FEBRUARY_MS = 1_769_904_000_000


async def test_real_months_come_digit_for_digit_by_stream_and_rest(market_data: Path) -> None:
    start = FEBRUARY_MS + 27 * 86_400_000 + 30_000
    async with Client.open(
        symbols=2,
        data_dir=market_data / "klines_1m",
        data_pattern="*-2026-02.csv.gz",
        start_ms=start,
        replay_offset_s=(start - FEBRUARY_MS) // 1000,
        speed=60,
    ) as client:
        assert client.sandbox.replay_shift_ms == 0
        text = gzip.decompress((market_data / "klines_1m/LTCUSDT-1m-2026-02.csv.gz").read_bytes()).decode()
        real = {int(line.split(",")[0]): line.split(",") for line in text.splitlines()[1:]}
        async with client.stream("ltcusdt@kline_1m") as stream:
            for k in await stream.closed(4):
                assert list(map(str, row_of(k))) == real[k["t"]]
        rows = await client.klines("LTCUSDT", startTime=FEBRUARY_MS, limit=1500)
        assert [list(map(str, row)) for row in rows] == list(real.values())[:1500]
        assert await client.klines("LTCUSDT", endTime=FEBRUARY_MS - 1) == []
        _, info, _ = await client.get("/fapi/v1/exchangeInfo")
        trading = {one["symbol"] for one in info["symbols"] if one["status"] == "TRADING"}
        assert {"LTCUSDT", "ALGOUSDT", "BTCUSDT"} <= trading


async def test_a_real_universe_can_be_served(market_data: Path) -> None:
    path = market_data / "exchange_info/exchangeInfo-2026-03-31.json.gz"
    real = json.loads(gzip.decompress(path.read_bytes()))
    async with Client.open(exchange_info=path) as client:
        _, info, _ = await client.get("/fapi/v1/exchangeInfo")
        assert info["symbols"] == real["symbols"]
        assert (await client.klines("我踏马来了USDT", limit=1))[0][8] > 0
        for status in ("SETTLING", "PENDING_TRADING", "PRE_SETTLE"):
            symbol = next(one["symbol"] for one in real["symbols"] if one["status"] == status)
            assert await client.klines(symbol, limit=1) == []


async def test_the_control_api_over_http() -> None:
    async with Client.open() as client:
        status, made = await client.control("mute", symbol="BTCUSDT")
        assert (status, made["result"]["kind"]) == (200, "mute")
        assert (await client.control("mute", symbol="NOPEUSDT"))[0] == 400
        assert (await client.control("mute", colour="red"))[0] == 400
        status, answer = await client.control("dance")
        assert status == 404
        assert "silence" in answer["commands"]
        _, stats, _ = await client.get("/control/stats")
        assert [fault["kind"] for fault in stats["faults"]] == ["mute"]
        assert stats["weight_by_minute"] == {}, "control costs no weight"
        number = made["result"]["number"]
        async with client.session.delete(f"{client.sandbox.control_url}/faults/{number}") as ended:
            assert ended.status == 200
        _, stats, _ = await client.get("/control/stats")
        assert stats["faults"] == []


async def test_every_command_is_a_method_with_a_description() -> None:
    from src.sandbox.control.api import Control
    from src.sandbox.control.http import COMMANDS

    looking = {"connections", "stats", "end_fault"}
    methods = {name for name in dir(Control) if not name.startswith("_")}
    assert set(COMMANDS) == methods - looking
    assert all(getattr(Control, name).__doc__ for name in COMMANDS)


async def test_the_truth_and_the_universe_over_http() -> None:
    async with Client.open() as client:
        query = {"symbol": "XAUUSDT", "from": START_MS - 3 * MINUTE_MS, "to": START_MS - MINUTE_MS}
        _, rows, _ = await client.get("/control/truth", **query)
        assert rows == await client.klines("XAUUSDT", startTime=query["from"], limit=2)
        assert (await client.get("/control/truth", symbol="NOPE", **{"from": 0, "to": 1}))[0] == 400
        _, listing, _ = await client.get("/control/universe")
        xau = next(one for one in listing if one["symbol"] == "XAUUSDT")
        assert xau["contract_type"] == "TRADIFI_PERPETUAL"
        assert [period["to_ms"] for period in xau["periods"]] == [None]
        _, clock, _ = await client.get("/control/clock")
        assert (clock["speed"], clock["start_ms"]) == (120.0, START_MS)


async def test_tls_needs_its_certificate() -> None:
    async with Sandbox(SandboxOptions(symbols=3, speed=60, tls=True)) as sandbox:
        assert sandbox.ca_file is not None
        context = ssl.create_default_context(cafile=str(sandbox.ca_file))
        async with aiohttp.ClientSession() as session:
            async with session.get(sandbox.rest_url + "/fapi/v1/ping", ssl=context) as answer:
                assert await answer.json() == {}
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await session.get(sandbox.rest_url + "/fapi/v1/ping")
            url = sandbox.ws_url + "/ws/btcusdt@kline_1m"
            async with session.ws_connect(url, ssl=context) as socket:
                assert "kline" in (await socket.receive(timeout=60)).data


async def test_a_taken_port_and_a_missing_file_are_errors() -> None:
    async with Sandbox(SandboxOptions(symbols=1)) as sandbox:
        with pytest.raises(OSError, match="address already in use"):
            async with Sandbox(SandboxOptions(symbols=1, port=sandbox.port)):
                pytest.fail("two on one port")
    with pytest.raises(OSError, match="nowhere"):
        async with Sandbox(SandboxOptions(exchange_info=Path("/nowhere"))):
            pytest.fail("without its file")


async def test_it_comes_back_on_the_same_port_with_the_same_market() -> None:
    with reserved_port() as held:
        options = SandboxOptions(symbols=3, seed=5, start_ms=START_MS, port=port_of(held))
        async with Sandbox(options) as sandbox:
            rows = sandbox.truth("BTCUSDT", START_MS - 10 * MINUTE_MS, START_MS)
        async with Sandbox(options) as sandbox:
            assert sandbox.port == port_of(held)
            assert sandbox.truth("BTCUSDT", START_MS - 10 * MINUTE_MS, START_MS)[:9] == rows[:9]
        assert len(rows) >= 9


async def test_a_process_says_where_it_is_and_ends_on_sigterm() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "src.sandbox", "--symbols", "3", "--speed", "60", "--start-ms", str(START_MS),
        cwd=ROOT, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    line = json.loads(await asyncio.wait_for(process.stdout.readline(), 120))
    url = f"{line['ws_url']}/ws/btcusdt@kline_1m"
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
        assert "kline" in (await socket.receive(timeout=60)).data
        process.send_signal(signal.SIGTERM)
        while (message := await socket.receive(timeout=60)).type is aiohttp.WSMsgType.TEXT:
            pass
        assert message.data == 1001
    assert await asyncio.wait_for(process.wait(), 60) == 0


async def test_a_wrong_option_ends_with_a_sentence() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "src.sandbox", "--speed", "0", cwd=ROOT, stderr=asyncio.subprocess.PIPE
    )
    _, said = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 78
    assert said.decode() == "sandbox: sandbox options out of range: speed=0.0\n"
