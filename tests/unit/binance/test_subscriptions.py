"""Who subscribes what where: a state machine of the plan, its connections, and a venue that answers late."""

from __future__ import annotations

import orjson
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from src.adapters.binance.stream.plan import ConnectionPlan
from src.adapters.binance.stream.subscriptions import Request, Subscriptions

CAPACITY = 4
OWN = ("canary", "!events")
SYMBOLS = [f"S{number}" for number in range(14)]


class Connection:
    """The venue's side of one connection, and the requests on their way to it."""

    def __init__(self, symbols: frozenset[str]) -> None:
        self.subscriptions = Subscriptions(3, OWN)
        self.subscriptions.want(symbols)
        self.held: set[str] = set()
        self.answers: list[tuple[int, bool]] = []

    def ask(self) -> bool:
        """Send the next request; the venue obeys at once and answers later."""
        request = self.subscriptions.next()
        if request is None:
            return False
        assert 0 < len(request.names) <= 3
        if request.method == "SUBSCRIBE":
            assert self.held.isdisjoint(request.names), "asked twice"
            self.held |= set(request.names)
        else:
            assert self.held >= set(request.names), "dropped what was not held"
            self.held -= set(request.names)
        self.answers.append((request.number, False))
        return True


class SubscriptionSet(RuleBasedStateMachine):
    """Desired symbols against what the venue's connections hold."""

    def __init__(self) -> None:
        super().__init__()
        self.plan = ConnectionPlan(CAPACITY)
        self.desired: set[str] = set()
        self.slots: dict[int, list[Connection]] = {}

    def apply(self) -> None:
        wanted = self.plan.slots
        for number in self.slots.keys() - wanted.keys():
            del self.slots[number]
        for number, symbols in wanted.items():
            for connection in self.slots.setdefault(number, [Connection(symbols)]):
                connection.subscriptions.want(symbols)

    def all_connections(self) -> list[Connection]:
        return [connection for links in self.slots.values() for connection in links]

    @rule(symbols=st.sets(st.sampled_from(SYMBOLS)))
    def desire(self, symbols: set[str]) -> None:
        self.desired = symbols
        self.plan.set(symbols)
        self.apply()

    @precondition(lambda self: self.desired)
    @rule(data=st.data())
    def resubscribe(self, data: st.DataObject) -> None:
        symbol = data.draw(st.sampled_from(sorted(self.desired)))
        number = self.plan.slot_of(symbol)
        assert number is not None
        for connection in self.slots[number]:
            connection.subscriptions.again(symbol)

    @precondition(lambda self: self.desired)
    @rule(data=st.data())
    def move(self, data: st.DataObject) -> None:
        symbol = data.draw(st.sampled_from(sorted(self.desired)))
        before = self.plan.slot_of(symbol)
        self.plan.move(symbol)
        assert self.plan.slot_of(symbol) != before
        self.apply()

    @precondition(lambda self: self.slots)
    @rule(data=st.data())
    def begin_takeover(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.slots)))
        if len(self.slots[number]) == 1:
            self.slots[number].append(Connection(self.plan.slots[number]))

    @precondition(lambda self: self.slots)
    @rule(data=st.data())
    def end_takeover_or_die(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.slots)))
        old = self.slots[number].pop(0)
        if not self.slots[number]:
            self.slots[number].append(Connection(self.plan.slots[number]))
        assert old not in self.slots[number]

    @precondition(lambda self: self.slots)
    @rule(data=st.data())
    def ask(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from(self.all_connections())).ask()

    @precondition(lambda self: any(one.answers for one in self.all_connections()))
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        waiting = [one for one in self.all_connections() if one.answers]
        connection = data.draw(st.sampled_from(waiting))
        number, refused = connection.answers.pop(data.draw(st.integers(0, len(connection.answers) - 1)))
        assert connection.subscriptions.answered(number, refused=refused) is not None

    @invariant()
    def the_plan_has_each_desired_symbol_once(self) -> None:
        placed = [symbol for symbols in self.plan.slots.values() for symbol in symbols]
        assert sorted(placed) == sorted(self.desired)
        assert all(0 < len(symbols) <= CAPACITY for symbols in self.plan.slots.values())

    @invariant()
    def no_connection_holds_more_than_its_limit(self) -> None:
        for connection in self.all_connections():
            assert len(connection.held) <= CAPACITY + len(OWN)

    @invariant()
    def once_all_is_asked_the_venue_holds_the_plan(self) -> None:
        """Asks to the end each time; the lazy machine below leaves requests and answers on their way."""
        for connection in self.all_connections():
            for _ in range(200):
                if not connection.ask():
                    break
            else:
                raise AssertionError("asks for ever")
        for number, links in self.slots.items():
            for connection in links:
                assert connection.held == self.plan.slots[number] | set(OWN)
                settled = not connection.answers
                assert connection.subscriptions.is_complete or not settled

    @invariant()
    def numbers_of_connections_are_few(self) -> None:
        least = -(-len(self.desired) // CAPACITY)
        assert len(self.slots) >= least


class LazySubscriptionSet(SubscriptionSet):
    """The same without settling after every step, so that changes meet requests on their way."""

    @invariant()
    def once_all_is_asked_the_venue_holds_the_plan(self) -> None:
        return

    def teardown(self) -> None:
        super().once_all_is_asked_the_venue_holds_the_plan()


TestSubscriptionSet = SubscriptionSet.TestCase
TestLazySubscriptionSet = LazySubscriptionSet.TestCase
TestSubscriptionSet.settings = TestLazySubscriptionSet.settings = settings(max_examples=60, deadline=None)


def test_a_plan_spreads_new_symbols_evenly_and_leaves_old_ones_alone() -> None:
    plan = ConnectionPlan(198)
    plan.set([f"S{number}" for number in range(740)])
    assert sorted(len(symbols) for symbols in plan.slots.values()) == [185] * 4
    before = plan.slots
    plan.set([f"S{number}" for number in range(741)])
    after = plan.slots
    assert all(after[number] >= symbols for number, symbols in before.items())


def test_a_message_is_what_the_venue_reads() -> None:
    request = Request(7, "SUBSCRIBE", ("btcusdt@kline_1m", "币安人生usdt@kline_1m"))
    assert orjson.loads(request.text()) == {
        "method": "SUBSCRIBE",
        "params": ["btcusdt@kline_1m", "币安人生usdt@kline_1m"],
        "id": 7,
    }
    assert "币安人生" in request.text()


def test_our_own_streams_come_first() -> None:
    subscriptions = Subscriptions(3, OWN)
    subscriptions.want(["a", "b"])
    request = subscriptions.next()
    assert request is not None
    assert request.names == (*OWN, "a")


def test_a_refused_request_is_halved_until_the_bad_name_stands_alone() -> None:
    subscriptions = Subscriptions(8)
    subscriptions.want([f"s{number}" for number in range(7)] + ["bad"])
    held: set[str] = set()
    for _ in range(20):
        while (request := subscriptions.next()) is not None:
            refused = "bad" in request.names
            subscriptions.answered(request.number, refused=refused)
            if not refused:
                held |= set(request.names)
        subscriptions.release()
    assert held == {f"s{number}" for number in range(7)}
    assert subscriptions.confirmed == 7
    assert not subscriptions.is_complete


def test_answers_that_nobody_waits_for_change_nothing() -> None:
    subscriptions = Subscriptions(3, OWN)
    for number in (None, "1", 99):
        assert subscriptions.answered(number, refused=True) is None
    assert subscriptions.next() is not None
