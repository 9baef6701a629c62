"""The training of a frozen net: its backbone computes features of the photos once, and the head learns from them."""

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fireweed.api.building import TrainingParts
from fireweed.api.feature_room import check_room
from fireweed.api.timing import speed_name
from fireweed.data.feature_batches import FeatureBatches, evaluation_features
from fireweed.data.feature_file import FeatureFile
from fireweed.devices import DeviceChoice
from fireweed.errors import FireweedError, RunError, out_of_memory
from fireweed.files import explained, write_text
from fireweed.models.pretrained import split_frozen
from fireweed.recipe import Recipe
from fireweed.remembered import remember
from fireweed.reporting import Bar, Reporter, duration
from fireweed.resolving import view_of_epochs
from fireweed.run import RunFolder
from fireweed.serving.answering import outputs
from fireweed.text import counted
from fireweed.training.health import FailedTrainingError
from fireweed.training.train import Outcome, TrainingInput, train

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class _Pass:
    """Features that are wanted of one pass over photos.

    batches: (first, last) -> batches of photos of these blocks of the file.
    """

    file: FeatureFile
    side: int
    batches: Callable[[int, int], Any]


def train_head(
    model: "keras.Model", recipe: Recipe, parts: TrainingParts, folder: RunFolder, choice: DeviceChoice,
    reporter: Reporter, saved: Callable[[], None] = lambda: None, checkpoint_minutes: float | None = None,
) -> Outcome:  # fmt: skip
    """Train the head of a frozen net in place by a resolved recipe, going on from what is there; as `train` does.

    The features lie in the run's folder until the run has finished.

    Raises:
        RunError: as `train` does; or the backbone is not the one that the run began with.
        FireweedError: the disk has too little room, or a photo cannot be read any more.
    """
    backbone, head = split_frozen(model, recipe.model.freeze)
    digest = _digest(backbone)
    _check_backbone(folder, recipe, digest)
    passes, validation = _passes(backbone, digest, recipe, parts, folder.file("features"))
    wanted = [*passes.values(), validation]
    missing = [one.file.missing() for one in wanted]
    check_room([one.file for one in wanted], missing, folder.file("features"), reporter)
    rates = _compute(wanted, missing, backbone, parts, reporter)
    for side, rate in rates.items():
        remember(speed_name(recipe, side, choice), {"forward": rate})
    files = {epoch: one.file for epoch, one in passes.items()}
    batches = FeatureBatches(parts.training, parts.plan, files, view_of_epochs(recipe.training))
    data = TrainingInput(
        photos=parts.photos,
        steps=parts.steps,
        batches=lambda side, first, last: batches.training(first, last),
        validation=evaluation_features(parts.validation, validation.file),
        failure=parts.failure,
        unchanged=lambda number: (outputs(backbone, photos, len(photos)) for photos in parts.unchanged(number)),
        chance=parts.chance,
        chance_loss=parts.chance_loss,
        validated=len(parts.validation_labels),
    )
    try:
        outcome = train(head, recipe, data, folder.path, reporter, saved=saved, checkpoint_minutes=checkpoint_minutes)
    except FailedTrainingError as error:
        error.outcome = error.outcome and replace(error.outcome, model=model)
        raise
    return replace(outcome, model=model)


def _digest(backbone: "keras.Model") -> str:
    """Return what tells a backbone's weights from others."""
    digest = hashlib.sha256()
    for value in backbone.get_weights():
        digest.update(value.tobytes())
    return digest.hexdigest()


def _check_backbone(folder: RunFolder, recipe: Recipe, digest: str) -> None:
    """Make sure that a head which goes on does so on its own backbone, which no checkpoint holds.

    Raises:
        RunError: the run began with another one.
    """
    path = folder.file("checkpoints") / "backbone.sha256"
    if not path.is_file():
        _make(path.parent)
        write_text(path, digest + "\n")
    elif path.read_text(encoding="utf-8").strip() != digest:
        weights = recipe.model.weights
        kinds = {"none": "random weights of another backend or version", "imagenet": "other ImageNet weights"}
        change = kinds.get(weights, f"{weights} was changed")
        raise RunError(
            f"{folder.path} began with another backbone than {recipe.model.name} has now "
            f"({change}); bring that one back, or train into another folder (--out)"
        )


def _make(folder: Path) -> None:
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise explained(error, folder) from error


