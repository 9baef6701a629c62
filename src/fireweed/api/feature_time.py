"""How long a frozen net takes: the features of its views, then the head's epochs; and what fits a time."""

import time
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from fireweed.api.budget import CHECKPOINT_SECONDS, counted_minutes, scaled, too_short
from fireweed.api.timing import (
    GROUNDS,
    PASSES,
    guessed_multiply_adds,
    guessed_rate,
    head_multiply_adds,
    known_figures,
    nearest_side,
    rate_by_pixels,
    seconds_to_finish,
    speed_name,
)
from fireweed.data.catalog import Catalog
from fireweed.devices import DeviceChoice
from fireweed.devices.backends import computes_on_cpu
from fireweed.models.registry import build_model
from fireweed.recipe import Recipe, with_epochs
from fireweed.remembered import remember
from fireweed.reporting import Reporter
from fireweed.resolving import Resolved
from fireweed.text import counted

STEP_SECONDS = 0.004  # of the head, where nothing is remembered, beside its work: the framework's own time
HEAD_SHARE = 0.5  # of a given time that the head's epochs may take; as a rule they take far less
NEXT_SCALE = 0.75  # of the sides that are tried where none of the larger ones fit
FEW_PHOTOS = 8

Timer = Callable[[int], tuple[float, float]]  # side -> images/s of the backbone, and the seconds of its first batch


def expected_head_seconds(
    recipe: Recipe, classes: int, photos: int, validated: int, choice: DeviceChoice
) -> tuple[float, str] | None:
    """Return the seconds that a frozen net will take by a resolved recipe, and what that rests on.

    photos, validated: how many there are to train on and to validate on.

    None where nothing says it: the CPU's matrix rate tells nothing of an accelerator.
    """
    rates, is_guess = {}, False
    for side in _sides(recipe):
        rate = known_figures(recipe, side, choice).get("forward")
        if rate is None:
            if choice.kind != "cpu":
                return None
            rate, is_guess = guessed_rate(recipe, classes, side, choice, passes=1), True
        rates[side] = rate
    seconds = feature_seconds(recipe, photos, validated, rates.__getitem__)
    known = _known_head_rate(recipe, choice)
    head = recipe.total_epochs * _epoch_seconds(photos, known or _guessed_head_rate(recipe, classes, choice))
    return seconds + head, GROUNDS[2 if is_guess or not known else 0]


def feature_seconds(recipe: Recipe, photos: int, validated: int, rate: Callable[[int], float]) -> float:
    """Return the seconds that the features of all views and of validation take; rate: images/s at a side."""
    most = recipe.training.views or recipe.total_epochs
    views = sum(min(most, phase.epochs) * photos / rate(phase.side) for phase in recipe.training.phases)
    return views + validated / rate(recipe.evaluation_side)


def fit_views_to_minutes(
    resolved: Resolved, catalog: Catalog, minutes: float, started: float, keeps_sides: bool, choice: DeviceChoice,
    reporter: Reporter, most_views: int = 0, timer: Timer | None = None,
) -> Resolved:  # fmt: skip
    """Return the recipe of a frozen net with as many views as end `minutes` after `started` (by time.monotonic()).

    The head's epochs stay unless they alone would take half of the time. Sides shrink only where not even one view
    fits, since features of small photos lose more than further views give; with `keeps_sides` they stay.

    most_views: no more than so many; 0: as many as there are epochs.
    timer: times the backbone; None: here and now, and so the head, where no earlier run tells how fast it is.

    Raises:
        RecipeError: not even one view at the smallest side fits.
    """
    photos, validated = len(catalog.part("train")), len(catalog.part("validation"))
    classes = len(catalog.classes)
    head_rate = _known_head_rate(resolved.recipe, choice)
    if head_rate is None and timer is None:
        head_rate = _measured_head_rate(resolved.recipe, classes, choice)
    timer = timer or forward_timer(resolved.recipe, classes, choice)

    def finishing(recipe: Recipe, forward: float) -> float:
        return seconds_to_finish(recipe, classes, validated, forward, choice)

    asked = resolved.recipe.with_training(views=most_views)
    head_rate = head_rate or _guessed_head_rate(asked, classes, choice)
    room = _Room(started + minutes * 60, photos, validated, timer, finishing, head_rate)
    candidates = [asked] if keeps_sides else _smaller_and_smaller(asked)
    recipe = next((one for one in candidates if room.fitted(one) and room.fitted(one, is_timed=True)), candidates[-1])
    fitted = room.fitted(recipe)
    if fitted is None:
        purpose = f"for one view of {photos + validated:,} photos by {recipe.model.name}"
        raise too_short(minutes, purpose, minutes * 60 + room.lacking_seconds(recipe))
    phases = fitted.training.phases
    reporter.say(
        f"{counted_minutes(minutes)}: {counted(fitted.training.views, 'view')} of {photos:,} photos, "
        f"{counted(fitted.total_epochs, 'epoch')} of the head, "
        + ", ".join(f"{p.epochs} at {p.side} px" for p in phases)
        + "; measured " + ", ".join(f"{room.rate(p.side):.0f} images/s at {p.side} px" for p in phases)
    )  # fmt: skip
    return replace(resolved, recipe=fitted)


