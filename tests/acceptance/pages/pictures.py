"""Pictures of the pages for ``docs/``: made where MARKETD_TEST_PICTURES names a folder, and then looked at."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support.browser import Page

_FOLDER = os.environ.get("MARKETD_TEST_PICTURES")


async def pictured(page: Page, name: str) -> None:
    """What is seen now, light and dark, and in Chinese."""
    if not _FOLDER:
        return
    for dark in (True, False):
        await page.dark(dark)
        # Canvases are drawn anew in the next frames.
        await page.value("new Promise((done) => setTimeout(done, 500))")
        await page.picture(Path(_FOLDER) / f"{name}-{'dark' if dark else 'light'}.png")
    await page.value(_OTHER_LANGUAGE)
    await page.value("new Promise((done) => setTimeout(done, 500))")
    await page.picture(Path(_FOLDER) / f"{name}-chinese.png")
    await page.value(_OTHER_LANGUAGE)


_OTHER_LANGUAGE = "document.querySelector('.look button:last-child').click()"
"""By its place: a dialog may lie over it."""
