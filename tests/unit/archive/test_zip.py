"""Faults D1, D2, D5, D6, D7: what a damaged or hostile ZIP does, and what it never does."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.adapters.binance.archive.zip import ZipLimits, read_member
from src.errors import BadData
from tests.support.zips import DAMAGED, NAME, csv_text, good_zip


@pytest.mark.parametrize("what", DAMAGED)
def test_a_damaged_file_is_refused_with_its_reason(what: str, tmp_path: Path) -> None:
    make, reason = DAMAGED[what]
    path = tmp_path / "file.zip"
    path.write_bytes(make())
    with pytest.raises(BadData) as refused:
        read_member(path, NAME)
    assert refused.value.reason == reason
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.zip"]


def test_the_member_comes_out_as_it_went_in(tmp_path: Path) -> None:
    path = tmp_path / "file.zip"
    path.write_bytes(good_zip())
    assert read_member(path, NAME) == csv_text()


def test_a_file_over_its_cap_is_not_even_opened(tmp_path: Path) -> None:
    path = tmp_path / "file.zip"
    path.write_bytes(good_zip())
    with pytest.raises(BadData) as refused:
        read_member(path, NAME, ZipLimits(packed=100))
    assert refused.value.reason == "too_large"


@given(place=st.integers(0, len(good_zip()) - 1), bit=st.integers(0, 7))
def test_no_flipped_bit_gives_other_rows(
    tmp_path_factory: pytest.TempPathFactory, place: int, bit: int
) -> None:
    data = bytearray(good_zip())
    data[place] ^= 1 << bit
    path = tmp_path_factory.mktemp("flipped") / "file.zip"
    path.write_bytes(data)
    try:
        found = read_member(path, NAME)
    except BadData:
        return
    assert found == csv_text()  # the bit means nothing: a time stamp, a comment


def test_a_directory_that_lies_before_the_file_is_damage(tmp_path: Path) -> None:
    """The system refuses to go there, which is no failure of the disk."""
    data = bytearray(good_zip())
    place = data.rfind(b"PK\x05\x06") + 16
    data[place : place + 4] = (int.from_bytes(data[place : place + 4], "little") + 1).to_bytes(4, "little")
    path = tmp_path / "file.zip"
    path.write_bytes(data)
    with pytest.raises(BadData) as refused:
        read_member(path, NAME)
    assert refused.value.reason == "bad_zip"
