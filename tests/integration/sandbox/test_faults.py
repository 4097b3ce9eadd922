"""Each fault of the streams does what it says, only that, and counts it."""

from __future__ import annotations

import asyncio
import struct
from itertools import pairwise

import aiohttp
import pytest

from src.sandbox.market.candles import MINUTE_MS
from src.sandbox.stream.malformed import CORPUS, HUGE_BYTES
from tests.support.eventually import eventually

from .client import START_MS, Client, row_of

BTC, ETH = "btcusdt@kline_1m", "ethusdt@kline_1m"


def fired(client: Client, kind: str) -> int:
    return int(client.sandbox.control.stats()["fired"].get(kind, 0))


async def test_silence_leaves_acks_and_other_connections_alone() -> None:
    async with Client.open() as client, client.stream(BTC) as first, client.stream(ETH) as second:
        await first.closed(1)
        client.sandbox.control.silence(connection=0)
        before = len(first.seen)
        await second.closed(3)
        assert await first.ask("LIST_SUBSCRIPTIONS") == [BTC]
        late = [message for message in first.seen[before:] if "data" in message]
        assert len(late) <= 10, "only what was on its way"
        assert fired(client, "silence") > 3
        client.sandbox.control.clear()
        await first.closed(1)


async def test_silence_of_all_includes_those_that_come_later() -> None:
    async with Client.open() as client:
        client.sandbox.control.silence()
        async with client.stream(BTC, "btcusdt@markPrice@1s") as stream:
            await eventually(lambda: client.sandbox.venue.stats.suppressed["silence"] > 20)
            assert await stream.ask("LIST_SUBSCRIPTIONS") == [BTC, "btcusdt@markPrice@1s"]
            assert all("result" in message for message in stream.seen)


async def test_a_muted_symbol_is_silent_and_others_are_not() -> None:
    async with Client.open() as client, client.stream(BTC, ETH) as stream:
        client.sandbox.control.mute("BTCUSDT")
        await stream.settled()
        assert {k["s"] for k in await stream.closed(4)} == {"ETHUSDT"}
        rows = await client.klines("BTCUSDT", limit=3)
        assert len(rows) == 3, "REST has it"


async def test_a_mute_can_end_with_a_new_subscription() -> None:
    async with Client.open() as client, client.stream(BTC, ETH) as stream:
        client.sandbox.control.mute("BTCUSDT", connection=0, until="resubscribe")
        await stream.settled()
        assert {k["s"] for k in await stream.closed(3)} == {"ETHUSDT"}
        await stream.ask("SUBSCRIBE", [ETH])
        assert client.sandbox.control.stats()["faults"], "another symbol's does not count"
        await stream.ask("UNSUBSCRIBE", [BTC])
        await stream.ask("SUBSCRIBE", [BTC])
        assert {k["s"] for k in await stream.closed(4)} == {"ETHUSDT", "BTCUSDT"}


