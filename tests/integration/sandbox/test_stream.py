"""The streams: what is acked, what is delivered and when, and the venue's limits."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from itertools import pairwise
from urllib.parse import quote

import aiohttp
import pytest

from src.sandbox.market.candles import MINUTE_MS, asleep, delay
from tests.support.eventually import eventually

from .client import START_MS, Client, row_of

SYMBOLS = ["BTCUSDT", "ETHUSDT", "币安人生USDT", "XAUUSDT", "SOLUSDT", "1000PEPEUSDT"]
STREAMS = [name.lower() + "@kline_1m" for name in SYMBOLS]


async def test_every_closed_frame_is_the_truth_and_comes_after_its_delay() -> None:
    async with Client.open() as client, client.stream(*STREAMS) as stream:
        closed = await stream.closed(len(SYMBOLS) * 4)
        for k in closed:
            row = tuple(row_of(k))
            assert [row] == client.sandbox.truth(k["s"], k["t"], k["t"] + MINUTE_MS)
            made = client.sandbox.venue.universe.find(k["s"]).traits
            late = k["E"] - (k["t"] + MINUTE_MS) - delay(made, k["t"] // MINUTE_MS) * 1000
            assert late >= 0
        per_symbol = {name: [k["t"] for k in closed if k["s"] == name] for name in SYMBOLS}
        for minutes in per_symbol.values():
            assert len(minutes) >= 3
            assert minutes == list(range(minutes[0], minutes[-1] + 1, MINUTE_MS)), "one each, none twice"


async def test_closes_keep_their_delay_at_speed_1() -> None:
    start = START_MS + 30_000
    async with Client.open(speed=1, start_ms=start, symbols=40) as client:
        names = [
            one["symbol"]
            for one in client.sandbox.venue.listing()
            if one["quote"] == "USDT" and one["periods"]
        ]
        quick = [
            name
            for name in names
            if delay(client.sandbox.venue.universe.find(name).traits, START_MS // MINUTE_MS) < 1
        ]
        async with client.stream(*(name.lower() + "@kline_1m" for name in quick)) as stream:
            client.pass_time(29.5)
            closed = await stream.closed(len(quick))
        for k in closed:
            due = (
                START_MS
                + MINUTE_MS
                + delay(client.sandbox.venue.universe.find(k["s"]).traits, START_MS // MINUTE_MS) * 1000
            )
            assert 0 <= k["E"] - due < 2_000


async def test_open_frames_come_four_times_a_wall_second_while_something_trades() -> None:
    for speed in (1.0, 20.0):
        async with Client.open(speed=speed) as client, client.stream("btcusdt@kline_1m") as stream:
            made = client.sandbox.venue.universe.find("BTCUSDT").traits
            assert made.least_trades > 240, "something changes every quarter second"
            sent: list[int] = []
            async with asyncio.timeout(60):
                # Its own stamps, for how soon they are read is this machine's affair; and it may be held up itself.
                while len(sent) < 9 or sent[-1] - sent[-5] > 1_500 * speed:
                    event = (await stream.next())["data"]
                    if not event["k"]["x"]:
                        sent.append(event["E"])
            assert all(later - before > 190 * speed for before, later in pairwise(sent))


async def test_open_frames_of_the_next_minute_come_before_a_late_close() -> None:
    async with Client.open() as finder:
        made = finder.sandbox.venue.universe.find("BTCUSDT").traits
        minute = next(m for m in range(START_MS // MINUTE_MS, 0, -1) if 8 < delay(made, m) < 20)
    async with (
        Client.open(speed=10, start_ms=minute * MINUTE_MS + 55_000) as client,
        client.stream("btcusdt@kline_1m") as stream,
    ):
        (k,) = await stream.closed(1)
        assert k["t"] == minute * MINUTE_MS
        opened = [message["data"]["k"]["t"] for message in stream.seen if "data" in message]
        assert (minute + 1) * MINUTE_MS in opened


async def test_a_sleeping_symbol_is_silent_and_rest_has_its_flat_row() -> None:
    async with Client.open(sleeper_share=1.0) as finder:
        traits = {name: finder.sandbox.venue.universe.find(name).traits for name in SYMBOLS}
    first = START_MS // MINUTE_MS // 240 * 240
    start = next(m for m in range(first, 0, -240) if 2 <= sum(asleep(one, m) for one in traits.values()) <= 4)
    sleeping = [name for name in SYMBOLS if asleep(traits[name], start)]
    awake = [name for name in SYMBOLS if name not in sleeping]
    start_ms = start * MINUTE_MS
    async with Client.open(sleeper_share=1.0, start_ms=start_ms) as client:
        async with client.stream(*STREAMS) as stream:
            closed = await stream.closed(len(awake) * 3)
            assert {k["s"] for k in closed} == set(awake)
            told = {message["data"]["s"] for message in stream.seen if "data" in message}
            assert told == set(awake)
        (row,) = await client.klines(sleeping[0], startTime=start_ms, limit=1)
        assert row[8] == 0
        assert Decimal(row[5]) == 0
        assert [tuple(row)] == client.sandbox.truth(sleeping[0], start_ms, start_ms + MINUTE_MS)


async def test_everything_is_acked_and_a_wrong_name_stays_silent() -> None:
    wrong = ["BTCUSDT@kline_1m", "nosuchusdt@kline_1m", "btcusdt@nonsense", "ETHUSDT@aggTrade"]
    async with Client.open() as client, client.stream(*wrong) as stream:
        assert await stream.ask("LIST_SUBSCRIPTIONS") == wrong
        assert await stream.ask("SUBSCRIBE", ["xauusdt@kline_1m"]) is None
        await stream.closed(2)
        assert {message["stream"] for message in stream.seen if "stream" in message} == {"xauusdt@kline_1m"}
        assert await stream.ask("UNSUBSCRIBE", [*wrong, "xauusdt@kline_1m"]) is None
        assert await stream.ask("LIST_SUBSCRIPTIONS") == []
        told = client.sandbox.venue.stats.subscriptions
        assert [(one.method, one.connection, len(one.params)) for one in told] == [
            ("SUBSCRIBE", 0, 4), ("SUBSCRIBE", 0, 1), ("UNSUBSCRIBE", 0, 5),
        ]  # fmt: skip


@pytest.mark.parametrize("path", ["/stream", "/ws"])
async def test_the_legacy_paths_ack_and_never_deliver(path: str) -> None:
    async with Client.open() as client:
        base = client.sandbox.legacy_ws_url
        async with (
            client.stream(*STREAMS, path=path, base=base) as dead,
            client.stream("btcusdt@kline_1m") as alive,
        ):
            await alive.closed(3)
            assert await dead.ask("LIST_SUBSCRIPTIONS") == STREAMS
            assert all("result" in message for message in dead.seen)


async def test_raw_and_combined_and_the_property_between_them() -> None:
    async with Client.open() as client:
        async with client.stream("btcusdt@kline_1m", path="/ws") as stream:
            assert await stream.ask("GET_PROPERTY", ["combined"]) is False
            raw = await stream.until(lambda message: message.get("e") == "kline")
            assert raw["s"] == "BTCUSDT"
            assert await stream.ask("SET_PROPERTY", ["combined", True]) is None
            message = await stream.until(lambda message: "stream" in message)
            assert message["data"]["e"] == "kline"
        async with client.stream("btcusdt@kline_1m") as stream:
            assert await stream.ask("GET_PROPERTY", ["combined"]) is True


async def test_streams_can_be_named_in_the_url() -> None:
    names = ["btcusdt@kline_1m", "币安人生usdt@kline_1m"]
    async with Client.open() as client:
        for path in (f"/stream?streams={'/'.join(map(quote, names))}", f"/ws/{'/'.join(map(quote, names))}"):
            async with client.stream(path=path) as stream:
                assert {k["s"] for k in await stream.closed(4)} == {"BTCUSDT", "币安人生USDT"}
                assert await stream.ask("LIST_SUBSCRIPTIONS") == names


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", 3),
        ("[1]", 2),
        ('{"id":1}', 2),
        ('{"method":"DANCE","id":1}', 2),
        ('{"method":"SUBSCRIBE","id":1}', 2),
        ('{"method":"SUBSCRIBE","params":[1],"id":1}', 2),
        ('{"method":"SUBSCRIBE","params":["a"],"id":-1}', 2),
        ('{"method":"SET_PROPERTY","params":["colour",true],"id":1}', 0),
        ('{"method":"SET_PROPERTY","params":["combined","yes"],"id":1}', 1),
    ],
)
async def test_malformed_requests_are_answered_with_a_code(text: str, code: int) -> None:
    async with Client.open() as client, client.stream() as stream:
        await stream.socket.send_str(text)
        assert (await stream.next())["error"]["code"] == code
        assert await stream.ask("LIST_SUBSCRIPTIONS") == []


async def test_1024_streams_fit_and_the_next_one_costs_all() -> None:
    names = [f"s{number}usdt@kline_1m" for number in range(1025)]
    async with Client.open() as client, client.stream(*names[:1024]) as stream:
        assert len(await stream.ask("LIST_SUBSCRIPTIONS")) == 1024
        await stream.socket.send_str(json.dumps({"method": "SUBSCRIBE", "params": names[1024:], "id": 9}))
        refused = await stream.next()
        assert refused == {"error": {"code": 4, "msg": "Too many subscriptions"}, "id": 9}
        message = await stream.end()
        assert (message.data, message.extra) == (1008, "Invalid request")


async def test_ten_messages_a_second_and_no_more() -> None:
    async with Client.open(speed=0.05) as client, client.stream() as stream:
        for number in range(11):
            await stream.socket.send_str(json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": number}))
        message = await stream.end()
        assert (message.data, message.extra) == (1008, "Too many requests")
        assert client.sandbox.venue.stats.messages["LIST_SUBSCRIPTIONS"] == 10
        assert client.sandbox.venue.stats.disconnects == {"closed 1008": 1}


async def test_a_binary_message_ends_the_connection() -> None:
    async with Client.open() as client, client.stream() as stream:
        await stream.socket.send_bytes(b'{"method":"LIST_SUBSCRIPTIONS","id":1}')
        assert (await stream.end()).data == 1008


async def test_pings_come_every_three_minutes_and_want_an_answer() -> None:
    async with Client.open(speed=1) as client:
        url = client.sandbox.ws_url + "/ws"
        async with client.session.ws_connect(url, autoping=False) as socket:
            stamps: list[int] = []
            while len(stamps) < 3:
                client.pass_time(180)
                message = await socket.receive(timeout=60)
                assert message.type is aiohttp.WSMsgType.PING
                stamps.append(int(message.data))
            assert all(180_000 <= later - before < 240_000 for before, later in pairwise(stamps))
            client.pass_time(70)
            message = await socket.receive(timeout=60)
            assert message.type in {aiohttp.WSMsgType.ERROR, aiohttp.WSMsgType.CLOSED}
        assert client.sandbox.venue.stats.disconnects == {"no pong": 1}


async def test_pongs_keep_a_connection_and_a_day_ends_it() -> None:
    async with Client.open(speed=1) as client, client.stream() as stream:
        client.sandbox.control.max_age(2_000)
        ended = asyncio.create_task(stream.end(), name="reading")
        (connection,) = client.sandbox._hub.connections.values()
        for _ in range(10):
            client.pass_time(190)
            now_ms = client.sandbox.now_ms()
            await eventually(lambda since=now_ms: connection.pong_ms >= since)  # type: ignore[misc]
        assert not ended.done()
        client.pass_time(101)
        assert (await ended).data == 1001
        assert client.sandbox.venue.stats.disconnects == {"closed 1001": 1}
        assert client.sandbox.control.stats()["fired"]["max_age"] == 1


async def test_mark_prices_come_every_second_as_a_sign_of_life() -> None:
    async with Client.open(speed=1) as client, client.stream("btcusdt@markPrice@1s") as stream:
        seconds: list[int] = []
        async with asyncio.timeout(60):
            # A second in which this machine was held up may be left out; none has two.
            while len(seconds) < 5 or seconds[-1] - seconds[-4] > 3:
                event = (await stream.next())["data"]
                assert event["e"] == "markPriceUpdate"
                seconds.append(event["E"] // 1000)
        assert seconds == sorted(set(seconds))


async def test_a_client_that_does_not_read_is_dropped() -> None:
    async with Client.open() as client:
        connection = await client.session.ws_connect(client.sandbox.ws_url + "/ws")
        hub = client.sandbox.venue
        await eventually(lambda: hub.stats.open_now == 1)
        client.sandbox.control.malformed(["deep"] * 150, connection=0)  # 30 MB, and nobody reads
        await eventually(lambda: hub.stats.disconnects["slow reader"] == 1)
        assert hub.stats.open_now == 0
        await connection.close()
