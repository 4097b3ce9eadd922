"""``scale``: how cost grows with symbols, with workers, with machines and with history; docs/scale.md reads it.

Each part brings servers of its own with fsync on. CPU seconds are those of the processes and little disturbed by what
else the machine does; seconds by the clock are not, so every line says the load at its end. ``MARKETD_SCALE_PARTS``
(live,fill,machines,takeover,columns), ``MARKETD_SCALE_LIVE`` (100,740,1500 symbols), ``MARKETD_SCALE_MINUTES`` (5) and
``MARKETD_SCALE_SYMBOLS`` (60, of the histories) make it shorter.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from benchmarks.database import settings_of as server_settings
from benchmarks.live import database_in, sandbox_in, settings_of
from benchmarks.scale_columns import column_bytes
from benchmarks.scale_fill import DAYS, WORKERS, fill, fill_rates
from benchmarks.scale_live import live_costs
from benchmarks.scale_machines import machine_rates
from benchmarks.scale_past import history_costs
from benchmarks.scale_takeover import takeovers

SYMBOLS = int(os.environ.get("MARKETD_SCALE_SYMBOLS", "60"))
"""Of the histories; the live part has its own."""
PARTS = os.environ.get("MARKETD_SCALE_PARTS", "live,fill,machines,takeover,columns").split(",")


def run() -> dict[str, object]:
    """{live, backfill, history, machines, takeover: a list of lines each; columns}; takes half an hour."""
    found: dict[str, object] = {}
    if "live" in PARTS:
        found["live"] = live_costs()
    if "fill" in PARTS:
        found |= _histories()
    if "machines" in PARTS:
        found["machines"] = machine_rates()
    if "takeover" in PARTS:
        found["takeover"] = takeovers()
    if "columns" in PARTS:
        found["columns"] = column_bytes()
    return found


def _histories() -> dict[str, object]:
    folder = Path(tempfile.mkdtemp(prefix="marketd-scale-"))
    cluster = folder / "pg"
    try:
        with (
            database_in(cluster) as url,
            sandbox_in(
                folder, "--symbols", str(SYMBOLS), "--history-days", "60", "--sleeper-share", "0"
            ) as venue,
        ):
            settings = settings_of(folder, url, venue)
            rates = fill_rates(cluster, settings)
            schemas = {1: "days_1", 7: "days_7", DAYS: f"workers_{WORKERS[-1]}"}
            for days in (1, 7):
                fill(cluster, settings, schemas[days], days)
            past = [history_costs(folder, settings, schema, days) for days, schema in schemas.items()]
            return {
                "history_symbols": SYMBOLS,
                "backfill": rates,
                "history": past,
                **server_settings(url),
            }
    finally:
        shutil.rmtree(folder, ignore_errors=True)
