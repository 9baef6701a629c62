"""The labels of an audit held against a model: one that is given, or a quick head on features of a frozen net."""

import csv
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar, cast

import numpy as np

from fireweed.api.starting import start_framework
from fireweed.data.catalog import Catalog, Photo
from fireweed.data.decode import Fit, decode_square
from fireweed.data.parallel import in_order
from fireweed.data.records import read_bytes
from fireweed.errors import DataError, ModelError, PhotoError
from fireweed.evaluation.audit_rows import Doubts
from fireweed.evaluation.doubtful import out_of_fold, rank_doubts
from fireweed.files import absolute
from fireweed.models.registry import imagenet_at_hand
from fireweed.reporting import Reporter, duration
from fireweed.text import counted

if TYPE_CHECKING:
    from fireweed.bundle import Bundle

NET, LAYER = "xception", "add_11"  # without its last block, whose features are of ImageNet's classes
IMAGENET = "imagenet"
SIDE_PX = 96  # small, since every photo is looked at, and wrong labels stand out all the same
BATCH = 32

Item = TypeVar("Item")


def find_doubts(
    catalog: Catalog, groups: np.ndarray, model: str | None, weights: str | None, reporter: Reporter
) -> Doubts:
    """Return the labels that a model doubts: by the bundle `model`, else by a head on features of a frozen net.

    Args:
        catalog: photos that can be read, with their keys.
        groups: int64 of shape (photos,), equal for twins.
        model: a run's folder or a .keras file.
        weights: a file of weights for the frozen net; "imagenet" or None takes ImageNet's.

    Raises:
        FireweedError: the model or the weights cannot be used, or no weights are at hand.
    """
    if len(catalog.classes) < 2:
        return Doubts((), "nothing, since there are not two classes", 0)
    if model is not None:
        probabilities, basis = _by_bundle(catalog, model, reporter)
    else:
        features, basis = _features(catalog, weights, reporter)
        is_read = np.isfinite(features).all(axis=1)
        probabilities = np.full((len(catalog), len(catalog.classes)), np.nan)
        if is_read.any():
            told = out_of_fold(features[is_read], catalog.labels()[is_read], groups[is_read])
            probabilities[np.flatnonzero(is_read)[:, None], np.arange(told.shape[1])] = told
    judged = int(np.isfinite(probabilities).all(axis=1).sum())
    return Doubts(rank_doubts(probabilities, catalog.labels()), basis, judged)


def check_weights(weights: str | None) -> None:
    """Make sure, before photos are read, that there are weights for the frozen net.

    Raises:
        ModelError: none are given and none are at hand.
    """
    if weights is None and not imagenet_at_hand(NET):
        raise ModelError(
            "judging labels takes a model, and none is at hand: give --model RUN, --weights FILE with Xception's "
            "weights, or --weights imagenet to fetch them"
        )


def _features(catalog: Catalog, weights: str | None, reporter: Reporter) -> tuple[np.ndarray, str]:
    """Return the features of each photo, float32 of shape (photos, width), NaN where it cannot be read any more."""
    start_framework(reporter)
    from fireweed.bundle import load_weights
    from fireweed.models.pretrained import split_frozen
    from fireweed.models.registry import build_model
    from fireweed.serving.answering import outputs

    is_file = weights not in (None, IMAGENET)
    net = build_model(NET, 2, weights="none" if is_file else "imagenet", freeze=LAYER)
    if is_file:
        load_weights(net, absolute(str(weights)))
    backbone, _ = split_frozen(net, LAYER)
    features = np.full((len(catalog), backbone.output_shape[-1]), np.nan, np.float32)

    def square_of(photo: Photo) -> np.ndarray | None:
        try:
            return decode_square(read_bytes(photo), SIDE_PX)
        except PhotoError:
            return None

    starts = range(0, len(catalog), BATCH)
    squares = in_order(square_of, catalog.photos)
    title = f"features at {SIDE_PX} px"
    for start in _telling_time(starts, len(catalog), lambda start: start + BATCH, title, reporter):
        batch = [next(squares) for _ in catalog.photos[start : start + BATCH]]
        read = [i for i, square in enumerate(batch) if square is not None]
        if read:
            images = np.stack([cast(np.ndarray, batch[i]) for i in read])
            features[start + np.array(read)] = outputs(backbone, images, BATCH).mean(axis=(1, 2))
    return (
        features,
        f"a quick classifier on features of {NET} up to {LAYER} at {SIDE_PX} px, each photo by what others teach",
    )


