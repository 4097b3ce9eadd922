"""The feed's hub: who hears what, in how many messages, and what it keeps in memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame
from websockets.streams import StreamReader

from src.api.feed import hub as hub_module
from src.api.feed.frames import Bundle, Subscription, TaskNews, Wanted, parse_said
from src.api.feed.hub import YOUNG_MS, Hub
from src.api.feed.protocol import text_frame
from src.clock import VenueClock
from src.model import MINUTE_MS, Candle
from src.telemetry.metrics import Metrics
from tests.support.eventually import eventually
from tests.support.fakes import make_candle

NAMES = ["BTCUSDT", "ETHUSDT", "SOLUSDT", "币安USDT", 'A"\\USDT']


class Ear:
    """Remembers what it hears; deaf after ``until`` messages."""

    def __init__(self, until: int = 1_000) -> None:
        self.frames: list[bytes] = []
        self._until = until

    def push(self, frame: bytes) -> bool:
        if len(self.frames) >= self._until:
            return False
        self.frames.append(frame)
        return True

    @property
    def heard(self) -> list[dict[str, Any]]:
        return [json.loads(_text_of(frame)) for frame in self.frames]

    @property
    def symbols(self) -> list[str]:
        return [row[0] for message in self.heard for row in message.get("candles", ())]


def _text_of(frame: bytes) -> bytes:
    """By somebody else's reading of the frame."""
    stream = StreamReader()
    stream.feed_data(frame)
    parser = Frame.parse(stream.read_exact, mask=False)
    try:
        next(parser)
    except StopIteration as done:
        assert done.value.fin
        return bytes(done.value.data)
    raise AssertionError("half a frame")


@pytest.fixture
async def hub() -> AsyncIterator[Hub]:
    hub = Hub(VenueClock(), Metrics())
    running = asyncio.create_task(hub.run(), name="feed")
    yield hub
    running.cancel()


def candles(symbols: Sequence[str], *, back: int = 1) -> list[Candle]:
    now_ms = VenueClock().now_ms() // MINUTE_MS * MINUTE_MS
    return [make_candle(symbol, now_ms - back * MINUTE_MS) for symbol in symbols]


async def test_everybody_hears_what_he_wants_in_one_message_a_flush(hub: Hub) -> None:
    everything, some, nothing, other = Ear(), Ear(), Ear(), Ear()
    hub.hear(everything, Subscription(None))
    hub.hear(some, Subscription(frozenset({"ETHUSDT", "XUSDT"})))
    hub.hear(nothing, Subscription())
    hub.hear(other, Subscription(frozenset({"XUSDT"})))
    hub.candles(candles(NAMES))
    await eventually(lambda: everything.frames and some.frames)
    assert everything.symbols == NAMES
    assert some.symbols == ["ETHUSDT"]
    assert (len(everything.frames), len(some.frames), nothing.frames, other.frames) == (1, 1, [], [])


async def test_equal_subscriptions_get_the_same_bytes(hub: Hub) -> None:
    ears = [Ear() for _ in range(6)]
    for ear in ears[:3]:
        hub.hear(ear, Subscription(None))
    for ear in ears[3:]:
        hub.hear(ear, Subscription.of(Wanted(candles=["ETHUSDT", "BTCUSDT"])))
    hub.candles(candles(NAMES))
    await eventually(lambda: all(ear.frames for ear in ears))
    assert len({id(ear.frames[0]) for ear in ears}) == 2


async def test_what_was_filled_late_is_told_as_a_span(hub: Hub) -> None:
    ear, other = Ear(), Ear()
    hub.hear(ear, Subscription(None))
    hub.hear(other, Subscription(frozenset({"ETHUSDT"})))
    old = YOUNG_MS // MINUTE_MS + 5
    hub.candles([one for back in (old, old + 9, old + 3) for one in candles(["BTCUSDT"], back=back)])
    hub.candles(candles(["ETHUSDT"]))
    await eventually(lambda: other.frames)
    [first], [last] = candles(["BTCUSDT"], back=old + 9), candles(["BTCUSDT"], back=old)
    assert ear.heard[0]["filled"] == {"BTCUSDT": [first.open_ms, last.open_ms]}
    assert ear.symbols == other.symbols == ["ETHUSDT"]
    assert "filled" not in other.heard[0]


