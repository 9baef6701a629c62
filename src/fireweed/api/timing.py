"""How long a training will take: from what this machine did before, else from how fast it multiplies."""

import json
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from fireweed.files import cache_folder, write_text
from fireweed.models.cost import total_cost
from fireweed.models.registry import build_model
from fireweed.recipe import Recipe

if TYPE_CHECKING:
    import keras

PASSES = 3  # a training step costs about three forward passes: forward, and two gradients
SHARE_OF_MATRIX_RATE = 0.35  # what a training step reaches of a matrix product's rate, as measured on two chips
REMEMBERED = 200


def expected_seconds(
    recipe: Recipe, model: "keras.Model", photos: int, may_guess: bool = True
) -> tuple[float, str] | None:
    """Return the seconds that the epochs of a resolved recipe will take on `photos` photos, and what that rests on.

    may_guess: whether the CPU's matrix rate says something; it does not for an accelerator. None where nothing does.
    """
    known = _known_rates()
    seconds, measured = 0.0, True
    for phase in recipe.training.phases:
        rate = known.get(_name(recipe, phase.side))
        if rate is None:
            if not may_guess:
                return None
            measured = False
            rate = _guessed_rate(recipe, model, phase.side)
        seconds += phase.epochs * photos / rate
    return seconds, "from earlier runs here" if measured else "a rough guess; the first epoch shows more"


def remember_rates(recipe: Recipe, history: list[dict[str, Any]]) -> None:
    """Keep the images/s of each side of a finished run for later guesses, if the cache can be written."""
    known = _known_rates()
    for row in history:
        known[_name(recipe, int(row["side"]))] = row["images_per_second"]
    try:
        write_text(cache_folder() / "rates.json", json.dumps(dict(list(known.items())[-REMEMBERED:]), indent=0))
    except Exception:
        return


def multiply_adds(recipe: Recipe, classes: int, side: int) -> int:
    """Return the multiply-adds of one forward pass over one photo at `side`."""
    return total_cost(build_model(recipe.model.name, classes, side)).multiply_adds


def _guessed_rate(recipe: Recipe, model: "keras.Model", side: int) -> float:
    a = np.ones((1024, 1024), np.float32)
    a @ a
    started = time.perf_counter()
    for _ in range(4):
        a @ a
    per_second = 4 * 1024**3 / (time.perf_counter() - started)
    each = multiply_adds(recipe, model.output_shape[-1], side)
    return SHARE_OF_MATRIX_RATE * per_second / (PASSES * max(each, 1))


def _name(recipe: Recipe, side: int) -> str:
    import keras

    policy = keras.mixed_precision.dtype_policy().name
    frozen = " frozen" if recipe.model.freeze else ""
    return f"{recipe.model.name}{frozen} {side} px batch {recipe.training.batch} {keras.backend.backend()} {policy}"


def _known_rates() -> dict[str, float]:
    try:
        rates = json.loads((cache_folder() / "rates.json").read_text())
        return {str(name): float(rate) for name, rate in rates.items() if rate > 0}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}
