"""Which revision of a file is imported."""

from __future__ import annotations

import pytest

from src.adapters.timescale.metrics.archive_lines import Line


@pytest.mark.parametrize(
    ("state", "sha256", "revision"),
    [
        ("", "", 0),
        ("imported", "old", 4),
        ("imported", "new", 3),
        ("listed", "old", 4),
        ("listed", "new", 3),
        ("quarantined", "old", 3),
    ],
)
def test_other_content_than_was_imported_is_the_next_revision(state: str, sha256: str, revision: int) -> None:
    """Also where rows were deleted by hand meanwhile: those that are left would else outrank what mends them."""
    before = Line(state, sha256, 0, 0, 3 if state else 0)
    assert before.revision_of("new") == revision
