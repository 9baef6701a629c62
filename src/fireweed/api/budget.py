"""`--minutes`: the sides and epochs that suit a time on this machine, chosen once, before the recipe is frozen.

The plan need not be exact: the training then goes by the clock (`training/clock.py`). It decides the sides and what
share of the time each gets, and that so short a time is refused in which nothing can be trained.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from fireweed.api.timing import guessed_rate, known_figures, measured_speed, seconds_to_finish
from fireweed.data.catalog import Catalog
from fireweed.data.decode import Fit, decode_square
from fireweed.data.parallel import processors
from fireweed.data.records import read_bytes
from fireweed.devices import DeviceChoice
from fireweed.errors import FireweedError, RecipeError
from fireweed.models.registry import find_entry
from fireweed.recipe import Recipe, with_epochs
from fireweed.reporting import Reporter
from fireweed.resolving import Resolved
from fireweed.settings import Phase
from fireweed.text import counted
from fireweed.training.clock import Budget

SCALES = (0.5, 2 / 3, 1.0, 4 / 3, 5 / 3, 2.0, 8 / 3)  # of the recipe's sides
SIDE_STEP_PX = 32
SMALLEST_PX, LARGEST_PX = 48, 320
# Shares of the recipe's epochs. From scratch the epochs matter most: with fewer than FEWEST of them smaller sides, and
# thereby more epochs, are better; larger sides are worth it only where they leave MANY times the epochs. A pretrained
# net needs few epochs, and sides as large as its own photos were.
FEWEST, MANY = {"scratch": 1 / 5, "pretrained": 1 / 6}, {"scratch": 2.0, "pretrained": 1.0}
LEAST_STEPS = 50  # or one epoch where that is less: below it there is no point in training
SHARE_FOR_MEASURING = 0.05  # of the time
MEASURED_STEPS = 4
GUESSED_FIRST_STEP_SECONDS = 5.0  # which traces and compiles
FORWARD = 1 / 3  # of a training step's time
CHECKPOINT_SECONDS = 0.3
DECODED_FOR_MEASURE = 8


@dataclass
class _Speeds:
    """Images/s at each side: remembered, else measured while there is time for it, else reckoned.

    What is reckoned goes by the pixels of the nearest side that is known, or by how fast the CPU multiplies.
    """

    recipe: Recipe
    classes: int
    choice: DeviceChoice
    seconds_for_measuring: float
    rates: dict[int, float] = field(default_factory=dict)
    first_step: float = GUESSED_FIRST_STEP_SECONDS

    def at(self, side: int) -> float:
        if side not in self.rates:
            self.rates[side] = self._remembered(side) or self._measured(side) or self._reckoned(side)
        return self.rates[side]

    def _remembered(self, side: int) -> float:
        kind = "xla" if self.recipe.training.compile == "xla" else "none"
        known = known_figures(self.recipe, side, self.choice)
        self.first_step = max(self.first_step, known.get(f"first {kind}", 0.0))
        return known.get(f"run {kind}") or known.get(f"step {kind}", 0.0)

    def _measured(self, side: int) -> float:
        """Return the rate measured on a copy of the net, 0 where that would take too much of the time."""
        step = self.recipe.training.batch / self._reckoned(side) if self.rates else 1.0
        is_costly = self.first_step + MEASURED_STEPS * step > self.seconds_for_measuring
        if is_costly and (self.rates or self.choice.kind == "cpu"):  # nothing else tells how fast an accelerator is
            return 0.0
        began = time.monotonic()
        speed = measured_speed(self.recipe, self.classes, side, self.choice)
        self.first_step = max(self.first_step, speed.first_step_seconds)
        self.seconds_for_measuring -= time.monotonic() - began
        return speed.images_per_second

    def _reckoned(self, side: int) -> float:
        if not self.rates:
            return guessed_rate(self.recipe, self.classes, side)
        nearest = min(self.rates, key=lambda known_side: abs(known_side - side))
        return self.rates[nearest] * (nearest / side) ** 2


def fit_to_minutes(
    resolved: Resolved, catalog: Catalog, minutes: float, started: float, keeps_sides: bool, choice: DeviceChoice,
    reporter: Reporter,
) -> tuple[Resolved, Budget]:  # fmt: skip
    """Return the recipe with phases that suit `minutes` from `started` on, a time of time.monotonic(), and the budget.

    The recipe's phases stay in proportion; their sides shrink or grow with the time, unless `keeps_sides`.

    Raises:
        RecipeError: the time is too short for any training; the least that works is said.
    """
    recipe = resolved.recipe
    speeds = _Speeds(recipe, len(catalog.classes), choice, minutes * 60 * SHARE_FOR_MEASURING)
    scales = [1.0] if keeps_sides or find_entry(recipe.model.name).has_flatten else SCALES
    plans = {scale: scaled(recipe, scale) for scale in scales}
    speeds.at(min(phase.side for phase in plans[scales[0]]))  # the cheapest to measure
    largest = max(phase.side for phase in recipe.training.phases)
    decoding = _decoding_seconds(catalog, largest * recipe.data.margin, recipe.data.fit)

    def epochs_at(scale: float) -> float:
        return _Costs(recipe, plans[scale], catalog, speeds, decoding).epochs(minutes * 60, started)

    is_pretrained = recipe.model.weights != "none"
    scale = chosen_scale(scales, epochs_at, recipe.total_epochs, is_pretrained)
    costs = _Costs(recipe, plans[scale], catalog, speeds, decoding)
    epochs = costs.epochs(minutes * 60, started)
    steps = math.ceil(len(catalog.part("train")) / recipe.training.batch)
    least = min(1.0, LEAST_STEPS / steps)
    if epochs < least:
        needed = (time.monotonic() - started + costs.other_seconds + least * costs.epoch_seconds) / 60
        raise RecipeError(
            f"{counted_minutes(minutes)} {'is' if minutes == 1 else 'are'} too short to train {recipe.model.name} on "
            f"{len(catalog.part('train')):,} photos here; give at least {math.ceil(needed * 11) / 10:.1f}, "
            "or choose a smaller net"
        )
    chosen = joined(with_epochs(plans[scale], max(1, round(epochs))))
    reporter.say(
        f"{counted_minutes(minutes)}: {_about(epochs)}, " + ", ".join(f"{p.epochs} at {p.side} px" for p in chosen)
        + f", as far as the speed stays at {speeds.at(chosen[0].side):.0f} images/s at {chosen[0].side} px; "
        "the learning rate follows the clock"
    )  # fmt: skip
    recipe = recipe.model_copy(update={"training": recipe.training.model_copy(update={"phases": chosen})})
    return replace(resolved, recipe=recipe), _budget(recipe, minutes, started, costs, speeds)


def budget_to_go_on(recipe: Recipe, catalog: Catalog, minutes: float, started: float, choice: DeviceChoice) -> Budget:
    """Return the budget of a run whose recipe was frozen before."""
    speeds = _Speeds(recipe, len(catalog.classes), choice, 0.0)
    costs = _Costs(recipe, recipe.training.phases, catalog, speeds, 0.0)
    return _budget(recipe, minutes, started, costs, speeds)


def _budget(recipe: Recipe, minutes: float, started: float, costs: "_Costs", speeds: _Speeds) -> Budget:
    steps = tuple(recipe.training.batch / speeds.at(phase.side) for phase in recipe.training.phases)
    return Budget(minutes * 60, started, costs.finishing, costs.between, steps)


def chosen_scale(
    scales: Sequence[float], epochs_at: Callable[[float], float], wanted: int, is_pretrained: bool
) -> float:
    """Return the scale of the recipe's sides that suits the epochs which the time allows at each.

    scales:    that there are, smallest first; 1 is among them.
    epochs_at: scale -> epochs, in parts too.
    wanted:    the recipe's epochs for so many photos.
    """
    kind = "pretrained" if is_pretrained else "scratch"
    chosen = 1.0
    for scale in [s for s in reversed(scales) if s < 1]:
        if epochs_at(chosen) >= FEWEST[kind] * wanted:
            break
        chosen = scale
    for scale in [s for s in scales if s > 1]:
        if epochs_at(scale) < MANY[kind] * wanted:
            break
        chosen = scale
    return chosen


def scaled(recipe: Recipe, scale: float) -> tuple[Phase, ...]:
    """Return the recipe's phases with sides `scale` times as large, multiples of 32 that the net can have."""
    phases = recipe.training.phases
    if scale == 1:
        return phases
    entry = find_entry(recipe.model.name)
    largest = max(phase.side for phase in phases)
    least = max(entry.min_side_px, min(SMALLEST_PX, *(phase.side for phase in phases)))
    most = min(entry.max_side_px, max(LARGEST_PX, largest))
    sides = [max(least, min(most, round(p.side * scale / SIDE_STEP_PX) * SIDE_STEP_PX)) for p in phases]
    return tuple(Phase(side=side, epochs=p.epochs) for side, p in zip(sides, phases, strict=True))


