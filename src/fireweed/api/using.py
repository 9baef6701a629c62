"""What is done with a trained model: evaluate it on photos with labels, ask it about photos without."""

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from fireweed.api.judging import evaluation_of
from fireweed.api.run_folders import local_path
from fireweed.api.starting import start_framework
from fireweed.data.catalog import Catalog, Photo
from fireweed.data.decode import Fit, decode_square
from fireweed.data.records import read_bytes
from fireweed.data.sources import open_data
from fireweed.data.survey import survey
from fireweed.errors import DataError, RunError
from fireweed.files import sha256_of_bytes
from fireweed.reporting import Reporter
from fireweed.run import RunFolder, open_run
from fireweed.text import counted

if TYPE_CHECKING:
    from fireweed.bundle import Bundle
    from fireweed.serving.predict import Prediction

BATCH = 32


def open_model(path: str | Path, reporter: Reporter) -> "Bundle":
    """Open a run's model, or a .keras file, on the device that suits.

    Raises:
        FireweedError: there is none, or it is not one to be trusted.
    """
    from fireweed.bundle import bundle_files, open_bundle

    local = local_path(path)
    bundle_files(local)  # a mistyped path is told before the framework is loaded
    start_framework(reporter)
    return open_bundle(local)


def predict(
    model: str | Path, arguments: Sequence[str], batch_size: int = BATCH, flips: bool = False
) -> Iterator["Prediction"]:
    """Yield an answer for each photo, in the order given; folders are searched for photos.

    flips: whether an answer is the mean of those about the photo and its mirror image.

    Raises:
        FireweedError: no such model or photo.
    """
    from fireweed.serving.predict import expand_paths, predict_files

    paths = expand_paths(list(arguments))  # a mistyped path is told before the framework is loaded
    yield from predict_files(open_model(model, Reporter(is_silent=True)), paths, batch_size, flips=flips)


def evaluate_run(
    run: str | Path, data: str | None, part: str | None, reporter: Reporter, flips: bool = False
) -> tuple[dict[str, Any], Path]:
    """Judge a run's model and write evaluation-PART.json (evaluation-data.json for other photos) into the run.

    With `flips` an answer is the mean of those about the photo and its mirror image; it is what `predict` says only
    where that is asked too, so it goes into a file of its own, evaluation-PART-flips.json.

    Without `data`: the part (None: validation) of the run's own photos, as photos.csv has it. With `data` and a part:
    the same, the photos being in `data` now. With `data` alone: all of it except photos that the run trained on, told
    by their keys.

    Returns the figures and the path of the file.
    """
    folder = open_run(local_path(run))
    if part not in (None, "validation", "test"):
        raise DataError(f"unknown part '{part}'; there are: validation, test")
    if not folder.file("fireweed.json").is_file():
        raise RunError(f"{folder.path} has no model yet; let the training end first (the same command goes on)")
    is_own = data is None or part is not None
    part = part or "validation"
    if is_own:
        catalog = _own_photos(folder, part, data or folder.facts().data, reporter)
    else:
        catalog = _other_photos(folder, str(data), reporter)
    bundle = open_model(folder.path, reporter)
    catalog = _with_classes_of(bundle, catalog)
    probabilities = np.stack(list(_answers(bundle, catalog.photos, reporter, flips)))
    names = [photo.name or photo.path for photo in catalog.photos]
    evaluation = evaluation_of(probabilities, catalog.labels(), names, tuple(bundle.classes))
    name = f"evaluation-{part if is_own else 'data'}{'-flips' if flips else ''}.json"
    folder.write_json(name, evaluation)
    return evaluation, folder.file(name)