class _Room:
    """The time that a training has, and what fits into it.

    Timing takes some of that time itself. So a side that was not timed yet is priced by its pixels from the nearest one
    that was, and only one that seems to fit is timed.

    ends_at:   when the command should end, by time.monotonic().
    finishing: (recipe, seconds a photo) -> seconds from the head's last epoch to that end.
    head_rate: images/s of the head.
    """

    def __init__(
        self, ends_at: float, photos: int, validated: int, timer: Timer, finishing: Callable[[Recipe, float], float],
        head_rate: float,
    ) -> None:  # fmt: skip
        self._ends_at, self._photos, self._validated, self._timer = ends_at, photos, validated, timer
        self._finishing = finishing
        self._epoch_seconds = _epoch_seconds(photos, head_rate)
        self._timed: dict[int, float] = {}
        self._first: dict[int, float] = {}

    def rate(self, side: int) -> float:
        """Return the images/s of the backbone at a side."""
        if not self._timed:
            self._time(side)
        return rate_by_pixels(self._timed, side)

    def fitted(self, recipe: Recipe, is_timed: bool = False) -> Recipe | None:
        """Return the recipe with the epochs and views that fit, None where no view does; is_timed: time its sides."""
        for phase in recipe.training.phases if is_timed else ():
            if phase.side not in self._timed:
                self._time(phase.side)
        shorter, seconds = self._shorter(recipe, self._left(recipe))
        most = min(recipe.training.views or recipe.total_epochs, max(p.epochs for p in shorter.training.phases))
        views = bisect_right(range(1, most + 1), seconds, key=lambda views: self._features(shorter, views))
        return shorter.with_training(views=views) if views else None

    def lacking_seconds(self, recipe: Recipe) -> float:
        """Return the seconds beyond those there are that one view surely fits into."""
        view, head = self._features(recipe, 1), self._epoch_seconds
        # with more time the head has more epochs, up to its share of the time
        enough = max(view + head, min(view / (1 - HEAD_SHARE), view + recipe.total_epochs * head))
        return enough - self._left(recipe)

    def _left(self, recipe: Recipe) -> float:
        """Return the seconds that there are for features and epochs."""
        finishing = self._finishing(recipe, 1 / self.rate(recipe.evaluation_side))
        compiling = sum(self._first[nearest_side(self._timed, side)] for side in _sides(recipe))
        return self._ends_at - finishing - time.monotonic() - compiling

    def _shorter(self, recipe: Recipe, left: float) -> tuple[Recipe, float]:
        """Return the recipe with no more epochs than there is time for, and the seconds left for features."""
        epochs = max(1, min(recipe.total_epochs, int(HEAD_SHARE * left / self._epoch_seconds)))
        phases = with_epochs(recipe.training.phases, epochs)
        return recipe.with_training(phases=phases), left - epochs * self._epoch_seconds

    def _features(self, recipe: Recipe, views: int) -> float:
        return feature_seconds(recipe.with_training(views=views), self._photos, self._validated, self.rate)

    def _time(self, side: int) -> None:
        self._timed[side], self._first[side] = self._timer(side)


def forward_timer(recipe: Recipe, classes: int, choice: DeviceChoice) -> Timer:
    """Return a function that times the backbone on noise at a side, with random weights.

    It returns images/s, which are remembered for later estimates, and the seconds that the first batch took.
    """
    from fireweed.models.pretrained import split_frozen
    from fireweed.serving.answering import outputs
    from fireweed.training.stepping import median_seconds

    # a CPU is as fast on a few photos, an accelerator is not
    batch = min(recipe.training.batch, FEW_PHOTOS) if computes_on_cpu() else recipe.training.batch
    freeze = recipe.model.freeze
    backbone, _ = split_frozen(build_model(recipe.model.name, classes, freeze=freeze), freeze)

    def measure(side: int) -> tuple[float, float]:
        images = np.random.default_rng(0).integers(0, 255, (batch, side, side, 3), np.uint8)

        def seconds() -> float:
            began = time.perf_counter()
            outputs(backbone, images, batch)
            return time.perf_counter() - began

        first = seconds()
        rate = batch / median_seconds(seconds, 2, 3, 2.0)
        remember(speed_name(recipe, side, choice), {"forward": rate})
        return rate, first

    return measure


def _epoch_seconds(photos: int, head_rate: float) -> float:
    return photos / head_rate + CHECKPOINT_SECONDS


def _known_head_rate(recipe: Recipe, choice: DeviceChoice) -> float | None:
    """Return the least images/s that the head had at the recipe's sides in earlier runs; None if there were none."""
    known = (known_figures(recipe, phase.side, choice).get("head") for phase in recipe.training.phases)
    return min((rate for rate in known if rate), default=None)


def _measured_head_rate(recipe: Recipe, classes: int, choice: DeviceChoice) -> float:
    """Time the head's steps on noise in the place of features, and remember the rate."""
    from fireweed.training.stepping import time_steps

    side = max(phase.side for phase in recipe.training.phases)
    rate = time_steps(recipe, classes, side, recipe.training.compile).images_per_second
    remember(speed_name(recipe, side, choice), {"head": rate})
    return rate


def _guessed_head_rate(recipe: Recipe, classes: int, choice: DeviceChoice) -> float:
    """Return the images/s of the head as its multiply-adds and the CPU's matrix rate let expect."""
    side = max(phase.side for phase in recipe.training.phases)
    work = PASSES * head_multiply_adds(recipe.model.name, classes, side, recipe.model.freeze)
    return 1 / (STEP_SECONDS / recipe.training.batch + work / guessed_multiply_adds(recipe, choice))


def _sides(recipe: Recipe) -> set[int]:
    """Return the sides of the photos that the backbone is given."""
    return {phase.side for phase in recipe.training.phases} | {recipe.evaluation_side}


def _smaller_and_smaller(recipe: Recipe) -> list[Recipe]:
    """Return the recipe, and it with smaller and smaller sides, as far as the net can have them in evaluation too."""
    recipes, scale = [recipe], 1.0
    smallest = scaled(recipe, 0.0)
    while recipes[-1].training.phases != smallest:
        scale *= NEXT_SCALE
        recipes.append(recipe.with_training(phases=scaled(recipe, scale)))
    return recipes
