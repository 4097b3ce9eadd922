"""An instant of today at which nothing ends: for tests whose clock may start where it likes."""

from __future__ import annotations

import time

from src.model import DAY_MS

MIDDAY = time.time() * 1000 // DAY_MS * DAY_MS / 1000 + 12 * 3600 + 90
"""Noon UTC and 90 s, in seconds since 1970: no minute, period of five, hour, day or month ends within three minutes,
and the metrics of the period that ended at noon are due. Today's, for what the database's own clock also looks at."""
MIDDAY_MS = int(MIDDAY * 1000)
