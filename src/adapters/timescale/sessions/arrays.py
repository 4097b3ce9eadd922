"""Lists as PostgreSQL's array literals, whole columns at a time: psycopg makes them value by value, four times slower.

A flush or a merge sends hundreds of rows as a dozen columns; 5 ms of the loop went there for 500 rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal

_PLAIN = frozenset({int, float, Decimal, bool, date})
"""What PostgreSQL reads as Python writes it, without quotes."""
_LONG = 32
"""Making a shorter list's literal is not worth a turn of its own."""


def has_long_lists(parameters: Mapping[str, object]) -> bool:
    return any(isinstance(value, list) and len(value) >= _LONG for value in parameters.values())


def with_literals(parameters: Mapping[str, object]) -> dict[str, object]:
    """``parameters`` with every list of numbers, texts or times as one text, which the statement casts
    (``%(symbols)s::text[]``) or compares with a column (``= ANY(%(symbols)s)``).

    Short ones too: a statement that does not say its types fails with one symbol as it would with 740.
    """
    return {name: _literal(value) for name, value in parameters.items()}


def _literal(value: object) -> object:
    if not isinstance(value, list):
        return value
    texts = _texts(value)
    return value if texts is None else "{" + ",".join(texts) + "}"


def _texts(values: Sequence[object]) -> list[str] | None:
    """None for what is left to psycopg: bytes, lists of lists, values of several kinds."""
    kinds = set(map(type, values)) - {type(None)}
    if kinds <= _PLAIN:
        return ["NULL" if value is None else str(value) for value in values]
    if kinds == {str}:
        return ["NULL" if value is None else _quoted(str(value)) for value in values]
    if kinds == {datetime}:
        return ["NULL" if value is None else f'"{value}"' for value in values]
    return None


def _quoted(text: str) -> str:
    if "\\" in text or '"' in text:
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
