"""What pages a language's site has, and the text of each from where it stands in the repository."""

import re
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "labs"))

from make_notebooks import CHINESE_LINE_END  # noqa: E402

LANGUAGES = ("en", "zh-TW")
_HEADING = re.compile(r"^(#+) (.*)$", re.M)
_EXAMPLE = re.compile(r"^>>> .*(?:\n.+)*", re.M)  # tested as it stands in the file, where it cannot be fenced
_ROW = re.compile(r"^\|.*\|$", re.M)
_FENCED = re.compile(r"^```.*?^```", re.M | re.S)


@dataclass(frozen=True)
class Page:
    """A page of the site.

    path:    its place in the site.
    sources: what its text is put together from.
    title:   where it is not the first heading.
    columns: the columns that its tables keep, from 0; all, where empty.
    """

    path: str
    sources: tuple[str, ...]
    title: str = ""
    columns: tuple[int, ...] = ()


@dataclass(frozen=True)
class Site:
    """A language's site: its words, and its sections of pages in the order of the navigation."""

    language: str
    words: dict[str, Any]
    sections: tuple[tuple[str, tuple[Page, ...]], ...]

    @property
    def pages(self) -> list[Page]:
        """All pages, in the order of the navigation."""
        return [page for _, pages in self.sections for page in pages]

    def page_of_file(self) -> dict[str, str]:
        """Return where each file of the repository is a page, or begins one; a notebook is where its text is."""
        found: dict[str, str] = {}
        for page in self.pages:
            source = page.sources[0].removeprefix("lab:").removesuffix("#")
            found.setdefault(source, page.path)
            if source.endswith(".py"):
                found[source.removesuffix(".py") + ".ipynb"] = page.path
        return found


def read_site(language: str) -> Site:
    """Return the site of a language, as its file here describes it."""
    described: dict[str, Any] = tomllib.loads((HERE / f"{language}.toml").read_text("utf-8"))
    sections = tuple(
        (
            section.get("title", ""),
            tuple(
                Page(page["path"], tuple(page["from"]), page.get("title", ""), tuple(page.get("columns", ())))
                for page in section["pages"]
            ),
        )
        for section in described.pop("section")
    )
    return Site(language, described, sections)


def part_of_file(source: str) -> str:
    """Return the text of a file, or of a section of it: "README.md#Nets"; "README.md#" is what comes before the first.

    Raises:
        ValueError: the file has no such section.
    """
    name, mark, heading = source.partition("#")
    text = _EXAMPLE.sub(r"```pycon\n\g<0>\n```", (ROOT / name).read_text("utf-8"))
    text = CHINESE_LINE_END.sub("", text)
    if not mark:
        return text
    parts = re.split(r"^(?=## )", text, flags=re.M)
    if not heading:
        return parts[0]
    for part in parts[1:]:
        if part.partition("\n")[0] == f"## {heading}":
            return part
    raise ValueError(f"{name} has no section '{heading}'; docs/site/*.toml names it")


def with_headings_from(text: str, top: int) -> str:
    """Return a text whose highest headings are of level `top`, the others as far below them as they were."""
    levels = [len(found[1]) for found in _HEADING.finditer(_FENCED.sub("", text))]
    shift = top - min(levels, default=top)
    pieces = re.split(r"(^```.*?^```)", text, flags=re.M | re.S)
    return "".join(
        piece
        if piece.startswith("```")
        else _HEADING.sub(lambda found: f"{'#' * (len(found[1]) + shift)} {found[2]}", piece)
        for piece in pieces
    )


def with_columns(text: str, columns: tuple[int, ...]) -> str:
    """Return a text whose tables have only these columns, in this order; no columns: all, as they are."""

    def chosen(row: re.Match[str]) -> str:
        cells = re.split(r"(?<!\\)\|", row[0].strip("|"))
        return f"|{'|'.join(cells[column] for column in columns)}|"

    return _ROW.sub(chosen, text) if columns else text


def title_of(text: str) -> str:
    """Return a page's first heading, without marks."""
    found = _HEADING.search(_FENCED.sub("", text))
    return found[2].replace("`", "").strip() if found else ""