def _passes(
    backbone: "keras.Model", digest: str, recipe: Recipe, parts: TrainingParts, folder: Path
) -> tuple[dict[int, _Pass], _Pass]:
    """Return what there are to be features of: the passes of the views by their epoch, and that of validation."""
    _make(folder)
    dtype = backbone.compute_dtype
    mixes = parts.plan.augment.mixes
    kind = f"{dtype} {digest}" + (" unmixed" if mixes else "")  # older versions kept features of mixed photos
    batch, steps = parts.training.batch, parts.steps
    sides = recipe.side_of_epochs

    @cache  # Keras goes through the whole net for it
    def shape(side: int) -> tuple[int, ...]:
        return tuple(backbone.compute_output_shape((1, side, side, 3))[1:])

    def view(epoch: int) -> _Pass:
        side = sides[epoch]
        path = folder / f"view-{epoch + 1:06d}-{side}px.bin"
        file = FeatureFile(path, f"{kind} epoch {epoch} {side} px", parts.photos, batch, shape(side), dtype)
        first_step = epoch * steps
        return _Pass(
            file, side,
            lambda first, last: parts.training.training(parts.photo_plan, side, first_step + first, first_step + last),
        )  # fmt: skip

    side = recipe.evaluation_side
    path = folder / f"validation-{side}px.bin"
    photos = len(parts.validation_labels)
    file = FeatureFile(path, f"{kind} validation {side} px", photos, batch, shape(side), dtype)
    views = {epoch: view(epoch) for epoch in dict.fromkeys(view_of_epochs(recipe.training))}
    return views, _Pass(file, side, parts.validation.evaluation)


def _compute(
    passes: list[_Pass], missing: list[list[int]], backbone: "keras.Model", parts: TrainingParts, reporter: Reporter
) -> dict[int, float]:
    """Compute the features that are missing; return the photos/s at each side, where there were enough to say."""
    total = sum(one.file.photos for one in passes)
    if not any(missing):
        reporter.say(f"features: those of all {total:,} photos are there")
        return {}
    work = sum(_photos(one.file, number) * one.side**2 for one, blocks in zip(passes, missing, strict=True)
               for number in blocks)  # fmt: skip
    lacking = sum(_photos(one.file, number) for one, blocks in zip(passes, missing, strict=True) for number in blocks)
    began = time.monotonic()
    with reporter.bar("features", total) as bar:
        progress = _Progress(bar, total - lacking, work)
        try:
            for one, blocks in zip(passes, missing, strict=True):
                for number, images in _images(one, blocks):
                    one.file.write(number, outputs(backbone, np.asarray(images), one.file.batch))
                    progress.add(_photos(one.file, number), one.side)
        except FireweedError:
            raise
        except Exception as error:
            raise parts.failure() or out_of_memory(error) or error from error
    seconds = time.monotonic() - began
    reporter.say(f"features: {counted(lacking, 'photo')} in {duration(seconds)}, {_rate(lacking / seconds)} images/s")
    return progress.rates()


def _images(one: _Pass, blocks: list[int]) -> Iterator[tuple[int, Any]]:
    """Yield the blocks' numbers with their photos; successive blocks come from one data set."""
    starts = [0, *(place + 1 for place, (a, b) in enumerate(pairwise(blocks)) if b != a + 1), len(blocks)]
    for start, end in pairwise(starts):
        if start < end:
            first, last = blocks[start], blocks[end - 1] + 1
            for number, (images, _, _) in zip(range(first, last), one.batches(first, last), strict=True):
                yield number, images


def _photos(file: FeatureFile, number: int) -> int:
    """Return the photos in a block; the last one may have fewer than the others."""
    return min(file.batch, file.photos - number * file.batch)


def _rate(images_per_second: float) -> str:
    return f"{images_per_second:,.0f}" if images_per_second >= 10 else f"{images_per_second:.1f}"


class _Progress:
    """What is shown while features are computed. A side's first block, which compiles, is not counted in its rate."""

    def __init__(self, bar: Bar, done: int, work: float) -> None:
        self._bar, self._done, self._left = bar, done, work
        self._seconds: dict[int, float] = {}
        self._photos: dict[int, int] = {}
        self._last = time.monotonic()

    def add(self, photos: int, side: int) -> None:
        """Count a block that was just written; what is left is counted in pixels, priced by those so far."""
        now = time.monotonic()
        if side in self._seconds:
            self._seconds[side] += now - self._last
            self._photos[side] += photos
        else:
            self._seconds[side], self._photos[side] = 0.0, 0
        self._last = now
        self._done += photos
        self._left -= photos * side**2
        timed = sum(count * side**2 for side, count in self._photos.items())
        words = "photos"
        if timed:
            seconds = sum(self._seconds.values())
            rate = _rate(sum(self._photos.values()) / seconds)
            words += f", {rate} images/s, {duration(self._left * seconds / timed)} left"
        self._bar.update(self._done, words)

    def rates(self) -> dict[int, float]:
        """Return the photos/s at each side of which more than one block was computed."""
        return {side: count / self._seconds[side] for side, count in self._photos.items() if self._seconds[side]}