async def test_dropped_closes_are_never_sent() -> None:
    async with Client.open() as client, client.stream(BTC, ETH) as stream:
        closed = await stream.closed(2)
        while {k["s"] for k in closed} != {"BTCUSDT", "ETHUSDT"}:
            closed += await stream.closed(1)
        client.sandbox.control.drop_close("BTCUSDT", count=2)
        closed += await stream.closed(10)
        holes = {}
        for name in ("BTCUSDT", "ETHUSDT"):
            minutes = [k["t"] for k in closed if k["s"] == name]
            steps = [(later - before) // MINUTE_MS for before, later in pairwise(minutes)]
            holes[name] = [step for step in steps if step != 1]
        assert holes == {"BTCUSDT": [3], "ETHUSDT": []}
        assert fired(client, "drop_close") == 2


async def test_late_closes_come_with_the_same_values() -> None:
    async with Client.open() as client, client.stream(BTC) as stream:
        client.sandbox.control.late_close(150, count=1)
        closed = await stream.closed(4)
        late = [k for before, k in pairwise(closed) if k["t"] < before["t"]]
        assert len(late) == 1
        assert late[0]["E"] - late[0]["t"] - MINUTE_MS > 150_000
        assert [tuple(row_of(late[0]))] == client.sandbox.truth(
            "BTCUSDT", late[0]["t"], late[0]["t"] + MINUTE_MS
        )
        assert client.sandbox.venue.stats.out_of_order == 1


async def test_shuffled_closes_all_come_in_no_order() -> None:
    async with Client.open() as client, client.stream(BTC, ETH) as stream:
        client.sandbox.control.shuffle(300)
        closed = await stream.closed(24)
        assert fired(client, "shuffle") >= 24
        for name in ("BTCUSDT", "ETHUSDT"):
            minutes = [k["t"] for k in closed if k["s"] == name]
            assert minutes != sorted(minutes)
            assert len(set(minutes)) == len(minutes)
        assert client.sandbox.venue.stats.out_of_order > 3


async def test_duplicates_follow_at_once() -> None:
    async with Client.open() as client:
        client.sandbox.control.duplicate(copies=2, count=1)  # of the first close that is sent
        async with client.stream(BTC) as stream:
            closed = await stream.closed(4)
        assert [k["t"] - closed[0]["t"] for k in closed] == [0, 0, 0, MINUTE_MS]
        assert closed[0] == closed[1] == closed[2]


async def test_a_burst_repeats_the_last_final_minute() -> None:
    async with Client.open(speed=1, start_ms=START_MS + 27_000) as client, client.stream(BTC, ETH) as stream:
        assert client.sandbox.control.burst(times=5) == 10
        closed = await stream.closed(10)
        assert {k["t"] for k in closed} == {START_MS - MINUTE_MS}


@pytest.mark.parametrize(
    ("unit", "shift_s", "scale"), [("us", 0.0, 1000), ("ms", 600.0, 1), ("ms", -600.0, 1)]
)
async def test_times_can_be_wrong(unit: str, shift_s: float, scale: int) -> None:
    async with Client.open() as client:
        client.sandbox.control.wrong_time(unit=unit, shift_s=shift_s, count=1)
        async with client.stream(BTC) as stream:
            wrong, right = await stream.closed(2)
        assert wrong["t"] == (right["t"] - MINUTE_MS + int(shift_s * 1000)) * scale


@pytest.mark.parametrize(
    ("mode", "field", "value"),
    [
        ("low_above_high", "h", "0.0000000001"),
        ("zero_price", "l", "0"),
        ("negative_volume", "v", "-1"),
        ("taker_above_total", "V", "99999999999999"),
        ("overflow", "q", "1" + "0" * 400),
        ("nan", "c", "NaN"),
    ],
)
async def test_values_can_be_wrong_one_at_a_time(mode: str, field: str, value: str) -> None:
    async with Client.open() as client:
        client.sandbox.control.wrong_values(mode, count=1)
        async with client.stream(BTC) as stream:
            wrong, right = await stream.closed(2)
        assert wrong[field] == value
        assert wrong["t"] == right["t"] - MINUTE_MS
        assert [tuple(row_of(right))] == client.sandbox.truth("BTCUSDT", right["t"], right["t"] + 1)
        with pytest.raises(ValueError, match="mode: one of"):
            client.sandbox.control.wrong_values("strange")
        assert fired(client, "wrong_values") == 1


async def test_skew_shows_in_event_times_only() -> None:
    async with Client.open(speed=20) as client, client.stream(BTC) as stream:
        client.sandbox.control.clock_skew(-50)
        k = (await stream.closed(1))[0]
        assert k["E"] - k["t"] - MINUTE_MS < 0, "closed before its end, by the stamps"
        assert [tuple(row_of(k))] == client.sandbox.truth("BTCUSDT", k["t"], k["t"] + 1)


async def test_every_malformed_frame_is_delivered_as_it_is() -> None:
    async with Client.open(speed=1) as client:
        reader, writer = await handshake(client)
        await eventually(lambda: client.sandbox.venue.stats.open_now == 1)
        assert client.sandbox.control.malformed() == len(CORPUS)
        wanted = b"".join(CORPUS.values())
        assert await asyncio.wait_for(reader.readexactly(len(wanted)), 60) == wanted
        assert fired(client, "malformed") == len(CORPUS)
        writer.close()


async def handshake(client: Client) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection whose bytes nobody interprets."""
    reader, writer = await asyncio.open_connection("127.0.0.1", client.sandbox.port, limit=2**20)
    writer.write(
        b"GET /market/ws/btcusdt@markPrice HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: MDEyMzQ1Njc4OTAxMjM0NQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    return reader, writer


async def test_a_huge_frame_says_its_size_and_goes_on_and_on() -> None:
    async with Client.open(speed=1) as client:
        reader, writer = await handshake(client)
        await eventually(lambda: client.sandbox.venue.stats.open_now == 1)
        client.sandbox.control.malformed(["huge"])
        header = await reader.readuntil(struct.pack(">Q", HUGE_BYTES))
        assert header.endswith(b"\x81\x7f" + struct.pack(">Q", HUGE_BYTES))
        assert await asyncio.wait_for(reader.readexactly(2**22), 60) == b"x" * 2**22
        writer.close()
    assert client.sandbox.venue.stats.open_now == 0


async def test_a_message_can_have_fragments_without_an_end() -> None:
    async with Client.open(speed=20) as client:
        reader, writer = await handshake(client)
        await eventually(lambda: client.sandbox.venue.stats.open_now == 1)
        client.sandbox.control.malformed(["unfinished"])
        await reader.readuntil(b'"never":"')
        assert (await asyncio.wait_for(reader.readexactly(2), 60))[0] == 0x00, "a continuation, not the last"
        writer.close()


async def test_a_frame_can_be_cut_in_the_middle() -> None:
    async with Client.open() as client, client.stream(BTC) as stream:
        client.sandbox.control.malformed(["cut"])
        assert (await stream.end()).type is not aiohttp.WSMsgType.CLOSE
        assert stream.socket.close_code == 1006


@pytest.mark.parametrize("code", [1001, 1008, 1009, 1011, 1012, 1013])
async def test_close_codes(code: int) -> None:
    async with Client.open() as client, client.stream(BTC) as stream, client.stream(ETH) as other:
        assert client.sandbox.control.close(code, connection=0) == 1
        message = await stream.end()
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, code)
        await other.closed(1)
        assert client.sandbox.venue.stats.disconnects == {f"closed {code}": 1}


async def test_fin_and_reset_end_without_a_close_frame() -> None:
    async with Client.open() as client:
        control = client.sandbox.control
        for is_reset in (False, True):
            async with client.stream(BTC) as stream, client.stream(ETH):
                assert (control.reset() if is_reset else control.close(1006)) == 2
                assert (await stream.end()).type is not aiohttp.WSMsgType.CLOSE
                assert stream.socket.close_code == 1006
        assert client.sandbox.venue.stats.disconnects == {"closed 1006": 2, "reset": 2}


async def test_the_shutdown_event_comes_before_the_close() -> None:
    async with Client.open() as client, client.stream(BTC) as stream:
        client.sandbox.control.shutdown_event()
        await stream.until(lambda message: message.get("e") == "serverShutdown")
        assert (await stream.end()).data == 1001


async def test_a_server_that_does_not_read_does_not_answer() -> None:
    async with Client.open() as client, client.stream(BTC) as stream:
        assert client.sandbox.control.stop_reading() == 1
        question = asyncio.create_task(stream.ask("LIST_SUBSCRIPTIONS"))
        async with client.stream(ETH) as other:
            await other.closed(2)
            assert not question.done()
            client.sandbox.control.clear()
            assert await question == [BTC]


async def test_new_connections_may_not_be_read_either() -> None:
    async with Client.open() as client:
        client.sandbox.control.stop_reading(new=True, count=1)
        impatient = aiohttp.ClientWSTimeout(ws_close=0.1)
        url = client.sandbox.ws_url + "/stream"
        async with client.session.ws_connect(url, timeout=impatient) as socket:
            await socket.send_str('{"method":"LIST_SUBSCRIPTIONS","id":1}')
            async with client.stream(ETH) as other:  # the second one is read
                await other.closed(1)
            assert client.sandbox.venue.stats.messages["LIST_SUBSCRIPTIONS"] == 0
            assert fired(client, "stop_reading") == 1


@pytest.mark.parametrize("status", [403, 429, 451, 503])
async def test_handshakes_can_be_refused(status: int) -> None:
    async with Client.open() as client:
        client.sandbox.control.handshake(status, html=True, count=1)
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.session.ws_connect(client.sandbox.ws_url + "/stream")
        assert refused.value.status == status
        async with client.stream(BTC) as stream:
            await stream.closed(1)
        outcomes = [attempt.outcome for attempt in client.sandbox.venue.stats.attempts]
        assert outcomes == [f"refused {status}", "open"]


async def test_handshakes_can_be_redirected_or_reset() -> None:
    async with Client.open() as client:
        client.sandbox.control.handshake(302, location="/market/elsewhere", count=1)
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await client.session.ws_connect(client.sandbox.ws_url + "/stream")
        client.sandbox.control.handshake(0, count=2)  # aiohttp's client tries once more by itself
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.session.ws_connect(client.sandbox.ws_url + "/stream")
        assert fired(client, "handshake") == 3


async def test_a_listing_is_announced_and_then_trades() -> None:
    async with (
        Client.open(speed=1) as client,
        client.stream("!contractInfo", "newusdt@kline_1m") as stream,
    ):
        info = client.sandbox.control.list_symbol("NEWUSDT", in_seconds=90)
        # The exchange stands still over the end of the first minute, which is owed all the same.
        client.pass_time(180)
        first, second = [(await stream.next())["data"] for _ in range(2)]
        assert [one["cs"] for one in (first, second)] == ["PENDING_TRADING", "TRADING"]
        assert (first["s"], first["ot"], first["ct"]) == ("NEWUSDT", info["onboardDate"], "PERPETUAL")
        k = (await stream.closed(1))[0]
        assert k["t"] == info["onboardDate"] // MINUTE_MS * MINUTE_MS
        _, body, _ = await client.get("/fapi/v1/exchangeInfo")
        shown = {one["symbol"]: one["status"] for one in body["symbols"]}
        assert shown["NEWUSDT"] == "TRADING"


async def test_a_delisting_ends_rows_and_frames_and_the_truth() -> None:
    async with Client.open() as client, client.stream(BTC, ETH, "!contractInfo") as stream:
        info = client.sandbox.control.delist("BTCUSDT")
        event = await stream.until(lambda message: message.get("stream") == "!contractInfo")
        assert (event["data"]["s"], event["data"]["cs"]) == ("BTCUSDT", "SETTLING")
        closed = await stream.closed(8)
        last = max(k["t"] for k in closed if k["s"] == "BTCUSDT")
        assert last + MINUTE_MS == info["deliveryDate"] == event["data"]["dt"]
        assert (await client.klines("BTCUSDT", limit=1))[0][0] == last
        assert client.sandbox.truth("BTCUSDT", last, last + 60 * MINUTE_MS)[-1].open_time == last
        (period,) = next(
            one["periods"] for one in client.sandbox.venue.listing() if one["symbol"] == "BTCUSDT"
        )
        assert period["to_ms"] == info["deliveryDate"]


async def test_a_halt_is_a_hole_in_the_same_contract() -> None:
    async with Client.open() as client, client.stream(BTC) as stream:
        await stream.closed(1)
        client.sandbox.control.halt("BTCUSDT")
        stopped = client.sandbox.now_ms()
        await eventually(lambda: client.sandbox.now_ms() > stopped + 3 * MINUTE_MS)
        client.sandbox.control.resume("BTCUSDT")
        closed = [k["t"] for k in await stream.closed(2)]
        while closed[-1] - closed[-2] == MINUTE_MS and len(closed) < 5:  # what was under way before the halt
            closed += [k["t"] for k in await stream.closed(1)]
        assert closed[-1] - closed[-2] > 2 * MINUTE_MS
        rows = await client.klines("BTCUSDT", startTime=closed[-2], limit=2)
        assert [row[0] for row in rows] == closed[-2:]
