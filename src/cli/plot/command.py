"""``marketd plot``: reads as the reader, draws, and leaves a whole file or none.

A picture is a function ``draw(source, figure)``: it reads what it needs through ``source`` and draws on an empty
``matplotlib`` figure, and returns the line that a person is told. matplotlib and numpy are imported by the modules of
the pictures and here, both only when a picture was asked for; there is no screen, and nothing global is touched.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font

from ...adapters.timescale.copying.tables import DatabaseTables
from ...errors import EXIT_OK, ConfigError
from ...ports.tables import Tables
from .. import output
from ..context import Context
from ..coverage.command import reader_options

_INCHES, _DOTS = (14.0, 8.0), 110


@dataclass(frozen=True, slots=True)
class Source:
    """What a picture reads: the database, and the exchange's word of the collected futures there."""

    tables: Tables
    exchange: str


Draw: TypeAlias = Callable[[Source, Figure], str]


def run(context: Context, draw: Draw, out: Path) -> int:
    """Draw into ``out``. Raises ``ConfigError`` where that cannot be written, and what ``draw`` raises."""
    settings = context.settings("DATABASE_URL")
    options = reader_options(settings)
    tables = DatabaseTables(options)
    figure = Figure(figsize=_INCHES, dpi=_DOTS, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    try:
        said = draw(Source(tables, options.exchange), figure)
    finally:
        tables.close()
    part = out.with_name(f".{out.name}.part")
    try:
        figure.savefig(part, format="png")
        part.replace(out)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise ConfigError(f"--out {out}: cannot be written ({error.strerror})") from error
    output.line(f"{out}: {said}")
    return EXIT_OK


def drawable(text: str) -> str:
    """``text`` with its code in the place of every character that the font has not: 币 is U+5E01 then."""
    known = get_font(findfont(FontProperties())).get_charmap()
    return "".join(letter if ord(letter) in known else f"U+{ord(letter):04X} " for letter in text)
