"""What one hostile input is, and how it is given to the program."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Case:
    """One hostile input.

    name:  says what is wrong with it.
    words: its error holds one of these; "" is any error. For an input that is made harmless, what comes of it.
    make:  writes it into a new folder, and returns what is given to the program.
    is_harmless: it is read, the hostile part being left out.
    """

    name: str
    words: tuple[str, ...]
    make: Callable[[Path], str]
    is_harmless: bool = False


def of_bytes(
    name: str, data: bytes | Callable[[], bytes], *words: str, file: str = "x", harmless: bool = False
) -> Case:
    """Return the case of a file of these bytes."""

    def make(folder: Path) -> str:
        (folder / file).write_bytes(data() if callable(data) else data)
        return str(folder / file)

    return Case(name, words, make, harmless)
