from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from src.clock import VenueClock
from src.collectors.listings.selection import Selection
from src.collectors.listings.universe import Universe
from src.errors import BadData, ConfigError, Unavailable
from src.model import DAY_MS, MINUTE_MS, ContractChange, ContractStatus, Instrument
from src.telemetry.metrics import Metrics
from tests.support.eventually import eventually
from tests.support.fakes import (
    EPOCH,
    EPOCH_MS,
    NO_DELIVERY_MS,
    FakeHistory,
    StepClock,
    count,
    make_instrument,
)


class Bench:
    def __init__(self, *instruments: Instrument, selection: Selection | None = None) -> None:
        self.clock, self.metrics = StepClock(), Metrics()
        self.history = FakeHistory(self.clock, instruments)
        self.universe = Universe(self.history, self.clock, self.metrics, selection or Selection())

    def adopt(self, *instruments: Instrument) -> None:
        self.universe.adopt(instruments, self.clock.now_ms())


def change_of(instrument: Instrument) -> ContractChange:
    return ContractChange(
        instrument.symbol,
        instrument.contract_type,
        instrument.status,
        instrument.onboard_ms,
        instrument.delivery_ms,
        EPOCH_MS,
    )


A, B = make_instrument("AUSDT"), make_instrument("BUSDT")


@pytest.mark.parametrize(
    ("instrument", "chosen"),
    [
        (make_instrument("BTCUSDT"), True),
        (make_instrument("币安人生USDT"), True),
        (make_instrument("1000PEPEUSDT"), True),
        (make_instrument("XAUUSDT", contract_type="TRADIFI_PERPETUAL"), True),
        (make_instrument("BTCUSDC", quote="USDC"), False),
        (make_instrument("BTCUSDT_260327", contract_type="CURRENT_QUARTER"), False),
        (make_instrument("OLDUSDT", status=ContractStatus.SETTLING, delivery_ms=EPOCH_MS - 5), False),
        (
            make_instrument("SOONUSDT", status=ContractStatus.PENDING_TRADING, onboard_ms=EPOCH_MS + 120_000),
            True,
        ),
        (
            make_instrument(
                "LATERUSDT", status=ContractStatus.PENDING_TRADING, onboard_ms=EPOCH_MS + 121_000
            ),
            False,
        ),
        (
            make_instrument(
                "NEVERUSDT", status=ContractStatus.PENDING_TRADING, onboard_ms=EPOCH_MS - 3_600_000
            ),
            False,
        ),
        (
            make_instrument(
                "NEVERUSDT", status=ContractStatus.PENDING_TRADING, onboard_ms=EPOCH_MS - 3_600_000
            ),
            False,
        ),
        (
            make_instrument(
                "DELAYEDUSDT", status=ContractStatus.PENDING_TRADING, onboard_ms=EPOCH_MS - 3_599_999
            ),
            True,
        ),
    ],
)
def test_takes_trading_usdt_perpetuals_and_those_about_to_trade(instrument: Instrument, chosen: bool) -> None:
    bench = Bench()
    bench.adopt(instrument)
    assert (instrument.symbol in bench.universe.symbols) is chosen


def test_globs_choose_and_exclude() -> None:
    bench = Bench(selection=Selection(include=("B*", "币*"), exclude=("BCH*",)))
    bench.adopt(*(make_instrument(name) for name in ("BTCUSDT", "BCHUSDT", "ETHUSDT", "币安人生USDT")))
    assert bench.universe.symbols == {"BTCUSDT", "币安人生USDT"}


