"""The page of an audit: one HTML file with the photos to look at, which needs neither network nor script."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import numpy as np

from fireweed.data.audit import Audit
from fireweed.evaluation.audit_rows import PROBLEMS, Doubts, Row, counts_of, rows_of, size_facts
from fireweed.evaluation.report import page_environment
from fireweed.evaluation.thumbnails import data_address
from fireweed.files import write_text

ImageOf = Callable[[int], np.ndarray | None]

THUMBNAIL_PX = 144
_CARDS_SHOWN, _LINES_SHOWN, _OF_A_GROUP = 24, 200, 6
_MOST_SHOWN = {"unreadable": _LINES_SHOWN, "label_errors": 60}
_PICTURES_BYTES = 3_000_000
_QUALITY = 75
_WITHOUT_PICTURES = frozenset({"unreadable"})


@dataclass(frozen=True)
class Card:
    """One photo as it is shown; `address` is its picture, or "" without one."""

    row: Row
    address: str


@dataclass
class Section:
    """A kind of finding with the photos shown of it: cards in groups, of one photo or of twins together."""

    problem: str
    count: int
    groups: list[list[Card]] = field(default_factory=list)

    @property
    def title(self) -> str:
        return PROBLEMS[self.problem].title

    @property
    def remedy(self) -> str:
        return PROBLEMS[self.problem].remedy

    @property
    def has_pictures(self) -> bool:
        return self.problem not in _WITHOUT_PICTURES


def write_audit_page(path: Path, audit: Audit, doubts: Doubts | None, image_of: ImageOf) -> None:
    """Write the page as one HTML file, whole or not at all.

    image_of: gives a photo by its position, uint8 (height, width, 3) of any size; None where it cannot be read now.

    Raises:
        FireweedError: the file cannot be written.
    """
    write_text(path, render_audit_page(audit, doubts, image_of))


def render_audit_page(audit: Audit, doubts: Doubts | None, image_of: ImageOf) -> str:
    """Return the page as the text of an HTML file; see `write_audit_page`."""
    counts = counts_of(audit, doubts)
    sought = [problem for problem in counts if problem != "label_errors" or doubts is not None]
    pictures = _Pictures(image_of)
    sections = [_section(problem, count, audit, doubts, pictures) for problem, count in counts.items() if count]
    most = max((row.photos for row in audit.classes), default=0) or 1
    html = page_environment().get_template("audit.html").render(
        audit=audit,
        doubts=doubts,
        sections=sections,
        absent=[PROBLEMS[problem].title for problem in sought if not counts[problem]],
        sizes=size_facts(audit),
        parts=list(audit.classes[0].parts) if audit.classes else [],
        most=most,
        lines_shown=_LINES_SHOWN,
    )  # fmt: skip
    return html.encode("utf-8", "backslashreplace").decode("utf-8")


def _section(problem: str, count: int, audit: Audit, doubts: Doubts | None, pictures: "_Pictures") -> Section:
    section = Section(problem, count)
    limit = _MOST_SHOWN.get(problem, _CARDS_SHOWN)
    for rows in _together(problem, audit, doubts):
        if len(section.groups) == limit:
            break
        section.groups.append([Card(row, pictures.address(row.position)) for row in rows[:_OF_A_GROUP]])
    return section


def _together(problem: str, audit: Audit, doubts: Doubts | None) -> Iterator[Sequence[Row]]:
    """Yield the rows of a kind, those of twins side by side with the photo that they are twins of."""
    groups = {
        "exact_twins": audit.exact_twins,
        "near_twins": audit.near_twins,
        "conflicting_labels": [conflict.photos for conflict in audit.conflicts],
        "leakage": [(leak.first, leak.second) for leak in sorted(audit.leaks, key=lambda leak: not leak.equal)],
    }.get(problem)
    if groups is not None:
        for photos in groups:
            yield [_row(problem, audit, photo) for photo in photos]
        return
    for kind, rows in groupby(rows_of(audit, doubts), key=lambda row: row.problem):
        if kind == problem:
            yield from ([row] for row in rows)


def _row(problem: str, audit: Audit, position: int) -> Row:
    photo = audit.catalog.photos[position]
    return Row(problem, photo.name or photo.path, audit.catalog.classes[photo.label], photo.part, "", position)


class _Pictures:
    """Pictures as data addresses, each made once, until they have taken what room there is."""

    def __init__(self, image_of: ImageOf) -> None:
        self._image_of = image_of
        self._known: dict[int, str] = {}
        self._left = _PICTURES_BYTES

    def address(self, position: int) -> str:
        if position < 0:
            return ""
        if position not in self._known:
            self._known[position] = self._made(position)
        self._left -= len(self._known[position])  # a photo that is shown twice lies in the page twice
        return self._known[position] if self._left >= 0 else ""

    def _made(self, position: int) -> str:
        image = self._image_of(position) if self._left > 0 else None
        return "" if image is None else data_address(image, THUMBNAIL_PX, _QUALITY)
