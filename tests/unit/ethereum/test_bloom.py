"""A bloom that lacks a bit proves; one that has it does not."""

from __future__ import annotations

from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from src.adapters.ethereum.bloom import bits, may_hold

ITEMS = st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex())


@given(st.lists(ITEMS, max_size=30), ITEMS)
def test_what_is_in_a_bloom_is_never_denied(items: list[str], other: str) -> None:
    bloom = reduce(lambda found, item: found | bits(item), items, 0)
    assert all(may_hold(bloom, [item]) for item in items)
    assert may_hold(bloom, items)
    if not may_hold(bloom, [other]):
        assert other not in items


def test_an_item_has_up_to_three_bits_and_an_empty_bloom_none() -> None:
    item = "0x88e6a0c2ddd26feeb64f039a2c41296fcb3f5640"
    assert 1 <= bits(item).bit_count() <= 3
    assert not may_hold(0, [item])
    assert may_hold((1 << 2048) - 1, [item])
