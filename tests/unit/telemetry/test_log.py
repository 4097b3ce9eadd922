from __future__ import annotations

import io
import json
import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from src.errors import ConfigError
from src.telemetry import log
from src.telemetry.metrics import Metrics


@pytest.fixture(autouse=True)
def _undo() -> Iterator[None]:
    yield
    log.reset()


def lines_of(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_json_object_with_the_fixed_keys_first() -> None:
    stream = io.StringIO()
    log.configure(stream=stream, run_id="r1")
    log.get_logger("writer").info("flush_done", rows=740, msg="stored 740 candles")
    (line,) = lines_of(stream)
    assert list(line) == ["ts", "level", "event", "component", "run_id", "msg", "rows"]
    assert (line["level"], line["event"], line["component"], line["run_id"]) == (
        "info",
        "flush_done",
        "writer",
        "r1",
    )
    assert line["rows"] == 740
    assert line["ts"].endswith("Z")
    assert len(line["ts"]) == len("2026-11-20T20:26:02.123456Z")


def test_an_error_carries_its_class_and_traceback_on_the_same_line() -> None:
    stream = io.StringIO()
    log.configure(stream=stream)
    try:
        dict[str, int]()["BTCUSDT"]
    except KeyError:
        log.get_logger("writer").exception("flush_failed")
    (line,) = lines_of(stream)
    assert line["err_class"] == "KeyError"
    assert "Traceback" in line["exception"]
    assert "test_log.py" in line["exception"]


def test_libraries_and_warnings_take_the_same_way() -> None:
    stream = io.StringIO()
    log.configure(stream=stream)
    logging.getLogger("aiohttp.server").error("odd %s", "request")
    logging.getLogger("aiohttp.server").info("not of interest")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old call", DeprecationWarning, stacklevel=1)
    first, second = lines_of(stream)
    assert (first["event"], first["component"], first["msg"]) == (
        "library_log",
        "aiohttp.server",
        "odd request",
    )
    assert (second["event"], second["component"]) == ("library_log", "py.warnings")
    assert "old call" in second["msg"]


def test_levels_are_per_component_and_change_while_running() -> None:
    stream = io.StringIO()
    log.configure(level="warning", levels="writer=debug,lib.aiohttp=info", stream=stream)
    writer, rest = log.get_logger("writer"), log.get_logger("rest")
    writer.debug("a")
    rest.info("hidden")
    logging.getLogger("aiohttp.client").info("b")
    log.set_levels("info", {"writer": "error"})
    writer.warning("hidden")
    rest.info("c")
    logging.getLogger("aiohttp.client").info("hidden")
    assert [line.get("msg", line["event"]) for line in lines_of(stream)] == ["a", "b", "c"]


@pytest.mark.parametrize("text", ["writer", "writer=loud", "=debug", "wri ter=debug"])
def test_a_wrong_level_is_refused_and_the_old_ones_stay(text: str) -> None:
    stream = io.StringIO()
    log.configure(level="info", stream=stream)
    with pytest.raises(ConfigError, match="LOG_LEVELS"):
        log.set_levels("error", text)
    with pytest.raises(ConfigError, match="LOG_LEVEL"):
        log.configure(level="loud")
    log.get_logger("writer").info("still_here")
    assert [line["event"] for line in lines_of(stream)] == ["still_here"]


def test_configuring_again_replaces_the_stream() -> None:
    first, second = io.StringIO(), io.StringIO()
    log.configure(stream=first)
    logger = log.get_logger("writer")
    logger.info("one")
    log.configure(stream=second)
    logger.info("two")
    assert [line["event"] for line in lines_of(first)] == ["one"]
    assert [line["event"] for line in lines_of(second)] == ["two"]


def test_repeats_are_held_back_and_counted() -> None:
    stream, metrics = io.StringIO(), Metrics()
    log.configure(stream=stream, metrics=metrics)
    for number in range(25):
        log.get_logger("stream").warning("frame_rejected", number=number)
    log.get_logger("stream").warning("other")
    events = [line["event"] for line in lines_of(stream)]
    assert events == ["frame_rejected"] * 10 + ["other"]
    assert metrics.registry.get_sample_value("marketd_log_suppressed_total") == 15


@pytest.mark.parametrize("fmt", ["json", "text"])
def test_hostile_values_stay_on_their_line(fmt: log.Format) -> None:
    stream = io.StringIO()
    log.configure(stream=stream, fmt=fmt)
    hostile = 'a\r\n{"level":"error"}\x1b[31m\x9b2J\u2028\u2029\x85\x00\ud800\u202e'
    log.get_logger("rest").warning("row_rejected", symbol=hostile, nested={"key\n": [hostile]}, msg=hostile)
    text = stream.getvalue()
    assert len(text.splitlines()) == 1
    assert not [sign for sign in "\r\x1b\x9b\x00\x85\u2028\u202e" if sign in text]


def test_any_value_can_be_logged() -> None:
    loop: list[object] = []
    loop.append(loop)
    values = {
        "a": float("nan"),
        "b": 2**70,
        "c": b"\xff",
        "d": {1, 2},
        "f": loop,
        "g": "x" * 100_000,
        "h": Path("/tmp"),  # noqa: S108 - only printed
        "i": {"币安人生USDT": None},
        "j": ValueError("币"),
    }
    stream = io.StringIO()
    log.configure(stream=stream)
    log.get_logger("rest").info("odd", **values)
    (line,) = lines_of(stream)
    assert line["a"] == "nan"
    assert line["b"] == str(2**70)
    assert len(line["g"]) < 2_100
    assert line["i"] == {"币安人生USDT": None}
    assert line["j"] == "ValueError: 币"


def test_dev_full_costs_lines_and_nothing_else() -> None:
    metrics = Metrics()
    with Path("/dev/full").open("w") as stream:
        log.configure(stream=stream, metrics=metrics)
        for _ in range(3):
            log.get_logger("writer").info("flush_done")
        # A line left in Python's own buffer would raise here.
    assert metrics.registry.get_sample_value("marketd_log_lost_total") == 3


def test_a_closed_reader_costs_lines_and_nothing_else() -> None:
    metrics = Metrics()
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        log.configure(stream=stream, metrics=metrics)
        log.get_logger("writer").info("flush_done")
    log.get_logger("writer").info("flush_done")
    assert metrics.registry.get_sample_value("marketd_log_lost_total") == 2


def test_a_reader_that_stopped_blocks_nobody_and_lines_are_whole_again_after_it() -> None:
    metrics = Metrics()
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stream, os.fdopen(reader, "rb") as source:
        log.configure(stream=stream, metrics=metrics)
        logger = log.get_logger("writer")
        for number in range(200):
            logger.info(f"event_{number}", filler="x" * 1_900)
        lost = metrics.registry.get_sample_value("marketd_log_lost_total") or 0
        assert lost > 100
        taken = os.read(source.fileno(), 1_000_000)
        logger.info("after")
        taken += os.read(source.fileno(), 1_000_000)
    lines = taken.splitlines()
    assert json.loads(lines[-1])["event"] == "after"
    whole = [line for line in lines if line.endswith(b"}")]
    assert len(lines) - len(whole) <= 1
    assert len(whole) == 201 - lost


def test_a_terminal_gets_a_readable_line() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    log.configure(stream=stream)
    log.get_logger("writer").info("flush_done", rows=740)
    text = stream.getvalue()
    assert "flush_done" in text
    assert "writer" in text
    assert not text.startswith("{")


def test_run_ids_differ() -> None:
    assert len({log.new_run_id() for _ in range(100)}) == 100


def test_components_that_nobody_writes_as_are_told() -> None:
    log.get_logger("writer")
    levels = {"writer": "debug", "wirter": "debug", "lib.aiohttp": "info"}
    assert log.unknown_components(levels) == ["wirter"]
