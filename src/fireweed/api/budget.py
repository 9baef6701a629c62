"""`--minutes`: the sides and epochs that suit a time on this machine, chosen once, before the recipe is frozen.

The plan need not be exact: the training then goes by the clock (`training/clock.py`). It decides the sides and what
share of the time each gets, and that so short a time is refused in which nothing can be trained.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from fireweed.api.decoding_time import PartDecoding, seconds_to_decode
from fireweed.api.timing import (
    CHECKPOINT_SECONDS,
    FORWARD,
    guessed_rate,
    is_finish_known,
    known_figures,
    measured_speed,
    net_size,
    rate_by_pixels,
    seconds_to_finish,
    seconds_to_validate,
)
from fireweed.data.catalog import Catalog
from fireweed.devices import DeviceChoice
from fireweed.errors import RecipeError
from fireweed.models.registry import find_entry
from fireweed.recipe import Recipe, with_epochs
from fireweed.reporting import Reporter, duration
from fireweed.resolving import MOST_EPOCHS_OF_FEW, Resolved, cached_side, norm_photos
from fireweed.settings import MOST_EPOCHS, Phase
from fireweed.text import counted
from fireweed.training.clock import Budget

SCALES = (0.5, 2 / 3, 1.0, 4 / 3, 5 / 3, 2.0, 8 / 3)  # of the recipe's sides
SIDE_STEP_PX = 32
SMALLEST_PX, LARGEST_PX = 48, 320
# Shares of the recipe's epochs. From scratch the epochs matter most: with fewer than FEWEST of them smaller sides, and
# thereby more epochs, are better; larger sides are worth it only where they leave MANY times the epochs. A pretrained
# net needs few epochs, and sides as large as its own photos were.
FEWEST, MANY = {"scratch": 1 / 5, "pretrained": 1 / 6}, {"scratch": 2.0, "pretrained": 1.0}
ENOUGH = 0.5  # of the epochs of the recipe xception; with fewer the recipe frozen is better
USEFUL = 4.0  # times the recipe's epochs that a training may have: it ends before its time rather than learn by heart
LEAST_STEPS = 50  # or one epoch where that is less: below it there is no point in training
SHARE_FOR_MEASURING = 0.05  # of the time
MEASURED_STEPS = 4
GUESSED_FIRST_STEP_SECONDS, SECONDS_PER_LAYER = 1.5, 0.07  # which traces and compiles: Xception's took 9 s on 2 cores


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
    are_guessed: bool = False
    known_first_step: float = 0.0  # seconds, the last that was remembered or measured; 0: none was

    @property
    def first_step(self) -> float:
        if self.known_first_step:
            return self.known_first_step
        return GUESSED_FIRST_STEP_SECONDS + SECONDS_PER_LAYER * net_size(self.recipe, self.classes)[1]

    def at(self, side: int) -> float:
        if side not in self.rates:
            self.rates[side] = self._remembered(side) or self._measured(side) or self._reckoned(side)
        return self.rates[side]

    def untrained(self, side: int) -> float:
        """Return what training steps would reach at a side at which there are none: no time goes to measuring it."""
        return self.rates.get(side) or self._remembered(side) or self._reckoned(side)

    def _remembered(self, side: int) -> float:
        kind = "xla" if self.recipe.training.compile == "xla" else "none"
        known = known_figures(self.recipe, side, self.choice)
        self.known_first_step = known.get(f"first {kind}", self.known_first_step)
        return known.get(f"run {kind}") or known.get(f"step {kind}", 0.0)

    def _measured(self, side: int) -> float:
        """Return the rate measured on a copy of the net, 0 where that would take too much of the time."""
        step = self.recipe.training.batch / self._reckoned(side) if self.rates else 1.0
        is_costly = self.first_step + MEASURED_STEPS * step > self.seconds_for_measuring
        if is_costly and (self.rates or self.choice.kind == "cpu"):  # nothing else tells how fast an accelerator is
            return 0.0
        began = time.monotonic()
        speed = measured_speed(self.recipe, self.classes, side, self.choice)
        self.known_first_step = max(self.first_step, speed.first_step_seconds)
        self.seconds_for_measuring -= time.monotonic() - began
        return speed.images_per_second

    def _reckoned(self, side: int) -> float:
        if not self.rates:
            self.are_guessed = True
            return guessed_rate(self.recipe, self.classes, side, self.choice)
        return rate_by_pixels(self.rates, side)


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
    plans = {scale: scaled(recipe, scale) for scale in useful_scales(recipe, keeps_sides)}
    speeds.at(min(phase.side for phase in next(iter(plans.values()))))  # the cheapest to measure
    parts = _parts(recipe, catalog)
    costs = {}

    def epochs_at(scale: float) -> float:
        costs[scale] = _Costs(recipe.with_training(phases=plans[scale]), parts, speeds)
        return costs[scale].epochs(started + minutes * 60 - time.monotonic())

    wanted = recipe.total_epochs
    scale = chosen_scale(tuple(plans), epochs_at, wanted, recipe.model.weights != "none")
    epochs = epochs_at(scale)
    photos = len(parts[0].photos)
    least = min(1.0, LEAST_STEPS / math.ceil(photos / recipe.training.batch))
    if epochs < least:
        needed = time.monotonic() - started + costs[scale].seconds(least)
        raise too_short(minutes, f"to train {recipe.model.name} on {photos:,} photos", needed)
    most = most_epochs(recipe)
    recipe = recipe.with_training(phases=shared(recipe, plans[scale], max(1, round(min(epochs, most)))))
    # few epochs may leave phases out, and with the last one the evaluation side changes
    budget = _budget(recipe, minutes, started, _Costs(recipe, parts, speeds), most, min(epochs, most))
    reporter.say(_sentence(minutes, epochs, most, recipe, speeds, budget))
    if recipe.name == "xception" and recipe.model.weights != "none" and epochs < ENOUGH * wanted:
        reporter.say("so few epochs do little for such a net: --recipe frozen makes more of so short a time")
    return replace(resolved, recipe=recipe), budget


def budget_to_go_on(
    recipe: Recipe, most: float, catalog: Catalog, minutes: float, started: float, choice: DeviceChoice
) -> Budget:
    """Return the budget of a run whose recipe was frozen before; most: as `most_epochs` of the recipe as asked."""
    costs = _Costs(recipe, _parts(recipe, catalog), _Speeds(recipe, len(catalog.classes), choice, 0.0))
    return _budget(recipe, minutes, started, costs, most)


def _parts(recipe: Recipe, catalog: Catalog) -> tuple[PartDecoding, PartDecoding]:
    """Return the training and the validation photos, with how long they take to decode."""
    training, validation = catalog.part("train").photos, catalog.part("validation").photos
    each = seconds_to_decode(training, cached_side(recipe), recipe.data.fit)
    return PartDecoding(training, recipe.data.fit, each), PartDecoding(validation, recipe.data.fit, each)


def _budget(
    recipe: Recipe, minutes: float, started: float, costs: "_Costs", most: float, epochs: float = 0.0
) -> Budget:  # fmt: skip
    seconds = min(minutes * 60, time.monotonic() - started + costs.seconds(most))
    steps = tuple(recipe.training.batch / costs.speeds.at(phase.side) for phase in recipe.training.phases)
    is_guess = not is_finish_known(recipe, costs.speeds.choice)
    return Budget(
        seconds, started, costs.finishing, costs.validation + CHECKPOINT_SECONDS, steps, CHECKPOINT_SECONDS,
        costs.first_validation, is_guess, epochs,
    )  # fmt: skip


def most_epochs(recipe: Recipe) -> int:
    """Return the epochs beyond which more time is of no use to a resolved recipe, or cannot be written down."""
    return min(round(USEFUL * recipe.total_epochs), MOST_EPOCHS)


def useful_scales(recipe: Recipe, keeps_sides: bool) -> tuple[float, ...]:
    """Return the scales of a resolved recipe's sides that may be chosen, smallest first.

    So few photos that they are learned by heart give nothing more to see at larger sides.
    """
    if keeps_sides or find_entry(recipe.model.name).has_flatten:
        return (1.0,)
    return tuple(scale for scale in SCALES if scale <= 1 or recipe.total_epochs < MOST_EPOCHS_OF_FEW)


def shared(recipe: Recipe, phases: tuple[Phase, ...], epochs: int) -> tuple[Phase, ...]:
    """Share epochs among phases; all go to the last where they are too few for it, and others cannot be evaluated."""
    chosen = joined(with_epochs(phases, epochs))
    if _is_evaluated(recipe, chosen[-1].side):
        return chosen
    return (Phase(side=phases[-1].side, epochs=epochs),)


def _sentence(minutes: float, epochs: float, most: float, recipe: Recipe, speeds: _Speeds, budget: Budget) -> str:
    phases = recipe.training.phases
    time_given = counted_minutes(minutes)
    if epochs > most:
        time_given += f" {_be(minutes)} more than these photos have a use for, about {duration(budget.seconds)} will do"
    return (
        f"{time_given}: {_about(min(epochs, most))}, " + ", ".join(f"{p.epochs} at {p.side} px" for p in phases)
        + f", as far as the speed {'is a guessed' if speeds.are_guessed else 'stays at'} "
        f"{speeds.at(phases[0].side):.0f} images/s at {phases[0].side} px; the learning rate follows the clock"
    )  # fmt: skip


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
    """Return the recipe's phases with sides `scale` times as large, multiples of 32 that the net can have.

    The last one is such that the net can have the evaluation side too.
    """
    phases = recipe.training.phases
    if scale == 1:
        return phases
    entry = find_entry(recipe.model.name)
    largest = max(phase.side for phase in phases)
    least = max(entry.min_side_px, min(SMALLEST_PX, *(phase.side for phase in phases)))
    most = min(entry.max_side_px, max(LARGEST_PX, largest))
    sides = [max(least, min(most, round(p.side * scale / SIDE_STEP_PX) * SIDE_STEP_PX)) for p in phases]
    possible = [side for side in {sides[-1], *range(SIDE_STEP_PX, most + 1, SIDE_STEP_PX)} if least <= side]
    possible = [side for side in possible if _is_evaluated(recipe, side)] or [phases[-1].side]
    sides[-1] = min(possible, key=lambda side: (abs(side - sides[-1]), side))
    return tuple(Phase(side=side, epochs=p.epochs) for side, p in zip(sides, phases, strict=True))


def _is_evaluated(recipe: Recipe, side: int) -> bool:
    """Return whether the net can have the evaluation side that goes with a last phase of `side`."""
    entry = find_entry(recipe.model.name)
    at_end = recipe.with_training(phases=(Phase(side=side, epochs=1),))
    return entry.min_side_px <= at_end.evaluation_side <= entry.max_side_px


def joined(phases: Sequence[Phase]) -> tuple[Phase, ...]:
    """Return the phases with neighbours of the same side made one."""
    found: list[Phase] = []
    for phase in phases:
        if found and found[-1].side == phase.side:
            phase = Phase(side=phase.side, epochs=found.pop().epochs + phase.epochs)
        found.append(phase)
    return tuple(found)


class _Costs:
    """What a plan costs on this machine, in seconds.

    A CPU decodes beside the steps that it makes itself, and they wait for each other; an accelerator waits only where
    decoding is slower than its steps.
    """

    def __init__(self, recipe: Recipe, parts: tuple[PartDecoding, PartDecoding], speeds: _Speeds) -> None:
        training, validation = parts
        photos, validated = len(training.photos), len(validation.photos)
        phases, side = recipe.training.phases, recipe.evaluation_side
        self.speeds = speeds
        steps = sum(phase.epochs * photos / speeds.at(phase.side) for phase in phases) / recipe.total_epochs
        forward = FORWARD / speeds.untrained(side)  # seconds for a photo
        self.validation = validated * forward
        self.epoch_seconds = steps + seconds_to_validate(recipe, photos, validated, forward)
        decoding = training.seconds(cached_side(recipe))
        self._decoding = decoding if speeds.choice.kind == "cpu" else max(0.0, decoding - steps)
        self.first_validation = validation.seconds(side)
        seen = validated + norm_photos(recipe.training, photos)
        self.finishing = seconds_to_finish(recipe, speeds.classes, seen, forward, speeds.choice)
        self._other_seconds = self.finishing + len(phases) * speeds.first_step + self.first_validation

    def seconds(self, epochs: float) -> float:
        """Return what so many epochs cost; of a part of one only the photos that it sees are decoded."""
        return self._other_seconds + epochs * self.epoch_seconds + min(1.0, epochs) * self._decoding

    def epochs(self, seconds: float) -> float:
        """Return the epochs that so many seconds allow."""
        left, first = max(0.0, seconds - self._other_seconds), self.epoch_seconds + self._decoding
        return left / first if left < first else 1 + (left - first) / self.epoch_seconds


def counted_minutes(minutes: float) -> str:
    """Return a number of minutes with its noun: 1 minute, 2.5 minutes."""
    return f"{minutes:g} minute" + ("" if minutes == 1 else "s")


def too_short(minutes: float, purpose: str, needed_seconds: float) -> RecipeError:
    """Return the error of a time in which nothing can be done; the least it names is rounded up, with a tenth more."""
    return RecipeError(
        f"{counted_minutes(minutes)} {_be(minutes)} too short {purpose} here; give at least "
        f"{math.ceil(needed_seconds / 60 * 11) / 10:.1f}, or choose a smaller net"
    )


def _be(minutes: float) -> str:
    return "is" if minutes == 1 else "are"


def _about(epochs: float) -> str:
    return "part of an epoch" if epochs < 0.95 else f"about {counted(round(epochs), 'epoch')}"
