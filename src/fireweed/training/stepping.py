"""Timed training steps on a copy of a net: the one measurement behind estimates, --minutes, choices and `bench`."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fireweed.models.pretrained import split_frozen
from fireweed.models.registry import build_model, find_entry
from fireweed.recipe import Recipe
from fireweed.training.engine import fast_twin
from fireweed.training.norms import freeze_norms
from fireweed.training.optimizers import build_optimizer
from fireweed.training.train import compile_model


@dataclass(frozen=True)
class Speed:
    """How fast training steps are.

    images_per_second:  by the median step.
    first_step_seconds: what the first step takes, which traces and compiles.
    """

    images_per_second: float
    first_step_seconds: float


def time_steps(
    recipe: Recipe, classes: int, side: int, compile: str, least_steps: int = 3, most_steps: int = 3,
    enough_seconds: float = 0.0,
) -> Speed:  # fmt: skip
    """Time steps of a resolved recipe at `side` px, after one that compiles.

    There are `least_steps` of them, and more until they took `enough_seconds`, at most `most_steps`.

    compile: "xla", "none", or "auto" for what holds unmeasured.
    """
    step = make_step(recipe, classes, side, compile)
    first = step()
    return Speed(recipe.training.batch / median_seconds(step, least_steps, most_steps, enough_seconds), first)


def median_seconds(timed: Callable[[], float], least: int, most: int, enough_seconds: float) -> float:
    """Return the median of what `timed` returns: called `least` times, and on until `most` or `enough_seconds`."""
    seconds: list[float] = []
    while len(seconds) < least or (len(seconds) < most and sum(seconds) < enough_seconds):
        seconds.append(timed())
    return float(np.median(seconds))


def make_step(recipe: Recipe, classes: int, side: int, compile: str) -> Callable[[], float]:
    """Return a function that makes a training step on a copy of the recipe's net and returns the seconds it took.

    Photos are noise, and so are features where the net is frozen and its head alone learns; the weights are random
    ones, since what they are changes no time.
    """
    batch, freeze = recipe.training.batch, recipe.model.freeze
    fixed_side = side if find_entry(recipe.model.name).has_flatten else None
    model = build_model(recipe.model.name, classes, fixed_side, freeze=freeze)
    if recipe.training.norms == "frozen":
        freeze_norms(model)
    shape: tuple[int, ...] = (batch, side, side, 3)
    if freeze:
        backbone, model = split_frozen(model, freeze)
        shape = backbone.compute_output_shape(shape)
    twin = fast_twin(model, compile)
    compile_model(twin, build_optimizer(recipe.training, np.full(1, 1e-4, np.float32), twin), compile)
    noise = np.random.default_rng(0)
    images = noise.random(shape, np.float32) if freeze else noise.integers(0, 255, shape, np.uint8)
    targets = np.eye(classes, dtype=np.float32)[np.arange(batch) % classes]

    def step() -> float:
        started = time.perf_counter()
        twin.train_on_batch(images, targets)
        return time.perf_counter() - started

    return step
