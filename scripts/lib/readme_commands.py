"""The commands of a README, in order, with what the first-hour test does to each. Pure: no file, no process.

A block fenced as ``sh`` or ``bash`` is commands from end to end; ``sql`` and ``python`` go to psql and to Python; any
other block has commands only where a line begins with ``$ ``. A comment ``<!-- first hour: not run: REASON -->``
above a block takes it out, and ``RULES`` says what is done to single commands: both with a reason, which is printed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_FENCE = re.compile(r"^```(\w*)$")
_MARK = re.compile(r"^<!-- first hour: not run: (.+) -->$")


@dataclass(frozen=True, slots=True)
class Command:
    """One command as a reader copies it, the line where it stands, its language, and why it is not run (or "")."""

    text: str
    line: int
    language: str
    skipped: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """What is done to the commands that ``pattern`` is found in: ended after ``seconds``, run with ``put`` in place of
    what was found, allowed to end with ``codes``, or else not run.

    ``{name}`` in ``put`` is what the helper of that name prints just before.
    """

    pattern: str
    reason: str
    put: str | None = None
    seconds: int | None = None
    codes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """What is run for a command, and how it may end. ``text`` is None where it is not run; ``seconds`` ends what would
    follow for ever."""

    command: Command
    text: str | None
    note: str
    seconds: int | None = None
    codes: tuple[int, ...] = (0,)


RULES = (
    Rule(r"start\.sh logs$", "follows the log until Ctrl-C; ended after 5 s", seconds=5, codes=(0, 124)),
    Rule(r"^sudo ", "root needs no sudo, and Debian's smallest root has none", put=""),
    Rule(r"(?<=jobs show )ID", "ID is the newest task", put="{newest_task}"),
    Rule(r"(?<=localhost:)8000|(?<=127\.0\.0\.1:)8000", "the demo prints its own port", put="{demo_port}"),
    Rule(r"\bjobs cancel ", "ends with 1 where the task is over by then, and says so", codes=(0, 1)),
    Rule(r"\bmarketd\.client\b", "in a checkout the package is called src", put="src.client"),
)


def commands(text: str) -> Iterator[Command]:
    """Every command of a Markdown text."""
    language: str | None = None
    skipped = ""
    block: list[tuple[int, str]] = []
    for line, content in enumerate(text.splitlines(), start=1):
        fence = _FENCE.match(content)
        if fence and language is None:
            language = fence[1]
        elif fence:
            yield from _of_block(block, language or "", skipped)
            language, skipped, block = None, "", []
        elif language is not None:
            block.append((line, content))
        elif content.strip():
            mark = _MARK.match(content)
            skipped = mark[1] if mark else ""
    if language is not None:
        raise ValueError("the last block is not closed")


def _of_block(block: list[tuple[int, str]], language: str, skipped: str) -> Iterator[Command]:
    if language in ("sql", "python"):
        yield Command("\n".join(content for _, content in block), block[0][0], language, skipped)
        return
    lines = block
    if language not in ("sh", "bash"):
        lines = [(line, content[2:]) for line, content in block if content.startswith("$ ")]
    whole = ""
    for line, content in lines:
        whole += content
        if whole.endswith("\\"):
            whole += "\n"
        elif whole.strip() and not whole.lstrip().startswith("#"):
            yield Command(_without_remark(whole), line, "sh", skipped)
            whole = ""
        else:
            whole = ""


def _without_remark(text: str) -> str:
    """Without what stands behind two blanks and a ``#``: it is for the reader."""
    return re.sub(r"\s{2,}#.*$", "", text).rstrip()


def steps(found: Iterable[Command], rules: tuple[Rule, ...] = RULES) -> Iterator[Step]:
    """What is run for each command. All rules that fit apply; one that neither puts nor ends leaves the command out."""
    for command in found:
        if command.skipped:
            yield Step(command, None, command.skipped)
            continue
        fitting = [rule for rule in rules if re.search(rule.pattern, command.text)]
        text = command.text
        for rule in fitting:
            if rule.put is not None:
                text = re.sub(rule.pattern, rule.put, text)
        out = any(rule.put is None and rule.seconds is None and not rule.codes for rule in fitting)
        yield Step(
            command,
            None if out else _as_shell(command, text),
            "; ".join(rule.reason for rule in fitting),
            max((rule.seconds for rule in fitting if rule.seconds), default=None),
            next((rule.codes for rule in fitting if rule.codes), (0,)),
        )


def _as_shell(command: Command, text: str) -> str:
    if command.language == "sql":
        return f"./scripts/start.sh psql -v ON_ERROR_STOP=1 -c {_quoted(text)}"
    if command.language == "python":
        return f".venv/bin/python -c {_quoted(text)}"
    return text


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