def _own_photos(folder: RunFolder, part: str, data: str, reporter: Reporter) -> Catalog:
    """Return the photos of a part of the run, known by their keys, whatever they are called by now."""
    rows = [row for row in folder.rows() if row["part"] == part]
    if not rows:
        raise DataError(f"the run {folder.path} has no {part} photos; its photos.csv says which part each photo is in")
    with reporter.counting("opening") as progress:
        catalog = open_data(data, progress=progress)
    names = {row["name"] for row in rows}
    wanted = Counter(row["key"] for row in rows)
    likely = [photo for photo in catalog.photos if photo.name in names]
    others = [photo for photo in catalog.photos if photo.name not in names]
    found: list[Photo] = []
    with reporter.bar("finding photos", len(likely)) as bar:
        for done, photo in enumerate(itertools.chain(likely, others)):
            if len(found) == len(rows):
                break
            key = _key(photo)
            if wanted[key] > 0:
                wanted[key] -= 1
                found.append(photo)
            bar.update(min(done, len(likely)))
    missing = len(rows) - len(found)
    if missing:
        lost = next(row["name"] for row in rows if wanted[row["key"]] > 0)
        raise DataError(
            f"{missing} of the run's {len(rows)} {part} photos are gone or have changed since it began ({lost}); put "
            "them back, or say with --data where they are now"
        )
    return replace(catalog, photos=tuple(found))


def _key(photo: Photo) -> str:
    try:
        return photo.key or sha256_of_bytes(read_bytes(photo))
    except (DataError, OSError):
        return ""  # it cannot be one of the run's, which could all be read


def _other_photos(folder: RunFolder, data: str, reporter: Reporter) -> Catalog:
    trained_on = {row["key"] for row in folder.rows() if row["part"] == "train"}
    with reporter.counting("opening") as progress:
        opened = open_data(data, progress=progress, least_classes=1)
    with reporter.counting("reading photos") as progress:
        catalog = survey(opened, progress=progress, least_classes=1).catalog
    kept = tuple(photo for photo in catalog.photos if photo.key not in trained_on)
    if catalog.unreadable:
        lost = counted(len(catalog.unreadable), "photo")
        reporter.warn(f"{lost} cannot be read, left out, such as {catalog.unreadable[0].name}")
    reporter.say(f"{counted(len(kept), 'photo')}; {len(catalog) - len(kept):,} that the run trained on are left out")
    if not kept:
        raise DataError(f"the run trained on every photo of {data}; evaluate on others")
    return replace(catalog, photos=kept)


def _with_classes_of(bundle: "Bundle", catalog: Catalog) -> Catalog:
    """Return the catalog with the labels counted as the model counts its classes."""
    unknown = [name for name in catalog.classes if name not in bundle.classes]
    present = {photo.label for photo in catalog.photos}
    if any(catalog.classes.index(name) in present for name in unknown):
        raise DataError(
            f"class '{unknown[0]}' is not one the model knows ({', '.join(bundle.classes)}); "
            "rename its folder or leave it out"
        )
    position = {i: bundle.classes.index(name) for i, name in enumerate(catalog.classes) if name in bundle.classes}
    photos = tuple(replace(photo, label=position[photo.label]) for photo in catalog.photos)
    return replace(catalog, classes=tuple(bundle.classes), photos=photos)


def _answers(bundle: "Bundle", photos: Sequence[Photo], reporter: Reporter, flips: bool) -> Iterator[np.ndarray]:
    from fireweed.serving.predict import answer_each

    def square_of(photo: Photo) -> np.ndarray:
        return decode_square(read_bytes(photo), bundle.side_px, cast(Fit, bundle.fit))

    with reporter.bar("evaluating", len(photos)) as bar:
        for done, (_, answer) in enumerate(answer_each(bundle, photos, square_of, BATCH, flips=flips), 1):
            yield cast(np.ndarray, answer)  # a photo that cannot be read ends the evaluation by its error
            bar.update(done)


def predictions_text(predictions: "Sequence[Prediction]", form: str, top: int) -> str:
    """Return predictions as "json", "csv" or "lines" text, each with its line end."""
    import json

    from fireweed.serving.predict import as_csv_text, as_json_rows, as_lines

    if form == "json":
        return json.dumps(as_json_rows(predictions), ensure_ascii=False, allow_nan=False, indent=1) + "\n"
    if form == "csv":
        return as_csv_text(predictions)
    return "".join(f"{line}\n" for line in as_lines(predictions, top))