def test_a_minute_is_expected_only_if_all_of_it_lies_in_the_listing() -> None:
    bench = Bench()
    bench.adopt(replace(A, onboard_ms=EPOCH_MS + 30_000, delivery_ms=EPOCH_MS + 3 * MINUTE_MS))
    minutes = range(EPOCH_MS - MINUTE_MS, EPOCH_MS + 5 * MINUTE_MS, MINUTE_MS)
    assert [bool(bench.universe.expected(open_ms)) for open_ms in minutes] == [
        False,
        False,
        True,
        True,
        False,
        False,
    ]
    assert [bench.universe.admits("AUSDT", open_ms) for open_ms in minutes] == [
        False,
        True,
        True,
        True,
        False,
        False,
    ]
    assert bench.universe.windows(0, NO_DELIVERY_MS) == {
        "AUSDT": [(EPOCH_MS + MINUTE_MS, EPOCH_MS + 3 * MINUTE_MS)]
    }


def test_a_delisting_ends_the_expectation_at_delivery_but_not_before() -> None:
    bench = Bench()
    bench.adopt(A, B)
    bench.clock.advance(60)
    bench.adopt(A, replace(B, status=ContractStatus.SETTLING, delivery_ms=EPOCH_MS))
    assert bench.universe.symbols == {"AUSDT"}
    assert bench.universe.expected(EPOCH_MS - MINUTE_MS) == ["AUSDT", "BUSDT"]
    assert bench.universe.expected(EPOCH_MS) == ["AUSDT"]
    assert bench.universe.knows("BUSDT")
    bench.clock.advance(3 * DAY_MS / 1000)
    bench.adopt(A, replace(B, status=ContractStatus.SETTLING, delivery_ms=EPOCH_MS))
    assert not bench.universe.knows("BUSDT")


