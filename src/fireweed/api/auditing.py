"""`fireweed audit`: what is wrong with photos, before anything is trained on them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fireweed.data.audit import Audit, audit_of
from fireweed.data.decode import read_photo
from fireweed.data.records import read_bytes
from fireweed.data.sources import open_data
from fireweed.data.survey import survey
from fireweed.data.twins import group_twins
from fireweed.errors import DataError, FireweedError, nearest
from fireweed.files import absolute
from fireweed.reporting import Reporter

if TYPE_CHECKING:
    from fireweed.evaluation.audit_rows import Doubts

LABELS = ("auto", "on", "off")


@dataclass(frozen=True)
class AuditRequest:
    """What is asked of an audit.

    labels:  "on" looks for wrong labels too, which takes a model; "auto" does so where `model` or `weights` is given.
    model:   a run's folder or a .keras file whose answers the labels are held against.
    weights: a file of weights for the net whose features a quick classifier learns from; "imagenet" fetches them if
             need be, None takes those that are at hand.
    html:    the page to write.
    """

    data: str
    labels: str = "auto"
    model: str | None = None
    weights: str | None = None
    html: str | None = None


@dataclass(frozen=True)
class Audited:
    """What was found; `doubts` is None where labels were not looked at."""

    audit: Audit
    doubts: "Doubts | None"


def audit(request: AuditRequest, reporter: Reporter) -> Audited:
    """Read every photo once and return what is wrong with them; write the page if one is asked for.

    Raises:
        DataError: there is no such data, or it holds no photos. That none can be read is a finding, not an error.
        FireweedError: options that exclude each other, a model or weights that cannot be used, a page that cannot be
            written.
    """
    wants_labels = _wants_labels(request)
    page = _page(request.html)
    with reporter.counting("opening") as progress:
        opened = open_data(request.data, progress=progress, least_classes=1)
    with reporter.counting("reading photos") as progress:
        found = survey(opened, progress=progress, least_classes=0)
    groups = group_twins(found)
    result = audit_of(opened, found, groups)
    doubts = None
    if wants_labels:
        from fireweed.api.audit_labels import find_doubts

        doubts = find_doubts(result.catalog, groups, request.model, request.weights, reporter)
    if page is not None:
        from fireweed.evaluation.audit_page import THUMBNAIL_PX, write_audit_page

        write_audit_page(page, result, doubts, lambda position: _image(result, position, THUMBNAIL_PX))
    return Audited(result, doubts)


def audit_text(audited: Audited, form: str) -> str:
    """Return what an audit found as "json" or "csv" text, with its line end."""
    from fireweed.evaluation.audit_rows import as_csv, as_object

    if form == "csv":
        return as_csv(audited.audit, audited.doubts)
    found = as_object(audited.audit, audited.doubts)
    return json.dumps(found, ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def _wants_labels(request: AuditRequest) -> bool:
    """Return whether wrong labels are to be looked for; refuse, before photos are read, what would fail after it."""
    if request.labels not in LABELS:
        raise FireweedError(
            f"--labels is auto, on or off, received '{request.labels}'; {nearest(request.labels, LABELS)}"
        )
    given = [f"--{name}" for name in ("model", "weights") if getattr(request, name)]
    if len(given) == 2:
        raise FireweedError("--model and --weights are two ways to judge labels; give one of them")
    if given and request.labels == "off":
        raise FireweedError(f"{given[0]} is for judging labels, and --labels off does not; leave one of them out")
    for path in filter(None, (request.model, request.weights)):
        if path != "imagenet" and not absolute(path).exists():
            raise FireweedError(f"{path} is not there; --model takes a run's folder or a .keras file, --weights a file")
    if request.labels == "on" and request.model is None:
        from fireweed.api.audit_labels import check_weights

        check_weights(request.weights)
    return request.labels == "on" or bool(given)


def _page(html: str | None) -> Path | None:
    """Return where the page goes, having made sure that it can."""
    if html is None:
        return None
    page = absolute(html)
    if page.is_dir():
        raise FireweedError(f"{html} is a folder; --html takes the name of the file to write")
    if not page.parent.is_dir():
        raise FireweedError(f"there is no folder {page.parent} for the page; make it, or give --html another name")
    return page


def _image(found: Audit, position: int, side_px: int) -> np.ndarray | None:
    try:
        return read_photo(read_bytes(found.catalog.photos[position]), at_least_px=side_px)
    except (DataError, OSError):
        return None  # it was there a moment ago; the page does without its picture