def joined(phases: Sequence[Phase]) -> tuple[Phase, ...]:
    """Return the phases with neighbours of the same side made one."""
    found: list[Phase] = []
    for phase in phases:
        if found and found[-1].side == phase.side:
            phase = Phase(side=phase.side, epochs=found.pop().epochs + phase.epochs)
        found.append(phase)
    return tuple(found)


class _Costs:
    """What a plan costs on this machine, in seconds."""

    def __init__(
        self, recipe: Recipe, phases: tuple[Phase, ...], catalog: Catalog, speeds: _Speeds, decoding: float
    ) -> None:
        photos, validated = len(catalog.part("train")), len(catalog.part("validation"))
        at_end = recipe.model_copy(update={"training": recipe.training.model_copy(update={"phases": phases})})
        forward = FORWARD / speeds.at(at_end.evaluation_side)  # seconds for a photo
        normed = min(recipe.training.norm_photos, photos)
        self.between = validated * forward + CHECKPOINT_SECONDS
        training = sum(phase.epochs * photos / speeds.at(phase.side) for phase in phases)
        self.epoch_seconds = training / sum(phase.epochs for phase in phases) + self.between
        self.finishing = seconds_to_finish(at_end, len(catalog.classes), validated + normed, forward, speeds.choice)
        self.other_seconds = self.finishing + len(phases) * speeds.first_step + decoding

    def epochs(self, seconds: float, started: float) -> float:
        left = seconds - (time.monotonic() - started) - self.other_seconds
        return max(0.0, left / self.epoch_seconds)


def _decoding_seconds(catalog: Catalog, side: float, fit: Fit) -> float:
    """Return about how long all photos take to decode in the first epoch, with all processors."""
    photos = catalog.part("train").photos
    sample = photos[:: max(1, len(photos) // DECODED_FOR_MEASURE)][:DECODED_FOR_MEASURE]
    began = time.monotonic()
    for photo in sample:
        try:
            decode_square(read_bytes(photo), round(side), fit)
        except (FireweedError, OSError):
            continue  # whoever needs this photo will say what is wrong
    return (time.monotonic() - began) / len(sample) * len(photos) / processors()


def counted_minutes(minutes: float) -> str:
    """Return a number of minutes with its noun: 1 minute, 2.5 minutes."""
    return f"{minutes:g} minute" + ("" if minutes == 1 else "s")


def _about(epochs: float) -> str:
    return "part of an epoch" if epochs < 0.95 else f"about {counted(round(epochs), 'epoch')}"
