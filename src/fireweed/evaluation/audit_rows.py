"""What an audit found, as rows in the order in which one looks at them, as CSV, and as an object for JSON."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fireweed.data.audit import Audit, is_cut_off
from fireweed.evaluation.doubtful import Doubt
from fireweed.text import spreadsheet_cell, spreadsheet_path


@dataclass(frozen=True, slots=True)
class Problem:
    """A kind of finding: how it is called, and what to do about it."""

    title: str
    remedy: str


# In the order in which one looks at them.
PROBLEMS: dict[str, Problem] = {
    "unreadable": Problem("cannot be read", "training leaves them out: copy them again, convert or delete them"),
    "conflicting_labels": Problem("twins with different labels", "decide on one label, delete the other photos"),
    "leakage": Problem("twins in two parts", "they flatter the result: delete them from one of the parts"),
    "damaged": Problem("read only in part", "damaged: programs show grey or shifted parts; copy them again"),
    "label_errors": Problem(
        "label likely wrong", "look at them: hard photos are among them; move those in the wrong class"
    ),
    "exact_twins": Problem("equal photos", "keep one of each; a split by content keeps them on one side"),
    "near_twins": Problem("nearly equal photos", "the same picture saved, scaled or toned anew: keep the best of each"),
    "blank": Problem("nearly one colour", "they teach nothing: delete them"),
    "wrong_endings": Problem("with a wrong ending", "other programs may refuse them: rename them"),
    "tiny": Problem("tiny", "they can teach little: find larger ones"),
    "huge": Problem("huge", "they slow reading down: scale them"),
    "narrow": Problem("long and narrow", "a middle square shows little of them: --set data.fit=pad, or crop them"),
    "odd_modes": Problem("in other colours than most", "see that they are not all of one class: a net learns that"),
}
REMARKED = ("damaged", "blank", "wrong_endings", "tiny", "huge", "narrow", "odd_modes")


@dataclass(frozen=True)
class Doubts:
    """Labels that may be wrong, the most doubtful first; `basis` says by what, `judged` of how many photos."""

    found: Sequence[Doubt]
    basis: str
    judged: int

    @property
    def likely(self) -> Sequence[Doubt]:
        return [doubt for doubt in self.found if doubt.is_likely]


@dataclass(frozen=True, slots=True)
class Row:
    """One photo and what is the matter with it; `position` in the catalog, -1 where it cannot be read."""

    problem: str
    path: str
    label: str
    part: str
    detail: str
    position: int = -1


def rows_of(audit: Audit, doubts: Doubts | None = None) -> Iterator[Row]:
    """Yield what to look at, the gravest kind first; a photo comes once for each kind."""
    found = {
        "unreadable": lambda: (Row("unreadable", one.name, "", "", one.reason) for one in audit.catalog.unreadable),
        "conflicting_labels": lambda: _conflicts(audit),
        "leakage": lambda: _leaks(audit),
        "label_errors": lambda: _doubts(audit, doubts),
        "exact_twins": lambda: _twins(audit, "exact_twins", "equal to"),
        "near_twins": lambda: _twins(audit, "near_twins", "nearly equal to"),
    }
    for problem in PROBLEMS:
        if problem in REMARKED:
            yield from (_row(audit, problem, one.photo, one.detail) for one in audit.remarks[problem])
        else:
            yield from found[problem]()


def counts_of(audit: Audit, doubts: Doubts | None = None) -> dict[str, int]:
    """Return how many findings of each kind there are: photos, or for twins and conflicts groups."""
    counts = {problem: len(audit.remarks[problem]) for problem in REMARKED}
    counts |= {
        "unreadable": len(audit.catalog.unreadable),
        "conflicting_labels": len(audit.conflicts),
        "leakage": len(audit.leaks),
        "label_errors": len(doubts.likely) if doubts else 0,
        "exact_twins": len(audit.exact_twins),
        "near_twins": len(audit.near_twins),
    }
    return {problem: counts[problem] for problem in PROBLEMS}


def as_csv(audit: Audit, doubts: Doubts | None = None) -> str:
    """Return the rows as CSV; no cell is taken for a formula by a spreadsheet."""
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["problem", "path", "class", "part", "detail"])
    for row in rows_of(audit, doubts):
        cells = [spreadsheet_cell(cell) for cell in (row.label, row.part, row.detail)]
        writer.writerow([PROBLEMS[row.problem].title, spreadsheet_path(row.path), *cells])
    return table.getvalue()


def as_object(audit: Audit, doubts: Doubts | None = None) -> dict[str, Any]:
    """Return all that was found, ready for JSON; `label_errors` is None where they were not looked for."""
    unreadable = audit.catalog.unreadable
    return {
        "data": audit.catalog.title,
        "photos": len(audit.catalog) + len(unreadable),
        "readable": len(audit.catalog),
        "unreadable": [{"path": one.name, "reason": one.reason, "cut_off": is_cut_off(one)} for one in unreadable],
        "damaged": _remarks(audit, "damaged", "reason"),
        "exact_twins": [_paths(audit, group) for group in audit.exact_twins],
        "near_twins": [_paths(audit, group) for group in audit.near_twins],
        "conflicting_labels": [
            {"paths": _paths(audit, one.photos), "classes": [_label(audit, i) for i in one.photos], "equal": one.equal}
            for one in audit.conflicts
        ],
        "leakage": [
            {
                "paths": _paths(audit, (one.first, one.second)),
                "parts": [audit.catalog.photos[i].part for i in (one.first, one.second)],
                "equal": one.equal,
            }
            for one in audit.leaks
        ],
        "classes": {
            row.name: {"photos": row.photos, **row.parts, "unreadable": row.unreadable} for row in audit.classes
        },
        "missing": [{"class": name, "part": part} for name, part in audit.missing],
        "few_photos": [row.name for row in audit.few],
        "imbalance": audit.imbalance,
        "wrong_endings": _remarks(audit, "wrong_endings", "detail"),
        "blank": [_name(audit, one.photo) for one in audit.remarks["blank"]],
        **{kind: [_with_size(audit, one.photo) for one in audit.remarks[kind]] for kind in ("tiny", "huge", "narrow")},
        "odd_modes": _remarks(audit, "odd_modes", "mode"),
        "formats": audit.formats,
        "modes": audit.modes,
        "sizes": size_facts(audit),
        "label_errors": None if doubts is None else [_doubt(audit, one) for one in doubts.found],
        "label_errors_by": None if doubts is None else doubts.basis,
        "notes": list(audit.catalog.notes),
    }


def size_facts(audit: Audit) -> dict[str, dict[str, int]] | None:
    """Return the least, the middle and the greatest width and height; None without photos."""
    if not len(audit.sizes):
        return None

    def facts(values: np.ndarray) -> dict[str, int]:
        return {"least": int(values.min()), "median": round(float(np.median(values))), "greatest": int(values.max())}

    return {"width": facts(audit.sizes[:, 1]), "height": facts(audit.sizes[:, 0])}


def _row(audit: Audit, problem: str, photo: int, detail: str) -> Row:
    one = audit.catalog.photos[photo]
    return Row(problem, _name(audit, photo), _label(audit, photo), one.part, detail, photo)


def _conflicts(audit: Audit) -> Iterator[Row]:
    for conflict in audit.conflicts:
        firsts: dict[str, int] = {}  # of each label, so that many copies take no time that grows with their square
        for photo in conflict.photos:
            firsts.setdefault(_label(audit, photo), photo)
        one, another = list(firsts.values())[:2]
        for photo in conflict.photos:
            other = another if _label(audit, photo) == _label(audit, one) else one
            detail = (
                f"{'equal' if conflict.equal else 'nearly equal'} to {_name(audit, other)} ({_label(audit, other)})"
            )
            yield _row(audit, "conflicting_labels", photo, detail)


def _leaks(audit: Audit) -> Iterator[Row]:
    for leak in sorted(audit.leaks, key=lambda leak: not leak.equal):
        part = audit.catalog.photos[leak.first].part
        detail = f"{'equal' if leak.equal else 'nearly equal'} to {_name(audit, leak.first)} ({part})"
        yield _row(audit, "leakage", leak.second, detail)


def _doubts(audit: Audit, doubts: Doubts | None) -> Iterator[Row]:
    for one in doubts.likely if doubts else ():
        detail = f"looks like {audit.catalog.classes[one.suggested]} ({one.of_suggested:.0%} to {one.of_label:.0%})"
        yield _row(audit, "label_errors", one.photo, detail)


def _twins(audit: Audit, problem: str, relation: str) -> Iterator[Row]:
    for group in getattr(audit, problem):
        first_key = audit.catalog.photos[group[0]].key
        for photo in group[1:]:
            if problem == "exact_twins" or audit.catalog.photos[photo].key != first_key:
                yield _row(audit, problem, photo, f"{relation} {_name(audit, group[0])}")


def _remarks(audit: Audit, kind: str, name: str) -> list[dict[str, str]]:
    return [{"path": _name(audit, one.photo), name: one.detail} for one in audit.remarks[kind]]


def _with_size(audit: Audit, photo: int) -> dict[str, Any]:
    height, width = audit.sizes[photo].tolist()
    return {"path": _name(audit, photo), "width": width, "height": height}


def _doubt(audit: Audit, doubt: Doubt) -> dict[str, Any]:
    return {
        "path": _name(audit, doubt.photo),
        "class": _label(audit, doubt.photo),
        "suggested": audit.catalog.classes[doubt.suggested],
        "probability_of_class": doubt.of_label,
        "probability_of_suggested": doubt.of_suggested,
        "likely": doubt.is_likely,
    }


def _paths(audit: Audit, photos: Sequence[int]) -> list[str]:
    return [_name(audit, photo) for photo in photos]


def _name(audit: Audit, photo: int) -> str:
    return audit.catalog.photos[photo].name or audit.catalog.photos[photo].path


def _label(audit: Audit, photo: int) -> str:
    return audit.catalog.classes[audit.catalog.photos[photo].label]
