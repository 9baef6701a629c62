"""The house's docstrings, read by program: paragraphs of `name: what it is` are lists of arguments or fields.

griffe, which mkdocstrings reads the code with, knows such lists under headings of Google's style; `HouseDocstrings`
puts the headings there.
"""

import inspect
import re

from griffe import Class, Docstring, Extension, Function

_FIRST_LINE = re.compile(r"([a-z_]\w*(?:, [a-z_]\w*)*):\s+(\S.*)")


def entries_of(paragraph: str) -> list[tuple[str, str]]:
    """Return the names and texts of a paragraph that is such a list, one pair a name; none for other paragraphs."""
    found: list[tuple[str, str]] = []
    for line in paragraph.splitlines():
        if first := _FIRST_LINE.fullmatch(line):
            found.append((first[1], first[2]))
        elif found and line.startswith("  "):
            found[-1] = (found[-1][0], f"{found[-1][1]} {line.strip()}")
        else:
            return []
    return [(name, text) for names, text in found for name in names.split(", ")]


def paragraphs_of(docstring: str) -> list[str]:
    """Return a docstring's paragraphs, without its indentation."""
    return re.split(r"\n\s*\n", inspect.cleandoc(docstring))


def with_headings(docstring: str, heading: str) -> str:
    """Return a docstring with `heading` over its lists, in Google's style."""
    paragraphs = []
    for paragraph in paragraphs_of(docstring):
        entries = entries_of(paragraph)
        listed = "\n".join(f"    {name}: {text}" for name, text in entries)
        paragraphs.append(f"{heading}:\n{listed}" if entries else paragraph)
    return "\n\n".join(paragraphs)


class HouseDocstrings(Extension):
    """Gives functions and classes docstrings that griffe understands, as it loads them."""

    def on_function(self, *, func: Function, **_: object) -> None:
        """Put "Args" over the lists of a function."""
        _rewrite(func.docstring, "Args")

    def on_class(self, *, cls: Class, **_: object) -> None:
        """Put "Attributes" over the lists of a class."""
        _rewrite(cls.docstring, "Attributes")


def _rewrite(docstring: Docstring | None, heading: str) -> None:
    if docstring is not None:
        docstring.value = with_headings(docstring.value, heading)