def _by_bundle(catalog: Catalog, model: str, reporter: Reporter) -> tuple[np.ndarray, str]:
    """Return the bundle's probabilities for the catalog's classes, NaN where it cannot judge."""
    start_framework(reporter)
    from fireweed.bundle import open_bundle
    from fireweed.serving.predict import answer_each

    bundle = open_bundle(absolute(model))
    columns = _columns(bundle, catalog, reporter)
    _warn_of_training_photos(catalog, model, reporter)
    judged = [i for i, photo in enumerate(catalog.photos) if columns[photo.label] >= 0]
    probabilities = np.full((len(catalog), len(catalog.classes)), np.nan)

    def square_of(photo: Photo) -> np.ndarray | str:
        try:
            return decode_square(read_bytes(photo), bundle.side_px, cast(Fit, bundle.fit))
        except PhotoError as error:
            return str(error)

    answers = enumerate(answer_each(bundle, [catalog.photos[i] for i in judged], square_of, BATCH))
    for done, (_, answer) in _telling_time(
        answers, len(judged), lambda item: item[0] + 1, "asking the model", reporter
    ):
        if not isinstance(answer, str):
            probabilities[judged[done]] = np.where(columns >= 0, answer[np.maximum(columns, 0)], 0.0)
    return probabilities, f"the model {model}"


def _columns(bundle: "Bundle", catalog: Catalog, reporter: Reporter) -> np.ndarray:
    """Return which of the model's answers each class of the catalog is, -1 for those it does not know.

    Raises:
        DataError: it knows none of them.
    """
    columns = np.array([bundle.classes.index(name) if name in bundle.classes else -1 for name in catalog.classes])
    unknown = [name for name, column in zip(catalog.classes, columns, strict=True) if column < 0]
    if len(unknown) == len(catalog.classes):
        raise DataError(
            f"the model knows none of these classes ({', '.join(catalog.classes[:5])}), only "
            f"{', '.join(bundle.classes[:5])}; give one that was trained on such photos"
        )
    if unknown:
        reporter.warn(f"the model does not know {', '.join(unknown[:5])}: the labels of these photos are not judged")
    return columns


def _warn_of_training_photos(catalog: Catalog, model: str, reporter: Reporter) -> None:
    path = absolute(model)
    rows = (path if path.is_dir() else path.parent) / "photos.csv"
    try:
        with open(rows, encoding="utf-8", newline="") as file:
            trained_on = {row.get("key") for row in csv.DictReader(file) if row.get("part") == "train"}
    except (OSError, ValueError, csv.Error):
        reporter.warn("whether the model was trained on these photos is not known (no photos.csv beside it): if so, it "
                      "may have learned their wrong labels")  # fmt: skip
        return
    known = sum(photo.key in trained_on for photo in catalog.photos)
    if known:
        reporter.warn(
            f"the model was trained on {known:,} of these {counted(len(catalog), 'photo')} and may have learned their "
            "wrong labels: fewer of them are found; --weights FILE judges each photo by others"
        )


def _telling_time(
    items: Iterable[Item], total: int, done_after: Callable[[Item], int], title: str, reporter: Reporter
) -> Iterator[Item]:
    """Yield the items, saying once, when a second batch is done, how long all will take: the first one compiles."""
    started = 0.0
    is_said = False
    with reporter.bar(title, total) as bar:
        for item in items:
            yield item
            done = min(total, done_after(item))
            bar.update(done)
            if not started and done >= BATCH:
                started = time.monotonic()
            elif started and not is_said and done >= 2 * BATCH and total > 2 * BATCH:
                is_said = True
                seconds = (time.monotonic() - started) / (done - BATCH) * (total - done)
                reporter.say(f"{title}: {counted(total, 'photo')}, about {duration(seconds)}")
