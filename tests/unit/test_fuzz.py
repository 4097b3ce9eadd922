"""Every input that the fuzzer kept is read or refused, and the harness notices what is neither."""

from __future__ import annotations

import time

import pytest

from fuzz.corpus import kept
from fuzz.seeds import SEEDS
from fuzz.targets import HANG_S, TARGETS, HangError, guarded, warm_up
from src.errors import BadData


@pytest.mark.parametrize("target", TARGETS)
def test_what_was_kept_is_read_or_refused(target: str) -> None:
    inputs = kept(target)
    assert len(inputs) >= 20, "scripts/fuzz.sh SECONDS --keep"
    warm_up(target, SEEDS[target])
    run = guarded(TARGETS[target])
    for data in (*SEEDS[target], *inputs):
        run(data)


def test_every_target_has_seeds() -> None:
    assert SEEDS.keys() == TARGETS.keys()


def test_the_harness_takes_a_refusal_and_nothing_else() -> None:
    def refuse(data: bytes) -> None:
        raise BadData("no", reason="x")

    def stumble(data: bytes) -> None:
        raise AttributeError("'list' object has no attribute 'get'")

    def dawdle(data: bytes) -> None:
        began = time.process_time()
        while time.process_time() - began < HANG_S * 1.1:
            pass

    guarded(refuse)(b"")
    with pytest.raises(AttributeError):
        guarded(stumble)(b"")
    with pytest.raises(HangError, match="for 3 bytes"):
        guarded(dawdle)(b"abc")
