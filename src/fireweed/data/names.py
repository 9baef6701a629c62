"""Names as people write them: of classes, of parts, and of files when they are shown."""

import functools
import re
import unicodedata
from collections.abc import Iterable

from fireweed.errors import DataError

MAX_CLASSES, MAX_NAME = 10_000, 1_000  # as many, and as many letters, as a saved model can hold

_SHOWN = 1_000

_PARTS = {
    "train": ("train", "training", "trn"),
    "validation": ("validation", "valid", "val", "validate", "dev", "eval", "evaluation"),
    "test": ("test", "testing", "tst"),
}
_PART_OF = {word: part for part, words in _PARTS.items() for word in words}
_OF_A_SET = re.compile(r"[ _-]?set$")  # training_set, testset


def part_named(word: str) -> str:
    """Return "train", "validation" or "test" for the word that a folder or a list has for it, else ""."""
    return _PART_OF.get(_OF_A_SET.sub("", word.strip().lower()), "")


def shown(name: str) -> str:
    """Return a file's name fit to be shown and stored: what no UTF-8 text can hold, and controls, become U+FFFD."""
    if name.isprintable():
        return name
    return "".join(c if c.isprintable() or c == "\u200d" else "\ufffd" for c in name)


def quoted(name: str) -> str:
    """Return a name in quotes for a message, on one line whatever it holds; of a very long one, its two ends."""
    return f"'{shown(name if len(name) <= _SHOWN else f'{name[:160]}…{name[-60:]}')}'"


@functools.lru_cache(maxsize=100_000)
def class_name(text: str) -> str:
    """Return the name of the class that a folder or label means: no outer blanks, one Unicode form (NFC).

    Raises:
        DataError: nothing is left, or it is longer than any name.
    """
    if len(text) > MAX_NAME:
        raise DataError(
            f"a class has a name of {len(text):,} letters ({quoted(text[:40])}...); at most {MAX_NAME:,} are read"
        )
    name = shown(unicodedata.normalize("NFC", text)).strip()
    if not name:
        raise DataError(f"a class has the blank name {quoted(text)}; give it a name")
    return name


def alike(text: str) -> str:
    """Return a key that two names share when they differ in case or Unicode form only."""
    return text.lower() if text.isascii() else unicodedata.normalize("NFC", text).lower()


def check_distinct(names: Iterable[str], data: str) -> None:
    """Refuse class names that differ in case, blanks or Unicode form only: nobody means two classes by them.

    Raises:
        DataError: names both.
    """
    seen: dict[str, str] = {}
    for name in names:
        first = seen.setdefault(" ".join(alike(name).split()), name)
        if first != name:
            raise DataError(
                f"{quoted(data)} has the classes {quoted(first)} and {quoted(name)}, which differ only in case or "
                "blanks; give them one name, or two clearly different ones"
            )


def check_told_apart(names: Iterable[str], data: str) -> None:
    """Refuse names of two classes that would become one, since all in which they differ cannot be shown.

    Folders named in another alphabet's old encoding are such: of their letters only the English ones are left.

    Raises:
        DataError: what both are shown as.
    """
    seen: dict[str, str] = {}
    for name in names:
        plain = unicodedata.normalize("NFC", name).strip()
        if seen.setdefault(class_name(name), plain) != plain:
            raise DataError(
                f"{quoted(data)} has two classes that are both shown as {quoted(class_name(name))}: their names are "
                "not UTF-8, or differ only in characters that cannot be shown; rename them"
            )
