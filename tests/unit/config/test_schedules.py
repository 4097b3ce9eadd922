"""How schedules are written: in one line or as YAML, with parameters, and one name for the same parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.config import load
from src.config.schedules import name_of, named, schedules
from src.errors import ConfigError

FIELDS = st.dictionaries(
    st.from_regex(r"[a-z_]{1,8}", fullmatch=True),
    st.text(max_size=12)
    | st.lists(st.text(max_size=5), max_size=3)
    | st.dictionaries(st.text(max_size=5), st.floats(allow_nan=False)),
    max_size=4,
)


@given(st.lists(FIELDS, min_size=1, max_size=3, unique_by=lambda one: name_of("Levels", one)))
def test_what_is_written_is_read_back(many: list[dict[str, Any]]) -> None:
    names = [name_of("Levels", one) for one in many]
    assert [named(name) for name in names] == [("Levels", one) for one in many]
    line = ",".join(f"{name}=1,31 * * * *" for name in names)
    assert schedules(line) == dict.fromkeys(names, "1,31 * * * *")
    listed = [{"kind": "Levels", "cron": "1,31 * * * *", "parameters": one} for one in many]
    assert schedules(listed) == schedules(line)


def test_lists_of_cron_fields_parameters_and_json_stand_in_one_line() -> None:
    text = "Bars=1,31 * * * * 20, Levels( timeframe = 15m , history=3)=2 1,2 * * *"
    text += ',Analyse(strategy={"mode": "screen"})=5 * * * *'
    assert schedules(text) == {
        "Bars": "1,31 * * * * 20",
        "Levels(history=3,timeframe=15m)": "2 1,2 * * *",
        'Analyse(strategy={"mode":"screen"})': "5 * * * *",
    }


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("Levels(timeframe=15m)", "is not task=cron"),
        ("Levels(timeframe)=2 * * * *", "'timeframe' is not NAME=VALUE"),
        ("Levels(a=1,a=2)=2 * * * *", "a stands there twice"),
        ("Levels(a=[1)=2 * * * *", "is not closed"),
        ("Levels(a={1})=2 * * * *", "looks like JSON"),
        ("Levels(a=1,b=2)=2 * * * *,Levels(b=2,a=1)=3 * * * *", "stands there twice"),
        ("Levels(a=1)=each hour", "Levels(a=1)=each hour: not five or six cron fields"),
        ("Levels=0 0 31 2 *", "Levels=0 0 31 2 *: no year has such a day"),
        ([{"kind": "Levels"}], "entry 1: must have kind and cron"),
        ([{"kind": "Levels", "cron": "2 * * * *", "parameter": {}}], "entry 1"),
        (7, "task=cron pairs"),
    ],
)
def test_what_cannot_be_read_is_named(value: object, said: str) -> None:
    with pytest.raises(ValueError) as caught:
        schedules(value)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        'schedules: {"Levels(timeframe=4h)": "3 */4 * * *"}',
        "schedules:\n  - kind: Levels\n    cron: 3 */4 * * *\n    parameters:\n      timeframe: 4h\n      symbol:\n",
    ],
)
def test_yaml_takes_pairs_and_a_list(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.yaml").write_text(text)
    places = {"MARKETD_ENV_FILE": "/dev/null", "MARKETD_CONFIG_FILE": str(tmp_path / "config.yaml")}
    assert load(environ=places).settings.schedules == {"Levels(timeframe=4h)": "3 */4 * * *"}
    with pytest.raises(ConfigError, match=r"SCHEDULES=.*environment.*Levels\(timeframe\)"):
        load(environ={**places, "SCHEDULES": "Levels(timeframe)=3 * * * *"})
