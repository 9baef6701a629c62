"""Texts between marks in documents, written by programs so that no figure is typed by hand."""

import json
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
_FIGURES = re.compile(r"(<!-- figures: ([\w/-]+) -->\n).*?(<!-- /figures -->)", re.DOTALL)


def fill(path: Path, marks: re.Pattern[str], text_of: Callable[[re.Match[str]], str]) -> bool:
    """Write what stands between marks anew, unless the program was called with --check; return whether it was stale.

    marks:   matches from one mark to the next; its first and last groups are the marks.
    text_of: what is to stand there, given the match.
    """
    text = path.read_text(encoding="utf-8")
    filled = marks.sub(lambda found: found[1] + text_of(found) + found[found.re.groups], text)
    if filled != text and not only_checks():
        path.write_text(filled, encoding="utf-8")
    return filled != text


def fill_measured(path: Path, writers: Mapping[str, Callable[[dict[str, Any]], str]]) -> int:
    """Write what measurements say between a document's marks `figures: NAME`; return the program's exit code.

    writers: NAME, of measurements/NAME.json -> what makes text of what it holds.
    """

    def text_of(marks: re.Match[str]) -> str:
        measured = ROOT / "measurements" / f"{marks[2]}.json"
        if not measured.exists():
            return "Not measured yet.\n"
        return writers[marks[2]](json.loads(measured.read_text(encoding="utf-8"))) + "\n"

    return told([path.name] if fill(path, _FIGURES, text_of) else [], f"figures of {path.name} up to date")


def only_checks() -> bool:
    return "--check" in sys.argv


def told(stale: list[str], current: str) -> int:
    """Print which documents were out of date, or that all are `current`; return the program's exit code."""
    print("out of date: " + ", ".join(stale) if stale else current)
    return 1 if stale and only_checks() else 0
