"""From the recipe as asked to the recipe as carried out: what depends on how many photos there are."""

import dataclasses
import math
import statistics
from collections.abc import Sequence

import numpy as np

from fireweed.data.changes import AugmentSettings as PlannedChanges
from fireweed.recipe import Recipe, with_epochs
from fireweed.settings import AugmentSettings, Phase, ScheduleSettings, TrainingSettings
from fireweed.text import counted

UNBALANCED = 3.0  # photos of the largest class over those of the smallest, from which on "auto" weighs classes
RATED_BATCH = 32  # for which the recipes' rates are meant; for smaller ones of few photos too
MOST_EPOCHS_OF_FEW = 200  # that few photos make of the recipe's: seen so often, they are learned by heart
FEW_OF_A_CLASS = 40  # photos; with half as many the recipe few is better than xception (docs/accuracy.md)
SMALL_CROP = 0.4  # of the area; crops below it may miss what a photo is about
LARGEST_WEIGHT = 10.0  # a class of a few photos must not shake the training each time one of them comes


@dataclasses.dataclass(frozen=True)
class Resolved:
    """A recipe whose every number is decided, and sentences that say what was chosen and why.

    class_weights: factor of each class in the loss, or None.
    """

    recipe: Recipe
    class_weights: tuple[float, ...] | None
    notes: tuple[str, ...]


def resolve(
    asked: Recipe, counts: Sequence[int], default_batch: int, has_flatten: bool = False, precision: str = "auto",
    by_clock: bool = False, shared_batch: int = 0,
) -> Resolved:  # fmt: skip
    """Decide batch, phases and class weights for a training part with `counts` photos of each class.

    default_batch:  the batch that suits so many photos.
    shared_batch:   the one that suits them on several devices; 0: there is one.
    precision:      what the device computes in.
    by_clock:       a time decides how long it goes on; the epochs are only what suits the photos, and not said.
    has_flatten:    the net has weights for each place of the picture, so all epochs go to the last phase's side.
    """
    notes: list[str] = []
    photos = int(sum(counts))
    training = asked.training
    batch = _batch(training, photos, shared_batch or default_batch, notes)
    schedule = training.schedule
    usual = min(default_batch, RATED_BATCH)
    if not training.batch and batch > usual:
        schedule = _for_larger_batch(training, batch, usual, notes)
    phases = _phases(training, math.ceil(photos / batch), has_flatten, by_clock, notes)
    notes += _changes_note(asked.augment)
    notes += _few_note(asked, counts)
    weights = class_weights(training.class_weights, counts)
    if weights and training.class_weights == "auto":
        notes.append(
            f"classes are unbalanced ({min(counts)} to {max(counts)} photos), so the loss weighs rare ones more "
            f"(x{min(weights):.2g} to x{max(weights):.2g}); --set training.class_weights=none turns it off"
        )
    if has_flatten and training.evaluation_scale != 1:
        notes.append(
            "this net has weights for each place, so it is evaluated and used at the side of its training: "
            f"evaluation_scale {training.evaluation_scale:g} is left out"
        )
    decided = {"batch": batch, "phases": phases, "schedule": schedule, "epochs": None, "side": None,
               "evaluation_scale": 1.0 if has_flatten else training.evaluation_scale,
               "steps_at_least": 0, "steps_at_most": 0, "class_weights": "balanced" if weights else "none",
               "precision": precision}  # fmt: skip
    return Resolved(asked.with_training(**decided), weights, tuple(notes))


def class_weights(kind: str, counts: Sequence[int]) -> tuple[float, ...] | None:
    """Return a factor for each class, photos / (classes x photos of the class), at most 10; None for no weights."""
    present = [count for count in counts if count]
    if kind == "none" or len(present) < 2 or (kind == "auto" and max(present) < UNBALANCED * min(present)):
        return None
    mean = sum(present) / len(present)
    return tuple(min(mean / count, LARGEST_WEIGHT) if count else 1.0 for count in counts)


def loss_of_chance(
    counts: Sequence[int] | np.ndarray, class_weights: Sequence[float] | None, smoothing: float, mixing: float = 0.0
) -> float:  # fmt: skip
    """Return the least loss of answers that are the same for all photos.

    counts:        photos of each class that are trained on.
    class_weights: factor of each class in the loss, or None.
    smoothing:     of the labels, 0..1.
    mixing:        as `share_of_partners`; where labels and weights are both mixed, rare classes pull less.
    """
    shares = np.asarray(counts, np.float64) / max(sum(counts), 1)
    weights = shares if class_weights is None else shares * np.asarray(class_weights, np.float64)
    pulls = (1 - mixing) * weights + mixing * weights.sum() * shares
    targets = (1 - smoothing) * pulls + smoothing * pulls.sum() / len(pulls)
    given = targets[targets > 0]
    return float(-np.sum(given * np.log(given / weights.sum())))


def share_of_partners(augment: AugmentSettings) -> float:
    """Return how often, of two draws of one photo or the other of a mixed pair, they are not the same, on average.

    That is the mean of 2 m (1 - m) where m, the share of the one, is of Beta(a, a).
    """
    found = [a / (2 * a + 1) for a in (augment.mixup, augment.cutmix) if a > 0]
    return sum(found) / len(found) if found else 0.0


def norm_photos(training: TrainingSettings, photos: int) -> int:
    """Return of how many of so many training photos norm statistics are computed anew at the end; 0: not at all.

    Frozen norms keep what they have. So does an epoch that was picked on validation: other statistics would make
    another net of it than the one that was judged.
    """
    return 0 if training.keeps_best or training.norms == "frozen" else min(training.norm_photos, photos)


