"""Texts between marks in documents, written by programs so that no figure is typed by hand."""

import re
import sys
from collections.abc import Callable
from pathlib import Path


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


def only_checks() -> bool:
    return "--check" in sys.argv


def told(stale: list[str], current: str) -> int:
    """Print which documents were out of date, or that all are `current`; return the program's exit code."""
    print("out of date: " + ", ".join(stale) if stale else current)
    return 1 if stale and only_checks() else 0
