"""`fireweed bench`: what a net costs on this machine, in training and asked, and how near that is to its limits."""

import gc
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from fireweed.api.choosing import choose_recipe
from fireweed.api.environment import environment_facts
from fireweed.api.limits import device_limits, matrix_rate, memory_rate
from fireweed.api.starting import start_measuring
from fireweed.api.timing import PASSES, measured_speed, multiply_adds
from fireweed.api.training import TrainRequest, chosen_device
from fireweed.data.sources import open_data
from fireweed.devices import DeviceChoice
from fireweed.errors import FireweedError, ModelError, RecipeError, out_of_memory
from fireweed.models.registry import build_model, find_entry
from fireweed.recipe import Recipe
from fireweed.reporting import Reporter, duration

CLASSES = 5
BATCHES = (16, 32, 64)
ANSWERED = (1, 32)  # photos asked about at once
LEAST_STEPS, MOST_STEPS, ENOUGH_SECONDS = 3, 10, 1.5
LONGEST_SECONDS = 40.0  # for one pair of side and batch that nobody asked for by name
XLA_SECONDS = 90.0


@dataclass(frozen=True)
class BenchRequest:
    """What to measure.

    training:        net, device, precision and so on, as for a training; its data do not matter.
    sides, batches:  in pixels and photos; empty: the recipe's sides and the net's own, and 16, 32 and 64.
    photos:          that an epoch trains on. data: photos to count instead.
    tries_xla:       whether to try XLA too, where the steps could do without it.
    """

    training: TrainRequest
    sides: tuple[int, ...] = ()
    batches: tuple[int, ...] = ()
    photos: int | None = None
    data: str | None = None
    tries_xla: bool = True


def bench(request: BenchRequest, reporter: Reporter) -> Iterator[dict[str, Any]]:
    """Measure and yield all that is known so far, ready for JSON, after each measurement; "complete" in the last one.

    Training speeds are remembered for the estimates and choices of `fireweed train`.

    Raises:
        FireweedError: a net, side, batch, device or data that there is not.
    """
    recipe, _ = choose_recipe(request.training)
    sides, batches = _sides_and_batches(request, recipe)
    photos = _photos(request, recipe)
    choice = chosen_device(request.training, recipe.training.precision, recipe.model.name)
    choice = start_measuring(choice, reporter)
    reporter.say(f"{choice.name}: {choice.backend}, {choice.precision}")
    yield from _Bench(request, recipe, choice, photos, reporter).measure(sides, batches)


