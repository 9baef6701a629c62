"""Names of photos and classes made fit to be shown: nothing in them can move a terminal, a page or a chart."""

import unicodedata
from collections.abc import Sequence

# Joiners belong to the spelling of Persian, of Indian languages and of emoji; other invisible characters only deceive.
_JOINERS = "\u200c\u200d"


def readable(name: str) -> str:
    """Return `name` with control characters, direction overrides and broken bytes written as escapes."""
    if name.isprintable():
        return name
    return "".join(c if c.isprintable() or c in _JOINERS else escaped(c) for c in name)


def is_text(name: str) -> bool:
    """Return whether a name can be written as UTF-8; a file's name may hold bytes that cannot."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def escaped(character: str) -> str:
    r"""Return a character as Python writes its code, ``\u90c1`` for one."""
    return character.encode("unicode_escape").decode("ascii")


def shortened(name: str, limit: int) -> str:
    """Return `name` in at most `limit` columns, its middle replaced by an ellipsis; beginnings and ends tell most.

    Chinese, Japanese and Korean characters count two columns.
    """
    if width(name) <= limit:
        return name
    end = _fitting(name[::-1], (limit - 1) // 3)[::-1]
    return _fitting(name, limit - 1 - width(end)) + "…" + end


def width(text: str) -> int:
    """Return how many columns of a fixed-width font `text` takes."""
    return sum(_columns(c) for c in text)


def _fitting(text: str, limit: int) -> str:
    used = 0
    for position, character in enumerate(text):
        used += _columns(character)
        if used > limit:
            return text[:position]
    return text


def _columns(character: str) -> int:
    if unicodedata.combining(character) or character in _JOINERS:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def counted(count: int, word: str) -> str:
    """Return a number with its noun: 1 photo, 2,000 photos."""
    return f"{count:,} {word}" + ("" if count == 1 else "s")


def some_of(names: Sequence[str], most: int = 5) -> str:
    """Return the first names, and how many more there are."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def spreadsheet_cell(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula: one that would be gets an apostrophe before it."""
    return f"'{text}" if _is_formula(text) else text


def spreadsheet_path(path: str) -> str:
    """Return a path that no spreadsheet takes for a formula, and that still leads to its file."""
    return f"./{path}" if _is_formula(path) else path


def _is_formula(text: str) -> bool:
    return text.startswith(("=", "+", "-", "@", "\t", "\r"))
