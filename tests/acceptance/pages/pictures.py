"""Pictures of the pages for ``docs/``: made where MARKETD_TEST_PICTURES names a folder, and then looked at."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support.browser import Page

_FOLDER = os.environ.get("MARKETD_TEST_PICTURES")


async def pictured(page: Page, name: str) -> None:
    """What is seen now, light and dark."""
    if not _FOLDER:
        return
    for dark in (True, False):
        await page.dark(dark)
        # Canvases are drawn anew in the next frames.
        await page.value("new Promise((done) => setTimeout(done, 500))")
        await page.picture(Path(_FOLDER) / f"{name}-{'dark' if dark else 'light'}.png")
