"""`--minutes`: the sides and epochs that fit a time on this machine, from steps timed on a copy of the net."""

import time
from collections.abc import Sequence
from dataclasses import replace

from fireweed.api.timing import measured_speed
from fireweed.data.catalog import Catalog
from fireweed.devices import DeviceChoice
from fireweed.errors import RecipeError
from fireweed.models.registry import find_entry
from fireweed.recipe import Phase, Recipe, with_epochs
from fireweed.reporting import Reporter
from fireweed.resolving import Resolved

OVERHEAD_SECONDS = 20.0  # bundle, evaluation and report at the end
EPOCH_SECONDS = 0.3  # checkpoint, history and logs of each epoch
MOST_TIMES_THE_EPOCHS = 3.0  # beyond which larger sides help more than further epochs
SIDE_STEP_PX = 32
LARGEST_GROWN_PX = 320
MOST_EPOCHS = 100_000  # as many as a recipe may have


def fit_to_minutes(
    resolved: Resolved, catalog: Catalog, minutes: float, started: float, keeps_sides: bool, choice: DeviceChoice,
    reporter: Reporter,
) -> Resolved:  # fmt: skip
    """Return the recipe with phases that end `minutes` after `started`, a time of time.monotonic().

    The recipe's phases are kept in proportion. When the time allows fewer epochs than a third of the recipe's, sides
    shrink; when it allows more than three times as many, they grow; with `keeps_sides` they stay.

    Raises:
        RecipeError: not even one epoch at the smallest side fits.
    """
    recipe = resolved.recipe
    photos, validated = len(catalog.part("train")), len(catalog.part("validation"))
    entry = find_entry(recipe.model.name)
    smallest, largest = max(entry.min_side_px, 48), min(entry.max_side_px, 512)
    keeps_sides = keeps_sides or entry.has_flatten
    scale = 1.0
    least_epochs = max(1, recipe.total_epochs // 3)
    rates: dict[int, tuple[float, float]] = {}
    while True:
        phases = _scaled(recipe.training.phases, scale, smallest, largest)
        for side in {phase.side for phase in phases} - rates.keys():
            rates[side] = measure_rate(recipe, len(catalog.classes), side, choice)
        left = minutes * 60 - OVERHEAD_SECONDS - (time.monotonic() - started) - sum(rates[p.side][1] for p in phases)
        # validating costs about a third of training, at the last side
        validating = validated / rates[phases[-1].side][0] / 3
        seconds = sum(p.epochs * (photos / rates[p.side][0] + validating + EPOCH_SECONDS) for p in phases)
        epochs = min(int(recipe.total_epochs * left / seconds), MOST_EPOCHS)
        smaller = _scaled(recipe.training.phases, scale * 0.75, smallest, largest)
        if keeps_sides:
            break
        if epochs < least_epochs and smaller != phases and scale <= 1:
            scale *= 0.75
        elif epochs > MOST_TIMES_THE_EPOCHS * recipe.total_epochs and scale >= 1 and phases[-1].side < LARGEST_GROWN_PX:
            scale *= 1.25
        else:
            break
    if epochs < 1:
        raise RecipeError(
            f"{minutes:g} minutes are too short for one epoch of {recipe.model.name} on {photos:,} photos here; "
            f"give at least {(minutes * 60 - left + seconds / recipe.total_epochs) / 60:.1f}, or choose a smaller net"
        )
    chosen = with_epochs(phases, epochs)
    reporter.say(
        f"{minutes:g} minutes: {epochs} epochs, " + ", ".join(f"{p.epochs} at {p.side} px" for p in chosen)
        + "; measured " + ", ".join(f"{rates[p.side][0]:.0f} images/s at {p.side} px" for p in chosen)
    )  # fmt: skip
    training = recipe.training.model_copy(update={"phases": chosen})
    return replace(resolved, recipe=recipe.model_copy(update={"training": training}))


def measure_rate(recipe: Recipe, classes: int, side: int, choice: DeviceChoice) -> tuple[float, float]:
    """Return the images/s of a training step at `side`, and the seconds that its first step took, on a copy.

    They are remembered, for later estimates.
    """
    speed = measured_speed(recipe, classes, side, choice)
    return speed.images_per_second, speed.first_step_seconds


def _scaled(phases: Sequence[Phase], scale: float, least: int, most: int) -> tuple[Phase, ...]:
    if scale == 1:
        return tuple(phases)
    sides = [max(least, min(most, round(p.side * scale / SIDE_STEP_PX) * SIDE_STEP_PX)) for p in phases]
    return tuple(Phase(side=side, epochs=p.epochs) for side, p in zip(sides, phases, strict=True))
