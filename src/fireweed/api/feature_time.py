"""How long a frozen net takes: the backbone's looks at the photos, then the head's epochs; and what fits a time."""

import time
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from fireweed.api.budget import EPOCH_SECONDS, MOST_EPOCHS, OVERHEAD_SECONDS, SIDE_STEP_PX
from fireweed.api.timing import GROUNDS, guessed_rate, known_figures, speed_name
from fireweed.data.catalog import Catalog
from fireweed.devices import DeviceChoice
from fireweed.errors import RecipeError
from fireweed.models.registry import build_model, find_entry
from fireweed.recipe import Phase, Recipe, with_epochs
from fireweed.remembered import remember
from fireweed.reporting import Reporter
from fireweed.resolving import Resolved
from fireweed.text import counted

STEP_SECONDS = 0.004  # of the head, where nothing is remembered: next to no work, the framework's own time
HEAD_SHARE = 0.5  # of a given time that the head's epochs may take; as a rule they take far less
LEAST_SIDE_PX = 48


def expected_head_seconds(
    recipe: Recipe, classes: int, photos: int, validated: int, choice: DeviceChoice
) -> tuple[float, str] | None:
    """Return the seconds that a frozen net will take by a resolved recipe, and what that rests on.

    photos, validated: how many there are to train on and to validate on.

    None where nothing says it: the CPU's matrix rate tells nothing of an accelerator.
    """
    rates, is_guess = {}, False
    for side in {phase.side for phase in recipe.training.phases}:
        rate = known_figures(recipe, side, choice).get("forward")
        if rate is None:
            if choice.kind != "cpu":
                return None
            rate, is_guess = guessed_rate(recipe, classes, side, passes=1), True
        rates[side] = rate
    head = known_figures(recipe, recipe.evaluation_side, choice).get("head", recipe.training.batch / STEP_SECONDS)
    seconds = looking_seconds(recipe, photos, validated, rates) + recipe.total_epochs * _epoch_seconds(photos, head)
    return seconds, GROUNDS[2 if is_guess else 0]


def looking_seconds(recipe: Recipe, photos: int, validated: int, rates: dict[int, float]) -> float:
    """Return the seconds for which the backbone looks at photos; rates: images/s at each side."""
    most = recipe.training.views or MOST_EPOCHS
    looks = sum(min(most, phase.epochs) * photos / rates[phase.side] for phase in recipe.training.phases)
    return looks + validated / rates[recipe.evaluation_side]


def fit_views_to_minutes(
    resolved: Resolved, catalog: Catalog, minutes: float, started: float, keeps_sides: bool, choice: DeviceChoice,
    reporter: Reporter, timer: Callable[[int], tuple[float, float]] | None = None,
) -> Resolved:  # fmt: skip
    """Return the recipe of a frozen net with as many views as end `minutes` after `started` (by time.monotonic()).

    The head's epochs stay unless they alone would take half of the time. Sides shrink only where not even one view
    fits, since features of small photos lose more than further views give; with `keeps_sides` they stay.

    timer: side -> images/s of the backbone and the seconds that its first batch took; None times it here.

    Raises:
        RecipeError: not even one view at the smallest side fits.
    """
    timer = timer or forward_timer(resolved.recipe, len(catalog.classes), choice)
    photos, validated = len(catalog.part("train")), len(catalog.part("validation"))
    rates: dict[int, float] = {}
    scale, first_seconds = 1.0, 0.0
    while True:
        recipe = _shrunk(resolved.recipe, scale)
        for side in {phase.side for phase in recipe.training.phases} - rates.keys():
            rates[side], seconds = timer(side)
            first_seconds = max(first_seconds, seconds)
        left = minutes * 60 - OVERHEAD_SECONDS - (time.monotonic() - started) - first_seconds
        epoch_seconds = _epoch_seconds(photos, recipe.training.batch / STEP_SECONDS)
        epochs = max(1, min(recipe.total_epochs, int(HEAD_SHARE * left / epoch_seconds)))
        recipe = _with(recipe, phases=with_epochs(recipe.training.phases, epochs))
        left -= epochs * epoch_seconds
        views = _most_views(recipe, left, photos, validated, rates)
        smaller = _shrunk(resolved.recipe, scale * 0.75)
        if views or keeps_sides or smaller == _shrunk(resolved.recipe, scale):
            break
        scale *= 0.75
    if not views:
        needed = looking_seconds(_with(recipe, views=1), photos, validated, rates)
        raise RecipeError(
            f"{minutes:g} minutes are too short for one look of {recipe.model.name} at {photos + validated:,} photos "
            f"here; give at least {(minutes * 60 - left + needed) / 60:.1f}, or choose a smaller net"
        )
    recipe = _with(recipe, views=views)
    reporter.say(
        f"{minutes:g} minutes: {counted(views, 'view')} of {photos:,} photos, {counted(epochs, 'epoch')} of the head, "
        + ", ".join(f"{p.epochs} at {p.side} px" for p in recipe.training.phases)
        + "; measured " + ", ".join(f"{rates[p.side]:.0f} images/s at {p.side} px" for p in recipe.training.phases)
    )  # fmt: skip
    return replace(resolved, recipe=recipe)


def forward_timer(recipe: Recipe, classes: int, choice: DeviceChoice) -> Callable[[int], tuple[float, float]]:
    """Return a function that times the backbone on noise at a side, with random weights.

    It returns images/s, which are remembered for later estimates, and the seconds that the first batch took.
    """
    from fireweed.models.pretrained import split_frozen
    from fireweed.serving.answering import outputs
    from fireweed.training.stepping import median_seconds

    batch = recipe.training.batch
    backbone, _ = split_frozen(build_model(recipe.model.name, classes, freeze=True))

    def measure(side: int) -> tuple[float, float]:
        images = np.random.default_rng(0).integers(0, 255, (batch, side, side, 3), np.uint8)

        def look() -> float:
            began = time.perf_counter()
            outputs(backbone, images, batch)
            return time.perf_counter() - began

        first = look()
        rate = batch / median_seconds(look, 2, 3, 2.0)
        remember(speed_name(recipe, side, choice), {"forward": rate})
        return rate, first

    return measure


def _most_views(recipe: Recipe, seconds: float, photos: int, validated: int, rates: dict[int, float]) -> int:
    """Return how many views fit into the seconds; 0: not even one."""
    most = max(phase.epochs for phase in recipe.training.phases)
    return bisect_right(
        range(1, most + 1), seconds,
        key=lambda views: looking_seconds(_with(recipe, views=views), photos, validated, rates),
    )  # fmt: skip


def _epoch_seconds(photos: int, head_rate: float) -> float:
    return photos / head_rate + EPOCH_SECONDS


def _shrunk(recipe: Recipe, scale: float) -> Recipe:
    if scale == 1:
        return recipe
    least = max(find_entry(recipe.model.name).min_side_px, LEAST_SIDE_PX)
    sides = [max(least, round(phase.side * scale / SIDE_STEP_PX) * SIDE_STEP_PX) for phase in recipe.training.phases]
    pairs = zip(sides, recipe.training.phases, strict=True)
    return _with(recipe, phases=tuple(Phase(side=side, epochs=phase.epochs) for side, phase in pairs))


def _with(recipe: Recipe, **training: object) -> Recipe:
    return recipe.model_copy(update={"training": recipe.training.model_copy(update=training)})
