"""`fireweed devices --check`: a few training steps on one device and on all, and whether the input keeps up."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fireweed.api.limits import device_limits, matrix_rate
from fireweed.api.preparing import prepare_data
from fireweed.api.starting import start_measuring
from fireweed.api.timing import PASSES
from fireweed.api.training import TrainRequest, chosen_device
from fireweed.devices import DeviceChoice
from fireweed.devices.backends import WORDS
from fireweed.devices.layout import Layout, lay_out
from fireweed.recipe import Recipe, read_recipe
from fireweed.reporting import Reporter
from fireweed.text import counted

SIDE_PX, PHOTOS_A_DEVICE = 96, 32
WARM_UP_STEPS, LEAST_STEPS, MOST_STEPS, ENOUGH_SECONDS = 2, 4, 200, 3.0
INPUT_STEPS = 20


@dataclass(frozen=True)
class Checked:
    """What was measured of one layout.

    images_per_second: of training steps whose batch is there already.
    share_of_peak:     multiply-adds done over those that the devices' matrix product does in this precision.
    exchanged_bytes:   gradients that each device sends in a step, where they are averaged around a ring.
    input_per_second:  photos, decoded before, that the pipeline makes ready in a second, training standing still.
    fits_on_device:    whether a training would put such photos on the device, and need no pipeline for them.
    """

    devices: int
    batch: int
    images_per_second: float
    share_of_peak: float
    exchanged_bytes: float
    input_per_second: float
    fits_on_device: bool = False


def check_devices(request: TrainRequest, reporter: Reporter) -> list[Checked]:
    """Train some steps of the net squeezenet on one device and on all of them; say and return what came of it.

    Raises:
        DeviceError: a device that is not here, or that its framework cannot use.
    """
    choice = start_measuring(chosen_device(request, request.precision, "squeezenet"), reporter)
    reporter.say(f"{choice.name}: {choice.backend}, {choice.precision}; squeezenet at {SIDE_PX} px")
    peak = matrix_rate() if choice.kind == "cpu" else device_limits(choice.precision)[0]
    results: list[Checked] = []
    for count in sorted({1 if choice.tpu is None else choice.count, choice.count}):  # TensorFlow takes a TPU whole
        results.append(_check(replace(choice, count=count), peak))
        reporter.say(in_words(results[-1], results[0], choice))
    return results


def in_words(result: Checked, first: Checked, choice: DeviceChoice) -> str:
    """Return a sentence on a layout, held against the first one where that is of one device."""
    text = (
        f"{counted(result.devices, WORDS[choice.kind])}: {result.images_per_second:,.0f} images/s in batches of "
        f"{result.batch}, {result.share_of_peak:.1%} of the peak"
    )
    if result.devices > first.devices == 1:
        speed_up = result.images_per_second / first.images_per_second
        text += f", {speed_up:.2f} times one device ({speed_up / result.devices:.0%} of {result.devices})"
    if result.devices > 1:
        text += f"; each sends {result.exchanged_bytes / 1e6:.2g} MB of gradients a step"
    verdict = "keeps up" if result.input_per_second >= result.images_per_second else "holds training up"
    if result.fits_on_device:
        verdict += ", if photos did not fit on the device as they do"
    return f"{text}; input: {result.input_per_second:,.0f} photos/s, {verdict}"


def _check(choice: DeviceChoice, peak: float) -> Checked:
    from fireweed.api.building import TrainingParts, build_for_training, seed_everything
    from fireweed.data.resident import obstacle
    from fireweed.models.cost import total_cost

    recipe = read_recipe("squeezenet", [f"training.phases=[{{side={SIDE_PX},epochs=100}}]"])
    recipe = recipe.with_training(batch=PHOTOS_A_DEVICE * choice.count, precision=choice.precision)
    catalog = prepare_data("drawn", recipe.data, Reporter(is_silent=True)).catalog
    layout = lay_out(choice, recipe.training.batch)
    with layout.scope():
        seed_everything(0, False, choice.precision)
        model, _ = build_for_training(recipe, len(catalog.classes))
    parts = TrainingParts(recipe, catalog, None)
    try:
        rate = _steps_per_second(model, recipe, parts, layout) * recipe.training.batch
        parts.training_cache.gather(np.arange(parts.photos))  # decoded once, which is not what is measured
        started = time.perf_counter()
        photos = sum(len(images) for images, _, _ in parts.training.training(parts.plan, SIDE_PX, 0, INPUT_STEPS))
        input_rate = photos / (time.perf_counter() - started)
        fits_on_device = not obstacle(parts.training_cache, "auto")
    finally:
        parts.close()
    cost = total_cost(model, SIDE_PX)
    return Checked(
        devices=layout.replicas,
        batch=recipe.training.batch,
        images_per_second=rate,
        share_of_peak=rate * PASSES * cost.multiply_adds / (peak * layout.replicas if choice.kind != "cpu" else peak),
        exchanged_bytes=2 * 4 * cost.trainable_parameters * (layout.replicas - 1) / layout.replicas,
        input_per_second=input_rate,
        fits_on_device=fits_on_device,
    )


def _steps_per_second(model: Any, recipe: Recipe, parts: Any, layout: Layout) -> float:
    """Return the rate of training steps on a batch that is made already, after some that compile."""
    from fireweed.training.engine import fast_twin
    from fireweed.training.optimizers import build_optimizer
    from fireweed.training.train import compile_model

    made = parts.training.make_batch(parts.plan.rows(0, 0, 1), SIDE_PX)
    with layout.scope():
        twin = fast_twin(model, "none", recipe.training.norms)
        compile_model(twin, build_optimizer(recipe.training, 1e-4, twin), "auto")

        def seconds(steps: int) -> float:
            batches = parts.training.dataset(lambda step: made, 0, steps, np.uint8, made[0].shape[1:])
            started = time.perf_counter()
            twin.fit(batches, epochs=1, steps_per_epoch=steps, shuffle=False, verbose=0)
            return time.perf_counter() - started

        return _rate(seconds)


def _rate(seconds: Callable[[int], float]) -> float:
    """Return steps a second; `seconds` makes so many steps and returns how long they took."""
    seconds(WARM_UP_STEPS)
    steps = LEAST_STEPS
    while (taken := seconds(steps)) < ENOUGH_SECONDS and steps < MOST_STEPS:
        steps = min(MOST_STEPS, max(2 * steps, round(steps * ENOUGH_SECONDS / taken)))
    return steps / taken
