"""Which symbols ``--symbol`` means."""

from __future__ import annotations

import pytest

from src.cli.coverage.command import chosen
from src.cli.import_.command import Wanted, _scope
from src.config import Settings
from src.errors import BadData

KNOWN = ["1000PEPEUSDT", "BTCUSDT", "币安人生USDT"]


def test_globs_mean_what_fits_in_any_case() -> None:
    assert chosen(KNOWN, []) == KNOWN
    assert chosen(KNOWN, ["btc*", "*人生*"]) == KNOWN[1:]


def test_a_name_that_nothing_has_is_refused_and_not_called_complete() -> None:
    with pytest.raises(
        BadData, match="--symbol NOSUCH: no symbol of the ledger is called so; `marketd symbols"
    ):
        chosen(KNOWN, ["NOSUCH"])
    with pytest.raises(BadData, match="--symbol BTCUSTD: no symbol"):
        chosen(KNOWN, ["BTCUSDT", "BTCUSTD"])
    with pytest.raises(BadData, match="there is no X"):
        chosen(KNOWN, ["X"], unknown="there is no {}")
    assert chosen([], ["NOSUCH"]) == [], "an empty ledger says so itself"


def test_an_import_of_some_symbols_leaves_the_others_alone() -> None:
    scope = _scope(Settings(), Wanted("postgresql://u@h/db", ("btc*",), None, None, dry_run=False))
    assert [symbol for symbol in ("BTCUSDT", "ETHUSDT") if scope.admits(symbol)] == ["BTCUSDT"]
