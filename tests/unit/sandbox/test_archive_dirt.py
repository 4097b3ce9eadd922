"""Spoiled archive files are spoiled in the way that their fault says, and in no other."""

from __future__ import annotations

import io
import stat
import zipfile
import zlib

import pytest

from src.sandbox.archive.dirt import BOMB_BYTES, CONTENT, flipped, packed, revised, spoiled
from src.sandbox.archive.files import KLINES_HEADER, METRICS_HEADER
from src.sandbox.archive.zip import checksum, pack
from src.sandbox.faults import Fault, Kind
from src.sandbox.market.bulk import csv_rows
from src.sandbox.market.candles import traits

TRAITS = traits(1, "AUSDT", tick_size="0.10", step_size="0.001", sleeper_share=0.0)
TEXT = csv_rows(TRAITS, 29_000_000, 29_001_440)
METRICS = b"2026-05-26 00:05:00,AUSDT,1.5,2.5,3.5,4.5,5.5,6.5\n" * 288


def fault(mode: str, share: float = 0.02) -> Fault:
    return Fault(Kind.ARCHIVE, 3, mode=mode, share=share)


def rows(content: bytes) -> list[bytes]:
    return content.removeprefix(KLINES_HEADER).splitlines()


def made(mode: str, share: float = 0.02) -> list[bytes]:
    return rows(spoiled(KLINES_HEADER, TEXT, [fault(mode, share)]))


def test_nothing_is_spoiled_without_a_fault() -> None:
    assert spoiled(KLINES_HEADER, TEXT, []) == KLINES_HEADER + TEXT
    assert packed("a", TEXT, []) == pack(("a.csv", TEXT))


def test_forms_of_the_text() -> None:
    assert spoiled(KLINES_HEADER, TEXT, [fault("headerless")]) == TEXT
    assert spoiled(KLINES_HEADER, TEXT, [fault("bom")]) == b"\xef\xbb\xbf" + KLINES_HEADER + TEXT
    assert spoiled(b"", TEXT, [fault("crlf")]) == TEXT.replace(b"\n", b"\r\n")
    lines = spoiled(KLINES_HEADER, TEXT, [fault("extra_columns")]).splitlines()
    assert {line.count(b",") for line in lines} == {12}
    lines = spoiled(KLINES_HEADER, TEXT, [fault("reordered")]).splitlines()
    assert [line.split(b",")[::-1] for line in lines] == [
        line.split(b",") for line in (KLINES_HEADER + TEXT).splitlines()
    ]


def test_rows_are_left_out_doubled_and_shuffled() -> None:
    good = TEXT.splitlines()
    assert 1380 < len(made("gaps")) < 1440
    assert set(made("gaps")) < set(good)
    assert 1440 < len(made("duplicates")) < 1500
    assert sorted(set(made("duplicates"))) == good
    assert sorted(made("unsorted")) == good != made("unsorted")
    assert made("gaps", 1.0) == []


def test_cells_are_blank_zero_or_in_microseconds() -> None:
    good = TEXT.splitlines()
    changed = [line for line, real in zip(made("blank"), good, strict=True) if line != real]
    assert changed
    assert all(line.split(b",")[7] == b"" for line in changed)
    changed = [line for line, real in zip(made("zero_volume"), good, strict=True) if line != real]
    assert changed
    assert all(line.split(b",")[5] == line.split(b",")[8] == b"0" for line in changed)
    for line, real in zip(made("microseconds"), good, strict=True):
        assert int(line.split(b",")[0]) == int(real.split(b",")[0]) * 1000
        assert int(line.split(b",")[6]) == int(real.split(b",")[6]) * 1000 + 999
    blank = spoiled(METRICS_HEADER, METRICS, [fault("blank")]).splitlines()[1:]
    assert {line.split(b",").count(b"") for line in blank} == {0, 1}
    assert all(line.startswith(b"2026-05-26 00:05:00,AUSDT,") for line in blank)