async def test_news_of_tasks_and_alerts_go_to_those_who_asked(hub: Hub) -> None:
    ears = {name: Ear() for name in ("a", "b", "alerts")}
    hub.hear(ears["a"], Subscription(tasks=frozenset("a")))
    hub.hear(ears["b"], Subscription(tasks=frozenset("b")))
    hub.hear(ears["alerts"], Subscription(alerts=True))
    assert hub.wanted_tasks == {"a", "b"}
    assert not hub.wants_candles
    hub.task("a", TaskNews("RUNNING", 0.5, ((1, 2, "info", "one"),)))
    hub.task("a", TaskNews("SUCCESS", 1.0, ((2, 3, "info", "two"),)))
    hub.alert({"alert": 7})
    await eventually(lambda: ears["a"].frames and ears["alerts"].frames)
    lines = [[1, 2, "info", "one"], [2, 3, "info", "two"]]
    assert ears["a"].heard[0]["tasks"] == {"a": {"state": "SUCCESS", "share": 1.0, "lines": lines}}
    assert ears["alerts"].heard[0]["alerts"] == [{"alert": 7}]
    assert ears["b"].frames == []


async def test_who_does_not_keep_up_or_leaves_is_told_no_more(hub: Hub) -> None:
    slow, gone, quick = Ear(until=1), Ear(), Ear()
    for ear in (slow, gone, quick):
        hub.hear(ear, Subscription(None))
    for number in range(1, 4):
        hub.candles(candles(["BTCUSDT"]))
        await eventually(lambda: quick.frames[number - 1 :])  # noqa: B023 - awaited in this turn
        hub.leave(gone)
    assert (len(slow.frames), len(gone.frames)) == (1, 1)
    assert set(hub._listeners) == {quick}


async def test_without_listeners_nothing_is_kept() -> None:
    hub = Hub(VenueClock(), Metrics())
    hub.candles(candles(NAMES))
    hub.alert({"alert": 7})
    assert (hub._candles, hub._filled, hub._alerts) == ([], {}, [])
    assert not hub._woken.is_set()


async def test_memory_is_bounded_while_it_has_no_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "_MOST_CANDLES", 10)
    monkeypatch.setattr(hub_module, "_MOST_ALERTS", 3)
    metrics = Metrics()
    hub = Hub(VenueClock(), metrics)
    hub.hear(Ear(), Subscription(None, alerts=True))
    for _ in range(100):
        hub.candles(candles(NAMES))
        hub.alert({"alert": 7})
    assert (sum(map(len, hub._candles)), len(hub._alerts)) == (10, 3)
    assert hub._filled.keys() == set(NAMES)  # nothing is silent: who listens asks for these again
    assert metrics.registry.get_sample_value("marketd_feed_dropped_total") == 97


async def test_others_have_their_turn_between_listeners(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "_SLICE_S", 0.0)
    ears = [Ear() for _ in range(50)]
    for ear in ears:
        hub.hear(ear, Subscription(None))
    hub.candles(candles(["BTCUSDT"]))
    counts = set()
    while not ears[-1].frames:
        await asyncio.sleep(0)
        counts.add(sum(bool(ear.frames) for ear in ears))
    assert len(counts) > 25


@given(st.binary(max_size=300) | st.integers(0, 200_000).map(lambda size: b"x" * size))
def test_a_frame_is_what_others_read_it_as(text: bytes) -> None:
    assert _text_of(text_frame(text)) == text


@given(
    st.lists(st.sampled_from(NAMES)),
    st.none() | st.frozensets(st.sampled_from([*NAMES, "XUSDT"])),
    st.booleans(),
)
def test_a_bundle_tells_as_a_naive_filter_would(
    symbols: list[str], wanted: frozenset[str] | None, alerts: bool
) -> None:
    rows = [make_candle(symbol, number * MINUTE_MS) for number, symbol in enumerate(symbols)]
    bundle = Bundle(5, alerts=[{"alert": 1}])
    for row in rows:
        bundle.add(row)
    text = bundle.text(Subscription(wanted, alerts=alerts))
    kept = [row for row in rows if wanted is None or row.symbol in wanted]
    if not kept and not alerts:
        assert text is None
        return
    assert text is not None
    told = json.loads(text)
    expected = sorted([row.symbol, row.open_ms, *row.values] for row in kept)
    assert sorted(told.get("candles", [])) == expected
    assert (told["type"], told["at_ms"], "alerts" in told) == ("live", 5, alerts)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "1",
        '{"subscribe": 1}',
        '{"subscribe": {"candles": "BTCUSDT"}}',
        '{"subscribe": {"candles": [1]}}',
        '{"subscribe": {"else": 1}}',
        '{"else": 1}',
        '{"token": 1}',
        '{"subscribe": {"tasks": ' + json.dumps(["a"] * 21) + "}}",
    ],
)
def test_what_a_client_says_wrong_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w+"):
        parse_said(text)


def test_what_a_client_may_say() -> None:
    said = parse_said('{"token": "abc", "subscribe": {"candles": "*", "tasks": ["t"], "alerts": true}}')
    assert said.token == "abc"
    assert said.subscribe is not None
    assert Subscription.of(said.subscribe) == Subscription(None, frozenset("t"), True)
    assert Subscription.of(Wanted(candles=["B", "A", "B"])) == Subscription(frozenset({"A", "B"}))
