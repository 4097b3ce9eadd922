"""The plan: every missing minute from exactly one source, and nothing that is not missing."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from src.collectors.backfill.days import by_symbol, day_ms, day_parts, split_days
from src.collectors.backfill.estimate import add_up, estimate
from src.collectors.backfill.plan import Knowledge, Plan, Source, Tried, again, make_plan
from src.model import DAY_MS, MINUTE_MS, CoverageDay, Dataset, FileState, Gap, KnownFile, Listing, Span
from tests.support.archive_layout import PlainLayout

TODAY = date(2026, 3, 20)
NOW_MS = day_ms(TODAY) + 10 * 3_600_000
LAYOUT = PlainLayout()
_STATES = [FileState.IMPORTED, FileState.QUARANTINED, FileState.MISSING]


def _day(symbol: str, day: date, have: int, attempts: int = 0) -> CoverageDay:
    return CoverageDay(Dataset.CANDLES, symbol, day, 1440, have, attempts=attempts)


def _empty_days(symbol: str, first: date, last: date) -> list[CoverageDay]:
    return [_day(symbol, first + timedelta(days=n), 0) for n in range((last - first).days + 1)]


def _plan(
    days: list[CoverageDay],
    gaps: list[Gap],
    listings: list[Listing],
    *,
    since: date = date(2025, 1, 1),
    until_ms: int = NOW_MS,
    source: Source = Source.AUTO,
    files: dict[str, FileState] | None = None,
    asked: dict[tuple[str, date], FileState | None] | None = None,
    folders: dict[tuple[str, int], str] | None = None,
) -> Plan:
    parts = list(day_parts(days, split_days(gaps), by_symbol(listings), day_ms(since), until_ms))
    known = {
        path: KnownFile(LAYOUT.file(Dataset.CANDLES, Span.DAILY, "X", "X", TODAY), state, "", NOW_MS)
        for path, state in (files or {}).items()
    }
    return make_plan(parts, Knowledge(LAYOUT, NOW_MS, known, folders or {}, Tried(asked or {})), source)


def _listing(symbol: str = "BTCUSDT", first: date = date(2024, 1, 1), last: date | None = None) -> Listing:
    return Listing(symbol, day_ms(first), day_ms(last) if last else 10**14)


def _hole(day: date, start: int, minutes: int, symbol: str = "BTCUSDT") -> Gap:
    first = day_ms(day) + start * MINUTE_MS
    return Gap(symbol, first, first + minutes * MINUTE_MS, "missing")


def _path(day: date, span: Span = Span.DAILY, folder: str = "BTCUSDT") -> str:
    return LAYOUT.file(Dataset.CANDLES, span, folder, "BTCUSDT", day).path


_holes = st.lists(
    st.tuples(st.sampled_from(["A", "B"]), st.integers(0, 79), st.integers(0, 1439), st.integers(1, 1500)),
    max_size=12,
)
_listings = st.lists(
    st.tuples(st.sampled_from(["A", "B"]), st.integers(0, 60), st.integers(1, 90_000)), min_size=1, max_size=4
)


@given(
    holes=_holes,
    listed=_listings,
    empty=st.sets(st.tuples(st.sampled_from(["A", "B"]), st.integers(0, 79)), max_size=60),
    source=st.sampled_from(Source),
    states=st.lists(st.sampled_from([None, *_STATES]), min_size=1, max_size=7),
    bound=st.integers(0, 80 * 1440),
)
def test_every_missing_minute_is_in_exactly_one_task(
    holes: list[tuple[str, int, int, int]],
    listed: list[tuple[str, int, int]],
    empty: set[tuple[str, int]],
    source: Source,
    states: list[FileState | None],
    bound: int,
) -> None:
    first = date(2026, 1, 1)
    origin = day_ms(first)
    listings, end = [], {"A": 0, "B": 0}
    for symbol, after, length in listed:
        # One listing after the other, each beginning inside a minute now and then.
        start = end[symbol] + after * 1000 * 37
        listings.append(Listing(symbol, origin + start, origin + start + length * MINUTE_MS))
        end[symbol] = start + length * MINUTE_MS
    since_ms = origin + bound * MINUTE_MS
    missing: set[tuple[str, int]] = set()
    for symbol, day, start, length in holes:
        missing |= {(symbol, origin + (day * 1440 + start + n) * MINUTE_MS) for n in range(length)}
    for symbol, day in empty:
        missing |= {(symbol, origin + (day * 1440 + n) * MINUTE_MS) for n in range(1440)}
    missing = {key for key in missing if since_ms <= key[1] < NOW_MS}
    missing = {
        (symbol, ms)
        for symbol, ms in missing
        if any(item.symbol == symbol and item.expects(ms) for item in listings)
    }
    days = [
        CoverageDay(
            Dataset.CANDLES, symbol, first + timedelta(days=n), 1440, 0 if (symbol, n) in empty else 1
        )
        for symbol in "AB"
        for n in range(80)
    ]
    gaps = [Gap(symbol, ms, ms + MINUTE_MS, "missing") for symbol, ms in sorted(missing)]
    parts = list(day_parts(days, split_days(gaps), by_symbol(listings), since_ms, NOW_MS))
    paths = {
        LAYOUT.file(Dataset.CANDLES, Span.DAILY, part.symbol, part.symbol, part.day): states[n % len(states)]
        for n, part in enumerate(parts)
    }
    files = {file.path: KnownFile(file, state, "", NOW_MS) for file, state in paths.items() if state}
    plan = make_plan(parts, Knowledge(LAYOUT, NOW_MS, files), source)

    from_files = [
        (gap.symbol, ms)
        for task in plan.files
        for gap in task.gaps
        for ms in range(gap.from_ms, gap.to_ms, MINUTE_MS)
    ]
    from_rest = [(request.symbol, ms) for request in plan.requests for ms in request.minutes()]
    counted = Counter([*from_files, *from_rest])
    assert set(counted.values()) <= {1}
    assert counted.keys() <= missing
    assert len(counted) + plan.left == len(missing)
    assert plan.minutes == len(counted)
    if source is Source.AUTO:
        assert plan.left == 0
    for task in plan.files:
        assert source is not Source.REST
        assert task.gaps
        assert {item for gap in task.gaps for item in split_days([gap])} == {
            (task.file.symbol, day) for day in task.days
        }
        if task.file.span is Span.MONTHLY:
            assert {day.month for day in task.days} == {task.file.first_day.month}
        assert task.file.path not in files


def test_a_whole_missing_month_is_one_file_and_the_rest_are_days() -> None:
    days = _empty_days("BTCUSDT", date(2026, 1, 1), date(2026, 2, 10))
    plan = _plan(days, [], [_listing()])
    assert [task.file.span for task in plan.files] == [Span.DAILY] * 10 + [Span.MONTHLY]
    assert plan.files[-1].file.first_day == date(2026, 1, 1)
    assert plan.minutes == 41 * 1440
    assert not plan.requests


def test_the_month_of_a_listing_that_began_in_it_is_whole_from_there() -> None:
    days = _empty_days("BTCUSDT", date(2026, 1, 20), date(2026, 1, 31))
    plan = _plan(days, [], [_listing(first=date(2026, 1, 20))])
    assert [task.file.path for task in plan.files] == [_path(date(2026, 1, 1), Span.MONTHLY)]
    reaching_back = _plan(days, [], [_listing(first=date(2026, 1, 19))])
    assert {task.file.span for task in reaching_back.files} == {Span.DAILY}


def test_a_month_that_a_bound_cuts_is_never_read_whole() -> None:
    days = _empty_days("BTCUSDT", date(2026, 1, 1), date(2026, 1, 31))
    plan = _plan(days, [], [_listing()], since=date(2026, 1, 2))
    assert {task.file.span for task in plan.files} == {Span.DAILY}
    assert min(task.newest for task in plan.files) == date(2026, 1, 2)


def test_the_last_month_waits_for_its_file() -> None:
    days = _empty_days("BTCUSDT", date(2026, 2, 1), date(2026, 2, 28))
    early = Knowledge(LAYOUT, day_ms(date(2026, 3, 7)))
    parts = list(day_parts(days, {}, by_symbol([_listing()]), 0, NOW_MS))
    assert {task.file.span for task in make_plan(parts, early).files} == {Span.DAILY}
    assert {task.file.span for task in _plan(days, [], [_listing()]).files} == {Span.MONTHLY}


def test_the_last_two_days_and_single_holes_go_over_rest() -> None:
    old = date(2026, 3, 1)
    days = [*_empty_days("BTCUSDT", TODAY - timedelta(days=2), TODAY), _day("BTCUSDT", old, 1438)]
    plan = _plan(days, [_hole(old, 5, 1), _hole(old, 700, 1)], [_listing()])
    assert [task.file.path for task in plan.files] == [_path(TODAY - timedelta(days=2))]
    newest_first = [request.to_ms for request in plan.requests]
    assert newest_first == sorted(newest_first, reverse=True)
    asked_of_old = [request for request in plan.requests if request.to_ms <= day_ms(old) + DAY_MS]
    assert [(request.to_ms - request.from_ms) // MINUTE_MS for request in asked_of_old] == [1, 1]


def test_a_day_of_which_half_is_missing_is_read_from_its_file() -> None:
    day = date(2026, 3, 1)
    plan = _plan([_day("BTCUSDT", day, 720)], [_hole(day, 0, 720)], [_listing()])
    assert [task.file.path for task in plan.files] == [_path(day)]
    assert not plan.requests


def test_a_file_that_was_bad_or_is_not_there_is_left_for_rest() -> None:
    day = date(2026, 3, 1)
    for state in _STATES:
        plan = _plan([_day("BTCUSDT", day, 0)], [], [_listing()], files={_path(day): state})
        assert not plan.files
        assert plan.minutes == 1440


def test_a_file_that_was_not_there_is_asked_for_again_after_a_day() -> None:
    day = date(2026, 3, 1)
    file = LAYOUT.file(Dataset.CANDLES, Span.DAILY, "BTCUSDT", "BTCUSDT", day)
    known = {file.path: KnownFile(file, FileState.MISSING, "", NOW_MS - DAY_MS)}
    parts = list(day_parts([_day("BTCUSDT", day, 0)], {}, by_symbol([_listing()]), 0, NOW_MS))
    assert len(make_plan(parts, Knowledge(LAYOUT, NOW_MS, known)).files) == 1


def test_a_month_whose_file_failed_is_read_by_days() -> None:
    days = _empty_days("BTCUSDT", date(2026, 1, 1), date(2026, 1, 31))
    month = _path(date(2026, 1, 1), Span.MONTHLY)
    for state in _STATES:
        plan = _plan(days, [], [_listing()], files={month: state})
        assert len(plan.files) == 31
        assert {task.file.span for task in plan.files} == {Span.DAILY}


def test_what_rest_does_not_have_is_looked_for_in_the_file_and_then_asked_once_more() -> None:
    day = date(2026, 3, 1)
    days, holes, key = [_day("BTCUSDT", day, 1439)], [_hole(day, 5, 1)], ("BTCUSDT", day)
    after_rest = _plan(days, holes, [_listing()], asked={key: None})
    assert [task.file.path for task in after_rest.files] == [_path(day)]
    for state in _STATES:
        known = {_path(day): state}
        after_file = _plan(days, holes, [_listing()], asked={key: None}, files=known)
        assert (len(after_file.files), len(after_file.requests)) == (0, 1)
        at_the_end = _plan(days, holes, [_listing()], asked={key: state}, files=known)
        assert at_the_end == Plan(left=1)


def test_a_file_whose_rows_were_deleted_is_read_again_for_much_and_for_what_rest_lacks() -> None:
    day = date(2026, 3, 1)
    file = LAYOUT.file(Dataset.CANDLES, Span.DAILY, "BTCUSDT", "BTCUSDT", day)
    known = {file.path: KnownFile(file, FileState.LISTED, "sha", NOW_MS)}

    def planned(have: int, gaps: list[Gap], tried: Tried) -> Plan:
        parts = day_parts([_day("BTCUSDT", day, have)], split_days(gaps), by_symbol([_listing()]), 0, NOW_MS)
        return make_plan(list(parts), Knowledge(LAYOUT, NOW_MS, known, tried=tried))

    few = planned(1439, [_hole(day, 5, 1)], Tried())
    assert (len(few.files), len(few.requests)) == (0, 1)
    lacked = planned(1439, [_hole(day, 5, 1)], Tried({("BTCUSDT", day): FileState.LISTED}))
    assert (len(lacked.files), len(lacked.requests)) == (1, 0)
    much = planned(0, [], Tried())
    assert (len(much.files), len(much.requests)) == (1, 0)


def test_a_day_that_was_looked_at_in_vain_before_is_read_from_its_file() -> None:
    day = date(2026, 3, 1)
    plan = _plan([_day("BTCUSDT", day, 1439, attempts=1)], [_hole(day, 5, 1)], [_listing()])
    assert len(plan.files) == 1


def test_a_file_that_was_dealt_with_is_not_asked_for_again_whatever_the_database_says() -> None:
    day = date(2026, 3, 1)
    parts = list(day_parts([_day("BTCUSDT", day, 0)], {}, by_symbol([_listing()]), 0, NOW_MS))
    plan = make_plan(parts, Knowledge(LAYOUT, NOW_MS, tried=Tried(files={_path(day)})))
    assert not plan.files
    assert plan.minutes == 1440


def test_each_listing_of_a_relisted_symbol_has_its_own_folder() -> None:
    day = date(2026, 3, 1)
    earlier = Listing("BTCUSDT", day_ms(date(2026, 2, 20)), day_ms(day) + 600 * MINUTE_MS)
    later = Listing("BTCUSDT", day_ms(day) + 800 * MINUTE_MS, 10**14)
    plan = _plan(
        [_day("BTCUSDT", day, 0)],
        [],
        [earlier, later],
        folders={("BTCUSDT", earlier.onboard_ms): "BTCUSDTSETTLED"},
    )
    assert {task.file.path: task.minutes for task in plan.files} == {
        _path(day, folder="BTCUSDTSETTLED"): 600,
        _path(day): 640,
    }


def test_only_zip_and_only_rest_leave_out_what_they_cannot_get() -> None:
    days = _empty_days("BTCUSDT", TODAY - timedelta(days=3), TODAY)
    only_zip = _plan(days, [], [_listing()], source=Source.ZIP)
    assert len(only_zip.files) == 3
    assert not only_zip.requests
    assert only_zip.left == 600
    only_rest = _plan(days, [], [_listing()], source=Source.REST)
    assert not only_rest.files
    assert only_rest.left == 0


def test_force_reads_every_published_file_of_the_range() -> None:
    since, until = day_ms(date(2026, 1, 1)), NOW_MS
    plan = again([_listing()], Knowledge(LAYOUT, NOW_MS), since, until)
    spans = Counter(task.file.span for task in plan.files)
    assert spans == {Span.MONTHLY: 2, Span.DAILY: 18}
    assert plan.minutes == (31 + 28 + 18) * 1440


def test_the_estimate_adds_up() -> None:
    days = _empty_days("BTCUSDT", date(2026, 1, 1), TODAY)
    plan = _plan(days, [], [_listing()])
    found = estimate([plan, plan], weight_per_minute=60, workers=2)
    assert found.rows == 2 * plan.minutes
    assert found.files == 2 * len(plan.files)
    assert found.weight == 2 * plan.weight > 0
    assert found.seconds >= found.weight
    assert found.stored_bytes > found.download_bytes > 0
    single = estimate([plan], weight_per_minute=60, workers=2)
    assert add_up([single, single], weight_per_minute=60, workers=2) == found
