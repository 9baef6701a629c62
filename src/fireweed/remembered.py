"""What was measured on this machine before: figures by name, in one JSON of the cache folder.

They save a measurement, never decide what is right: a file that is lost, damaged or cannot be written costs nothing
but measuring again. Of two processes that write at the same moment one may lose its figures.
"""

import json
import math
from typing import Any

from fireweed.errors import FireweedError
from fireweed.files import cache_folder, write_text

FILE = "measured.json"
MOST_NAMES = 300
MOST_BYTES = 1_000_000

Figures = dict[str, float]


def remembered() -> dict[str, Figures]:
    """Return all figures, by name, the oldest first; what is damaged is left out."""
    try:
        text = (cache_folder() / FILE).read_bytes()[: MOST_BYTES + 1]
        tables = json.loads(text)
        return {str(name): _figures(table) for name, table in tables.items() if isinstance(table, dict)}
    except (OSError, ValueError, AttributeError, RecursionError, OverflowError, FireweedError):
        return {}


def remember(name: str, figures: Figures) -> None:
    """Keep figures under a name, beside those that are there; the names longest untouched go when there are many."""
    known = remembered()
    known[name] = known.pop(name, {}) | _figures(figures)  # to the end: the newest
    kept = dict(list(known.items())[-MOST_NAMES:])
    try:
        write_text(cache_folder() / FILE, json.dumps(kept, indent=0, allow_nan=False) + "\n")
    except (OSError, FireweedError):
        return


def _figures(table: dict[Any, Any]) -> Figures:
    return {
        str(name): float(value)
        for name, value in table.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0
    }