def test_several_faults_at_once() -> None:
    both = spoiled(KLINES_HEADER, TEXT, [fault("bom"), fault("gaps")])
    assert both.startswith(b"\xef\xbb\xbf")
    assert len(both.splitlines()) < 1441


def opened(mode: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(packed("a", TEXT, [fault(mode)])))


@pytest.mark.parametrize(
    ("mode", "names"),
    [
        ("two_members", ["a.csv", "readme.txt"]),
        ("wrong_member", ["Xa.csv"]),
        ("evil_path", ["../a.csv"]),
        ("no_member", []),
        ("symlink", ["a.csv"]),
        ("nested", ["a.zip"]),
        ("nested_content", ["a.csv"]),
        ("lzma", ["a.csv"]),
        ("bomb", ["a.csv"]),
    ],
)
def test_members(mode: str, names: list[str]) -> None:
    assert opened(mode).namelist() == names


def test_a_member_is_called_what_is_asked_for() -> None:
    named = Fault(Kind.ARCHIVE, 3, mode="evil_path", body="/tmp/{stem}.csv")  # noqa: S108 - never written
    content = packed("a", TEXT, [named])
    assert zipfile.ZipFile(io.BytesIO(content)).namelist() == ["/tmp/a.csv"]  # noqa: S108


def test_what_the_members_say_of_themselves() -> None:
    assert opened("lzma").infolist()[0].compress_type == zipfile.ZIP_LZMA
    assert opened("encrypted").infolist()[0].flag_bits & 1
    with pytest.raises(RuntimeError, match="password"):
        opened("encrypted").read("a.csv")
    bomb = opened("bomb").infolist()[0]
    assert bomb.file_size == len(TEXT) + BOMB_BYTES
    assert bomb.file_size / bomb.compress_size > 300
    assert stat.S_ISLNK(opened("symlink").infolist()[0].external_attr >> 16)
    assert opened("nested_content").read("a.csv").startswith(b"PK")
    assert opened("forged_larger").infolist()[0].file_size == len(TEXT) + 1000
    assert opened("forged_huge").infolist()[0].file_size == 1 << 30
    for mode in ("forged_size", "forged_bomb"):
        assert opened(mode).infolist()[0].file_size == 100
        with pytest.raises(zipfile.BadZipFile, match="CRC"):
            opened(mode).read("a.csv")


def test_a_flipped_bit_is_found() -> None:
    content = pack(("a.csv", TEXT))
    assert sum(one != two for one, two in zip(content, flipped(content), strict=True)) == 1
    with pytest.raises((zipfile.BadZipFile, zlib.error)):
        zipfile.ZipFile(io.BytesIO(flipped(content))).read("a.csv")
    assert checksum("a.zip", content) != checksum("a.zip", flipped(content))


def test_what_was_published_damaged_cannot_be_read() -> None:
    with pytest.raises(zipfile.BadZipFile):
        opened("published_short")
    with pytest.raises((zipfile.BadZipFile, zlib.error)):
        opened("published_flip").read("a.csv")


def test_a_corrected_candle_differs_in_volume_and_trades() -> None:
    start = 29_000_700 * 60_000
    changed = [
        (new.split(b","), old.split(b","))
        for new, old in zip(revised(TEXT, [(start, 2)]).splitlines(), TEXT.splitlines(), strict=True)
        if new != old
    ]
    ((new, old),) = changed
    assert int(new[0]) == start
    assert int(new[8]) == int(old[8]) + 2
    assert int(new[5].replace(b".", b"")) == int(old[5].replace(b".", b"")) + 2
    assert [*new[:5], *new[6:8], *new[9:]] == [*old[:5], *old[6:8], *old[9:]]


def test_every_fault_inside_a_file_changes_it() -> None:
    good = packed("a", spoiled(KLINES_HEADER, TEXT, []), [])
    for mode in CONTENT:
        faults = [fault(mode)]
        assert packed("a", spoiled(KLINES_HEADER, TEXT, faults), faults) != good, mode
