"""Every relative link of every Markdown file leads to a file, and its anchor to a heading of that file."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.support.processes import ROOT

_LINK = re.compile(r"\]\(([^)\s]+)\)")


def _documents() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [ROOT / name for name in listed.stdout.splitlines()]


def _anchors(text: str) -> set[str]:
    """As the hosts of repositories make them: letters, digits and hyphens of the heading, lower case."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def _broken(document: Path) -> list[str]:
    text = document.read_text(encoding="utf-8")
    # What stands in code is shown, not linked.
    prose = re.sub(r"^```.*?^```|`[^`\n]*`", "", text, flags=re.MULTILINE | re.DOTALL)
    broken = []
    for target in _LINK.findall(prose):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = document.parent / path if path else document
        if not there.exists():
            broken.append(f"{document}: {target}")
        elif anchor and anchor not in _anchors(there.read_text(encoding="utf-8")):
            broken.append(f"{document}: {target} (no such heading)")
    return broken


def test_relative_links_and_anchors_lead_somewhere() -> None:
    documents = _documents()
    assert len(documents) > 40
    assert [line for document in documents for line in _broken(document)] == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("# One thing, and `another`\n")
    document = tmp_path / "document.md"
    document.write_text(
        "[a](there.md#one-thing-and-another) [b](https://example.org/x) [c](there.md) `[d](nowhere.md)`"
    )
    assert _broken(document) == []
    document.write_text("[a](there.md#two) [b](nowhere.md#x) ![](none.png) [c](#here)\n```\n# here\n```\n")
    assert _broken(document) == [
        f"{document}: there.md#two (no such heading)",
        f"{document}: nowhere.md#x",
        f"{document}: none.png",
        f"{document}: #here (no such heading)",
    ]