def test_a_delisting_of_yesterday_still_owes_its_last_minutes() -> None:
    bench = Bench()
    bench.adopt(replace(B, status=ContractStatus.SETTLING, delivery_ms=EPOCH_MS - DAY_MS // 2))
    assert bench.universe.symbols == frozenset()
    assert bench.universe.windows(EPOCH_MS - DAY_MS, EPOCH_MS) == {
        "BUSDT": [(EPOCH_MS - DAY_MS, EPOCH_MS - DAY_MS // 2)]
    }


@pytest.mark.parametrize(
    "after",
    [
        [replace(A, status=ContractStatus.PRE_SETTLE)],
        [replace(A, status=ContractStatus.SETTLING, delivery_ms=EPOCH_MS + 2 * MINUTE_MS)],
        [],
    ],
    ids=["halted", "delivered at the end of the minute", "gone"],
)
def test_who_stops_in_the_middle_of_a_minute_still_owes_that_minute(after: list[Instrument]) -> None:
    bench = Bench()
    bench.adopt(A)
    bench.clock.advance(90)
    bench.adopt(*after)
    for _ in range(2):
        assert [bench.universe.expected(EPOCH_MS + n * MINUTE_MS) for n in range(3)] == [
            ["AUSDT"],
            ["AUSDT"],
            [],
        ]
        assert bench.universe.admits("AUSDT", EPOCH_MS + MINUTE_MS)
        bench.clock.advance(300)
        bench.adopt(*after)


def test_a_halt_that_is_over_leaves_one_listing() -> None:
    bench = Bench()
    bench.adopt(A)
    bench.clock.advance(90)
    bench.adopt(replace(A, status=ContractStatus.PRE_SETTLE))
    bench.clock.advance(600)
    bench.adopt(A)
    assert bench.universe.windows(EPOCH_MS, EPOCH_MS + 600_000) == {"AUSDT": [(EPOCH_MS, EPOCH_MS + 600_000)]}


def test_a_symbol_listed_again_is_a_new_interval() -> None:
    bench = Bench()
    bench.adopt(A)
    bench.clock.advance(600)
    bench.adopt(replace(A, onboard_ms=EPOCH_MS + 300_000))
    assert bench.universe.windows(EPOCH_MS - MINUTE_MS, EPOCH_MS + 600_000) == {
        "AUSDT": [(EPOCH_MS - MINUTE_MS, EPOCH_MS + 300_000), (EPOCH_MS + 300_000, EPOCH_MS + 600_000)]
    }


def test_listeners_hear_the_symbols_at_once_and_every_change_but_no_repetition() -> None:
    bench, heard = Bench(), list[frozenset[str]]()
    bench.adopt(A)
    with bench.universe.telling(heard.append):
        bench.adopt(A, B)
        bench.adopt(A, B)
        bench.adopt(B)
    bench.adopt(A, B)
    assert heard == [{"AUSDT"}, {"AUSDT", "BUSDT"}, {"BUSDT"}]
    assert count(bench.metrics, "universe_changes_total", change="added") == 2
    assert count(bench.metrics, "universe_changes_total", change="removed") == 1
    assert count(bench.metrics, "symbols_expected") == 2


def test_a_list_that_lost_most_symbols_must_say_so_twice() -> None:
    bench = Bench()
    many = [make_instrument(f"S{index}USDT") for index in range(40)]
    bench.adopt(*many)
    bench.adopt(*many[:3])
    assert len(bench.universe.symbols) == 40
    bench.adopt(*many[:3])
    assert len(bench.universe.symbols) == 3


async def test_the_first_list_waits_for_the_clock_and_outlives_a_venue_that_is_down() -> None:
    bench = Bench(A)
    bench.history.errors = [Unavailable("down", retry_after=0.01), BadData("HTML")]
    clock_set = asyncio.Event()
    clock = VenueClock(speed=100, start=EPOCH)
    universe = Universe(bench.history, clock, bench.metrics, Selection(), after=clock_set)
    task = asyncio.create_task(universe.run(), name="universe")
    await asyncio.sleep(0)
    assert len(bench.history.errors) == 2
    clock_set.set()
    await eventually(universe.ready.is_set)
    assert universe.symbols == {"AUSDT"}
    await cancel(task)


async def test_a_wrong_setting_is_not_retried() -> None:
    bench = Bench()
    bench.history.errors = [ConfigError("BINANCE_REST_URL: no")]
    with pytest.raises(ConfigError):
        await bench.universe.run()


async def test_an_announcement_is_read_at_once_and_again_until_the_list_shows_it() -> None:
    bench = Bench(A)
    universe = Universe(bench.history, VenueClock(speed=100, start=EPOCH), bench.metrics, Selection())
    task = asyncio.create_task(universe.run(), name="universe")
    await eventually(universe.ready.is_set)
    universe.on_change(change_of(replace(B, contract_type="CURRENT_QUARTER")))
    universe.on_change(change_of(A))
    universe.on_change(change_of(B))
    await asyncio.sleep(0)
    assert universe.symbols == {"AUSDT"}
    bench.history.listed.append(B)
    await eventually(lambda: universe.symbols == {"AUSDT", "BUSDT"})
    await cancel(task)


async def test_a_coming_listing_is_subscribed_two_minutes_before_its_time() -> None:
    soon = make_instrument("SOONUSDT", status=ContractStatus.PENDING_TRADING, onboard_ms=EPOCH_MS + 180_000)
    bench = Bench(soon)
    clock = VenueClock(speed=20, start=EPOCH)
    universe = Universe(bench.history, clock, bench.metrics, Selection())
    task = asyncio.create_task(universe.run(), name="universe")
    await eventually(lambda: universe.symbols)
    assert 60 <= clock.monotonic() < 180
    await cancel(task)


async def cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_when_other_symbols_are_chosen_half_of_them_may_go_at_once() -> None:
    many = [make_instrument(f"{letter}{other}USDT") for letter in "ABCDEF" for other in "ABCDE"]
    bench = Bench(*many, selection=Selection())
    selection = bench.universe._selection
    bench.adopt(*many)
    selection.become(Selection(include=("AA*",)))
    bench.universe.choose_anew()
    bench.adopt(*many)
    assert bench.universe.symbols == {"AAUSDT"}
    selection.become(Selection())
    bench.adopt(*many)
    bench.adopt(many[0])
    assert len(bench.universe.symbols) == len(many), "the venue is doubted as ever"
