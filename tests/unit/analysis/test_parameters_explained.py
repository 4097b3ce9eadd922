"""What a form shows: every parameter of every kind of task explains itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from src.analysis import collect_binance, collect_uniswap
from src.analysis.arbitrage import jobs as arbitrage
from src.analysis.bars import jobs as bars
from src.analysis.jobs import Parameters
from src.analysis.levels import jobs as levels
from src.analysis.prices import jobs as prices

_MODULES = (arbitrage, bars, collect_binance, collect_uniswap, levels, prices)
_ALL = sorted(
    {
        one
        for one in Parameters.__subclasses__()
        if one.__module__ in {module.__name__ for module in _MODULES}
    },
    key=lambda one: one.__name__,
)


def test_there_are_parameters_of_every_kind() -> None:
    assert {one.__module__ for one in _ALL} == {module.__name__ for module in _MODULES}


@pytest.mark.parametrize("parameters", _ALL)
def test_every_field_says_what_it_is_for(parameters: type[Parameters]) -> None:
    schema = parameters.model_json_schema()
    silent = [name for name, one in _fields(schema, schema) if len(one.get("description", "")) < 10]
    assert silent == []


def _fields(part: dict[str, Any], schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, one in part.get("properties", {}).items():
        yield name, one
        if "$ref" in one:
            yield from _fields(schema["$defs"][one["$ref"].rpartition("/")[2]], schema)