class _Bench:
    """The measurements of one request, and what came of them so far."""

    def __init__(
        self, request: BenchRequest, recipe: Recipe, choice: DeviceChoice, photos: int | None, reporter: Reporter
    ) -> None:
        import keras

        keras.mixed_precision.set_dtype_policy(choice.precision)
        is_compiled = choice.backend == "jax" or choice.kind != "cpu" or recipe.training.compile == "xla"
        self._kind = "xla" if is_compiled and recipe.training.compile != "none" else "none"
        self._recipe = recipe.with_training(precision=choice.precision, compile=self._kind)
        self._choice, self._photos, self._reporter = choice, photos, reporter
        self._tries_xla = request.tries_xla and choice.backend == "tensorflow" and choice.kind == "cpu"
        self._is_asked = bool(request.sides or request.batches)
        reporter.say("measuring the machine's own limits")
        self._limits = self._measured_limits()
        self._training: list[dict[str, Any]] = []
        self._prediction: list[dict[str, Any]] = []
        self._engine: dict[str, Any] = {"compile": self._kind}

    def measure(self, sides: list[int], batches: list[int]) -> Iterator[dict[str, Any]]:
        # the smallest first: memory is told as the most so far
        pairs = sorted(((side, batch) for side in sides for batch in batches), key=lambda p: (p[0] ** 2 * p[1], p[0]))
        total = len(pairs) + len(sides)
        with self._reporter.bar("measuring", total) as bar:
            for done, (side, batch) in enumerate(pairs):
                bar.update(done, f"training steps at {side} px, batch {batch}")
                self._training.append(self._train_row(side, batch))
                yield self._result()
            for done, side in enumerate(sides, len(pairs)):
                bar.update(done, f"answers at {side} px")
                self._prediction += self._predict_rows(side)
                yield self._result()
        # once more, and the better ones count: something else may have kept the machine busy at the start
        self._limits = tuple(map(max, self._limits, self._measured_limits()))
        if self._tries_xla:
            self._try_xla(sides[len(sides) // 2])
        yield self._result() | {"complete": True}

    def _measured_limits(self) -> tuple[float, ...]:
        """Return multiply-adds/s and bytes/s that the machine can do."""
        if self._choice.kind == "cpu":
            return matrix_rate(), memory_rate()
        return device_limits(self._choice.precision)

    def _train_row(self, side: int, batch: int) -> dict[str, Any]:
        row: dict[str, Any] = {"side": side, "batch": batch}
        guess = self._guessed_seconds(side, batch)
        if not self._is_asked and guess > LONGEST_SECONDS:
            return row | {"error": f"left out, would take {duration(guess)}; --side {side} --batch {batch} measures it"}
        recipe = self._recipe.with_training(batch=batch)
        gc.collect()
        try:
            speed = measured_speed(recipe, CLASSES, side, self._choice, LEAST_STEPS, MOST_STEPS, ENOUGH_SECONDS)
        except Exception as error:
            if out_of_memory(error) is None:
                raise
            return row | {"error": "does not fit into memory"}
        row |= self._costs(side, speed.images_per_second, PASSES)
        row["first_step_seconds"] = speed.first_step_seconds
        row["epoch_seconds"] = self._photos / speed.images_per_second if self._photos else None
        row["peak_memory_bytes"] = _peak_memory_bytes()
        return row

    def _guessed_seconds(self, side: int, batch: int) -> float:
        """Guess how long a pair takes, from the one measured last; 0 when there is none."""
        rows = [row for row in self._training if "error" not in row]
        if not rows:
            return 0.0
        last = rows[-1]
        step = batch / last["images_per_second"] * side**2 / last["side"] ** 2
        return last["first_step_seconds"] + LEAST_STEPS * step

    def _predict_rows(self, side: int) -> list[dict[str, Any]]:
        from fireweed.bundle import Bundle
        from fireweed.serving.predict import predict_arrays

        model = build_model(self._recipe.model.name, CLASSES, side)
        bundle = Bundle(model, tuple("abcde"), side, "crop", {"temperature": None})
        rows = []
        for batch in ANSWERED:
            squares = np.random.default_rng(0).integers(0, 255, (batch, side, side, 3), np.uint8)
            seconds = _median_seconds(lambda squares=squares: predict_arrays(bundle, squares))  # type: ignore[misc]
            rows.append({"side": side, "batch": batch, **self._costs(side, batch / seconds, 1)})
        return rows

    def _costs(self, side: int, rate: float, passes: int) -> dict[str, Any]:
        net = self._recipe.model.name
        return {
            "images_per_second": rate, "ms_per_photo": 1000 / rate, "passes": passes,
            "multiply_adds": multiply_adds(net, CLASSES, side),
            "moved_bytes": _moved_bytes(net, side, self._choice.precision),
        }  # fmt: skip

    def _with_shares(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return a row with its shares of the machine's limits, where it was measured."""
        if "error" in row:
            return row
        passes_per_second = row["images_per_second"] * row["passes"]
        matrix, memory = self._limits
        return row | {
            "share_of_matrix_rate": passes_per_second * row["multiply_adds"] / matrix,
            "share_of_memory_rate": passes_per_second * row["moved_bytes"] / memory,
        }

    def _try_xla(self, side: int) -> None:
        from fireweed.api.compiling import try_xla
        from fireweed.training.choices import choose_compile

        measured = [row for row in self._training if row["side"] == side and "error" not in row]
        batch = 32 if any(row["batch"] == 32 for row in measured) or not measured else measured[-1]["batch"]
        recipe = self._recipe.with_training(batch=batch, compile="auto")
        self._reporter.say(f"trying XLA at {side} px, batch {batch}, for {duration(XLA_SECONDS)} at most")
        figures = try_xla(recipe, CLASSES, side, self._choice, XLA_SECONDS)
        chosen = choose_compile(recipe, self._choice.backend, "cpu", figures, 3600.0, None)
        self._engine = {"compile": chosen.compile, "says": chosen.sentence.replace("remembered", "measured now"),
                        "side": side, "batch": batch, **figures}  # fmt: skip

    def _result(self) -> dict[str, Any]:
        matrix, memory = self._limits
        return {
            **environment_facts(self._choice),
            "net": self._recipe.model.name,
            "precision": self._choice.precision,
            "limits": {"multiply_adds_per_second": matrix, "bytes_per_second": memory},
            "photos": self._photos,
            "training": sorted(map(self._with_shares, self._training), key=lambda row: (row["side"], row["batch"])),
            "prediction": list(map(self._with_shares, self._prediction)),
            "engine": self._engine,
            "complete": False,
        }


def _sides_and_batches(request: BenchRequest, recipe: Recipe) -> tuple[list[int], list[int]]:
    entry = find_entry(recipe.model.name)
    own = {phase.side for phase in recipe.training.phases} | {entry.default_side_px}
    sides = sorted(set(request.sides) or {min(max(side, entry.min_side_px), entry.max_side_px) for side in own})
    for side in sides:
        if not entry.min_side_px <= side <= entry.max_side_px:
            raise ModelError(
                f"side {side} px is not one that '{entry.name}' can have; "
                f"choose from {entry.min_side_px} to {entry.max_side_px} px"
            )
    batches = sorted(set(request.batches or BATCHES))
    if batches[0] < 1:
        raise RecipeError(f"a batch holds at least 1 photo, received {batches[0]}")
    return sides, batches


def _photos(request: BenchRequest, recipe: Recipe) -> int | None:
    """Return how many photos an epoch has: as given, or those of the data that would be trained on."""
    if request.data is None:
        if request.photos is not None and request.photos < 1:
            raise RecipeError(f"--photos wants at least 1, received {request.photos}")
        return request.photos
    if request.photos is not None:
        raise FireweedError("--photos says how many photos there are, and --data counts them; give one of the two")
    catalog = open_data(request.data)
    given = len(catalog.part("train"))
    return given or round(len(catalog) * (1 - recipe.data.validation - recipe.data.test))


def _moved_bytes(net: str, side: int, precision: str) -> int:
    """Return the bytes that one pass over one photo moves when each layer's output is written once and read once."""
    from fireweed.models.cost import layer_costs

    numbers = sum(int(np.prod(layer.output_shape)) for layer in layer_costs(build_model(net, CLASSES, side)))
    return 2 * numbers * (4 if precision == "float32" else 2)


def _median_seconds(action: Callable[[], Any]) -> float:
    from fireweed.training.stepping import median_seconds

    def timed() -> float:
        started = time.perf_counter()
        action()
        return time.perf_counter() - started

    action()
    return median_seconds(timed, LEAST_STEPS, MOST_STEPS, ENOUGH_SECONDS)


def _peak_memory_bytes() -> int | None:
    """Return the most memory so far, of the accelerator under JAX, else of this process; None where nobody counts."""
    jax = sys.modules.get("jax")
    if jax is not None and jax.local_devices()[0].platform != "cpu":
        return (jax.local_devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
    try:
        import resource
    except ImportError:  # Windows
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