def validate_every(training: TrainingSettings, photos: int, validated: int) -> int:
    """Return how many epochs lie between two validations, so that these see no more photos than training does.

    It matters where few photos are trained on, for many epochs, and many kept for validation. Where an epoch is to be
    picked, all are validated.

    photos: trained on in an epoch. validated: validation photos.
    """
    return 1 if training.keeps_best else max(1, -(-validated // max(photos, 1)))


def view_of_epochs(training: TrainingSettings) -> list[int]:
    """Return for each epoch of a frozen net, counted from 0, the one whose photos give its features.

    In each phase the first epochs have their own, as many as there are views; later ones take these in turn.
    """
    views: list[int] = []
    for phase in training.phases:
        first, count = len(views), min(training.views or phase.epochs, phase.epochs)
        views += [first + epoch % count for epoch in range(phase.epochs)]
    return views


def planned_changes(settings: AugmentSettings) -> PlannedChanges:
    """Return the recipe's augmentation as the plan takes it."""
    return PlannedChanges(
        flip=settings.flip,
        saturation=None if settings.saturation == (1.0, 1.0) else settings.saturation,
        brightness=settings.brightness,
        contrast=settings.contrast,
        crop=None if settings.crop == (1.0, 1.0) else settings.crop,
        cutout=settings.cutout,
        mixup=settings.mixup,
        cutmix=settings.cutmix,
    )


def cached_side(recipe: Recipe) -> int:
    """Return the side in pixels at which training photos are decoded: the largest trained on, and a margin for crops.

    Where nothing is cropped the margin would only blur the photos.
    """
    largest = max(phase.side for phase in recipe.training.phases)
    return largest if recipe.augment.crop == (1.0, 1.0) else round(largest * recipe.data.margin)


def _batch(training: TrainingSettings, photos: int, default_batch: int, notes: list[str]) -> int:
    if not training.batch:
        if default_batch < 32:
            notes.append(f"batch {default_batch}, since there are only {photos} photos to train on")
        return default_batch
    if training.batch > photos:
        notes.append(f"batch {training.batch} is more than the {photos} photos to train on; {photos} is used")
        return photos
    return training.batch


def rate_factor(optimizer: str, ratio: float) -> float:
    """Return how many times as large a learning rate suits a batch that is `ratio` times as large.

    The gradient of a larger batch is less noisy, so that a larger step suits it: in proportion to the batch where the
    step is in proportion to the gradient (Goyal et al. 2017, https://arxiv.org/abs/1706.02677), with its root where the
    optimizer divides by the gradient's size (Malladi et al. 2022, https://arxiv.org/abs/2205.10287).
    """
    return ratio if optimizer in ("sgd", "lars") else math.sqrt(ratio)


def _for_larger_batch(training: TrainingSettings, batch: int, usual: int, notes: list[str]) -> ScheduleSettings:
    """Return the schedule for a batch larger than the one that the recipe's rates are meant for."""
    factor = rate_factor(training.optimizer, batch / usual)
    notes.append(
        f"batch {batch}, which suits so many photos and these devices; the learning rate is {factor:.3g} times that "
        f"for batch {usual} (--set training.batch={usual} leaves both)"
    )
    plan = training.schedule
    return plan.model_copy(update={"peak": plan.peak * factor, "floor": plan.floor * factor})


def _phases(
    training: TrainingSettings, steps: int, has_flatten: bool, by_clock: bool, notes: list[str]
) -> tuple[Phase, ...]:
    phases = training.phases
    total = sum(phase.epochs for phase in phases)
    if training.side is not None:
        phases = (Phase(side=training.side, epochs=total),)
    elif has_flatten and len(phases) > 1:
        phases = (Phase(side=phases[-1].side, epochs=total),)
        notes.append(f"this net has weights for each place, so all epochs are at {phases[0].side} px")
    if training.epochs is not None:
        return with_epochs(phases, training.epochs)
    wanted = total
    if training.steps_at_least and total * steps < training.steps_at_least:
        wanted = max(total, min(math.ceil(training.steps_at_least / steps), MOST_EPOCHS_OF_FEW))
        why = "few photos"
    elif training.steps_at_most and total * steps > training.steps_at_most:
        wanted = min(total, max(len(phases), training.steps_at_most // steps))  # so that each side keeps an epoch
        why = "many photos"
    if wanted != total and not by_clock:
        notes.append(
            f"{counted(wanted, 'epoch')} instead of {total}, since there are {why}: {wanted * steps:,} steps in all"
        )
    return with_epochs(phases, wanted)


def _few_note(asked: Recipe, counts: Sequence[int]) -> list[str]:
    """Return a sentence that names the recipe few where all of Xception is tuned on some dozens of photos a class."""
    model, usual = asked.model, statistics.median([count for count in counts if count] or [0])
    is_tuned_whole = model.name == "xception" and model.weights != "none" and not model.freeze
    if not is_tuned_whole or asked.training.norms == "frozen" or usual > FEW_OF_A_CLASS:
        return []
    return [f"for about {usual:.0f} photos of a class --recipe few is made: the norms stay as the net came with them"]


def _changes_note(augment: AugmentSettings) -> list[str]:
    """Return a sentence on what would hide or turn around what matters in some photos, and how to do without."""
    changes, matters, remedies = [], [], []
    if augment.flip:
        changes.append("mirrored")
        matters.append("writing or left and right")
        remedies.append("--no-flip")
    if augment.crop[0] < SMALL_CROP:
        changes.append(f"cut to as little as {augment.crop[0]:.0%} of their area")
        matters.append("small things")
        remedies.append("--set augment.crop=[0.6,1]")
    if not changes:
        return []
    return [
        f"photos are {' and '.join(changes)} at random; where {' or '.join(matters)} decide, add {' '.join(remedies)}"
    ]
