"""The order, the CSV and the JSON of an audit."""

import csv
import io
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from fireweed.data.audit import Audit, Conflict, audit_of
from fireweed.data.catalog import Photo
from fireweed.data.drawn import draw_photo
from fireweed.data.sources import open_data
from fireweed.data.survey import survey
from fireweed.data.twins import group_twins
from fireweed.evaluation.audit_page import render_audit_page
from fireweed.evaluation.audit_rows import PROBLEMS, REMARKED, Doubts, as_csv, as_object, counts_of, rows_of
from fireweed.evaluation.doubtful import Doubt

EVIL = '=cmd"><img src=x onerror=alert(1)>'


def faulty(folder: Path) -> Audit:
    """Return the audit of photos with a fault of most kinds, among names that mean harm."""
    for part, label, number in (("train", EVIL, 0), ("train", EVIL, 1), ("train", "b", 2), ("test", "b", 3)):
        (folder / part / label).mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw_photo("roses", number)).save(folder / part / label / f"=photo{number}.png")
    first = (folder / "train" / EVIL / "=photo0.png").read_bytes()
    (folder / "test" / "b" / "copy.jpg").write_bytes(first)
    (folder / "train" / "b" / "empty.jpg").write_bytes(b"")
    opened = open_data(str(folder))
    found = survey(opened, least_classes=0)
    return audit_of(opened, found, group_twins(found))


def test_the_gravest_come_first(tmp_path: Path) -> None:
    audit = faulty(tmp_path)
    kinds = [row.problem for row in rows_of(audit)]
    assert kinds == sorted(kinds, key=list(PROBLEMS).index)
    counts = counts_of(audit)
    found = {kind: count for kind, count in counts.items() if count}
    assert found == {"unreadable": 1, "conflicting_labels": 1, "leakage": 1, "exact_twins": 1, "wrong_endings": 1}
    by_kind = {row.problem: row for row in rows_of(audit)}
    assert by_kind["leakage"].part == "test" and by_kind["leakage"].path == "test/b/copy.jpg"
    assert by_kind["unreadable"].path == "train/b/empty.jpg" and "0 bytes" in by_kind["unreadable"].detail


def test_the_object_has_what_programs_look_for_and_is_json(tmp_path: Path) -> None:
    audit = faulty(tmp_path)
    found = json.loads(json.dumps(as_object(audit), allow_nan=False))
    twins = {"test/b/copy.jpg", f"train/{EVIL}/=photo0.png"}
    assert [set(group) for group in found["exact_twins"]] == [twins] and found["near_twins"] == []
    assert set(found["conflicting_labels"][0]["paths"]) == twins and found["conflicting_labels"][0]["equal"]
    assert set(found["conflicting_labels"][0]["classes"]) == {EVIL, "b"}
    assert found["leakage"] == [
        {"paths": [f"train/{EVIL}/=photo0.png", "test/b/copy.jpg"], "parts": ["train", "test"], "equal": True}
    ]
    assert found["classes"]["b"] == {"photos": 3, "train": 1, "test": 2, "unreadable": 1}
    assert found["missing"] == [{"class": EVIL, "part": "test"}]
    assert [row["cut_off"] for row in found["unreadable"]] == [True]
    assert (found["photos"], found["readable"], found["label_errors"]) == (6, 5, None)


def test_thousands_of_copies_in_two_classes_are_told_at_once(tmp_path: Path) -> None:
    audit = faulty(tmp_path)
    name, photos = audit.catalog.photos[0].key, []
    for i in range(20_000):
        photos.append(Photo(f"{i}.jpg", int(i >= 10_000), name, "train", name=f"{i}.jpg"))
    copies = replace(
        audit, catalog=replace(audit.catalog, photos=tuple(photos)), exact_twins=(), leaks=(),
        remarks=dict.fromkeys(REMARKED, ()), conflicts=(Conflict(tuple(range(20_000)), equal=True),),
    )  # fmt: skip
    start = time.process_time()
    details = [row.detail for row in rows_of(copies) if row.problem == "conflicting_labels"]
    assert time.process_time() - start < 5
    one, other = audit.catalog.classes
    assert (details[0], details[-1]) == (f"equal to 10000.jpg ({other})", f"equal to 0.jpg ({one})")
    assert len(details) == 20_000


def test_doubts_are_told_with_both_classes(tmp_path: Path) -> None:
    audit = faulty(tmp_path)
    label = audit.catalog.photos[0].label
    doubts = Doubts([Doubt(0, 1 - label, 0.1, 0.9, True), Doubt(1, 0, 0.4, 0.6, False)], "a model", 5)
    told = as_object(audit, doubts)["label_errors"]
    assert told[0]["suggested"] != told[0]["class"] and told[0]["likely"] and not told[1]["likely"]
    assert sum(row.problem == "label_errors" for row in rows_of(audit, doubts)) == 1
    assert counts_of(audit, doubts)["label_errors"] == 1


def test_no_cell_of_the_table_is_a_formula(tmp_path: Path) -> None:
    rows = list(csv.reader(io.StringIO(as_csv(faulty(tmp_path)))))
    assert rows[0] == ["problem", "path", "class", "part", "detail"] and len(rows) == 7
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@"))]


def test_the_page_escapes_all_names_and_needs_nothing_else(tmp_path: Path) -> None:
    audit = faulty(tmp_path)
    html = render_audit_page(audit, None, lambda position: np.full((40, 60, 3), 90, np.uint8))
    assert "<img src=x" not in html and "<script" not in html and "http" not in html.split("</style>")[1]
    assert html.count('src="data:image/jpeg;base64,') >= 5  # two groups of twins, and a wrong ending
    assert "Twins in two parts" in html and "train/b/empty.jpg" in html and "prefers-color-scheme: dark" in html


def test_the_page_does_without_pictures_of_photos_that_are_gone(tmp_path: Path) -> None:
    html = render_audit_page(faulty(tmp_path), None, lambda position: None)
    assert "<img" not in html and "test/b/copy.jpg" in html


def test_the_page_of_no_photo_at_all(tmp_path: Path) -> None:
    for label in "ab":
        (tmp_path / label).mkdir()
        (tmp_path / label / "x.jpg").write_bytes(b"")
    opened = open_data(str(tmp_path))
    found = survey(opened, least_classes=0)
    audit = audit_of(opened, found, group_twins(found))
    assert "Cannot be read" in render_audit_page(audit, None, lambda position: None)
    assert as_object(audit)["sizes"] is None
