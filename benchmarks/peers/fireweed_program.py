"""Fireweed, through the functions that its command line calls."""

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from peers.clock import memory_status_bytes, run_command, since_start_seconds, step_facts
from peers.squares import read_squares


def step(
    net: str, side_px: int, batch: int, warm: int, timed: int, photos: str, is_half: bool = False
) -> dict[str, Any]:
    """Time training steps of the engine on one batch of photos that lies ready; `is_half`: in mixed_bfloat16."""
    from fireweed.models.cost import layer_costs, total_cost
    from fireweed.models.registry import build_model

    twin = engine(net, "mixed_bfloat16" if is_half else "float32")
    times = step_times()
    twin.fit(ready_batch(photos, batch, side_px), epochs=1, steps_per_epoch=warm + timed, verbose=0, callbacks=[times])
    model = build_model(net, 5, side_px)
    cost = total_cost(model)
    kinds = ("Conv2D", "SeparableConv2D", "DepthwiseConv2D", "Dense")
    outputs = sum(int(np.prod(c.output_shape)) for c in layer_costs(model) if c.kind in kinds)
    return {
        **step_facts(batch, times.seconds, warm),
        "first_step_seconds": times.first_step_seconds,
        "parameters": cost.parameters,
        "multiply_adds": cost.multiply_adds,
        "activation_bytes": 4 * outputs,
    }


def epoch(net: str, side_px: int, batch: int, warm: int, photos: str) -> dict[str, Any]:
    """Time the first two epochs on a folder of photos, input included, and steps alone before and after them."""
    from fireweed.api.building import TrainingParts
    from fireweed.api.preparing import prepare_data
    from fireweed.reporting import Reporter

    recipe = recipe_of(net, batch, side_px)
    prepared = prepare_data(photos, recipe.data, Reporter(is_silent=True))
    twin = engine(net)
    ready = ready_batch(photos, batch, side_px)
    before, first, later, after = (step_times() for _ in range(4))
    twin.fit(ready, epochs=1, steps_per_epoch=2 * warm, verbose=0, callbacks=[before])
    parts = TrainingParts(recipe, prepared.catalog, None)
    for number, times in enumerate((first, later)):
        batches = parts.input().batches(side_px, number * parts.steps, (number + 1) * parts.steps)
        twin.fit(batches, epochs=1, steps_per_epoch=parts.steps, shuffle=False, verbose=0, callbacks=[times])
    twin.fit(ready, epochs=1, steps_per_epoch=2 * warm, verbose=0, callbacks=[after])
    alone = before.seconds[warm:] + after.seconds[warm:]
    rate, later_rate = (parts.steps * batch / sum(times.seconds) for times in (first, later))
    return {"rate": rate, "later_rate": later_rate, "step_rate": step_facts(batch, alone, 0)["rate"]}


def read_input(
    photos: str, shards: str, side_px: int, batch: int, passes: int, memory_bytes: int | None = None
) -> dict[str, Any]:
    """Time the epochs of the input alone, with flip and saturation, each to its last batch."""
    import tensorflow as tf  # noqa: F401 - start-up is not measured

    from fireweed.data.changes import AugmentSettings
    from fireweed.data.pipeline import Batches
    from fireweed.data.plan import Plan
    from fireweed.data.sources import open_data
    from fireweed.data.squares import SquareCache

    catalog = open_data(shards or photos)
    keys = [f"{i:064x}" for i in range(len(catalog))]
    plan = Plan(0, keys, catalog.labels(), batch, AugmentSettings(flip=True, saturation=(0.0, 2.0)))
    cache = SquareCache(catalog.photos, side_px, "crop", memory_bytes)
    batches = Batches(cache, catalog.labels(), len(catalog.classes), batch)
    seconds = []
    for number in range(passes):
        started = ended = time.perf_counter()
        for _ in batches.training(plan, side_px, number * plan.steps, (number + 1) * plan.steps):
            ended = time.perf_counter()
        seconds.append(ended - started)
    rates = [len(catalog) / s for s in seconds]
    return {"photos": len(catalog), "first_rate": rates[0], "later_rates": rates[1:], "seconds": seconds,
            "held_bytes": memory_status_bytes("RssAnon")}  # fmt: skip


def write_shards(photos: str, side_px: int, count: int) -> dict[str, Any]:
    """Time all that `fireweed shards` does once it has started: survey, twins, split, writing."""
    import tensorflow as tf  # noqa: F401 - start-up is not measured

    from fireweed.api.sharding import make_shards
    from fireweed.reporting import Reporter

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "shards")
        started = time.perf_counter()
        make_shards(photos, str(out), side_px, count, "crop", 95, Reporter(is_silent=True))
        seconds = time.perf_counter() - started
        records = sum(int(path.stem.rsplit("-", 1)[1]) for path in out.glob("*.tfrec"))
    return {"rate": records / seconds}


def predict(bundle: str, folder: str, side_px: int, singles: int) -> dict[str, Any]:
    """Time answers for a folder, the model open already, then for photos one by one."""
    from fireweed.api.using import open_model
    from fireweed.reporting import Reporter
    from fireweed.serving.predict import expand_paths, predict_files

    opened = open_model(bundle, Reporter(is_silent=True))
    started = time.perf_counter()
    answers = list(predict_files(opened, expand_paths([folder])))
    seconds = time.perf_counter() - started
    assert all(answer.error is None for answer in answers)
    latencies = []
    for path in sorted(Path(folder).iterdir())[: singles + 1]:
        before = time.perf_counter()
        list(predict_files(opened, [path]))
        latencies.append(time.perf_counter() - before)
    return {"rate": len(answers) / seconds, "photos": len(answers), "latency_seconds": float(np.median(latencies[1:]))}


def prepare_bundle(net: str, side_px: int, out: str) -> dict[str, Any]:
    """Write a bundle of a net with random weights, for predictions."""
    from fireweed.api.starting import start_framework
    from fireweed.bundle import write_bundle
    from fireweed.models.registry import build_model
    from fireweed.reporting import Reporter
    from peers.squares import CLASSES

    start_framework(Reporter(is_silent=True))
    Path(out).mkdir(parents=True, exist_ok=True)
    model = build_model(net, len(CLASSES), side_px)
    facts = {"classes": list(CLASSES), "side": side_px, "fit": "crop", "temperature": None}
    write_bundle(Path(out), model, facts)
    return {"multiply_adds": _multiply_adds(model)}


def prepare_shards(photos: str, out: str, side_px: int, count: int) -> dict[str, Any]:
    """Write the shards that both programs read their input from."""
    from fireweed.api.sharding import make_shards
    from fireweed.reporting import Reporter

    make_shards(photos, out, side_px, count, "crop", 95, Reporter(is_silent=True))
    return {}


def _multiply_adds(model: Any) -> int:
    from fireweed.models.cost import total_cost

    return total_cost(model).multiply_adds


def engine(net: str, precision: str = "float32") -> Any:
    """Return the fast twin of a net for 5 classes, compiled with the codelab's optimizer as a training does it."""
    from fireweed.devices import choose_device, prepare_process

    prepare_process(choose_device("cpu"))
    import keras

    from fireweed.models.registry import build_model
    from fireweed.training.engine import fast_twin
    from fireweed.training.optimizers import build_optimizer
    from fireweed.training.train import compile_model

    keras.utils.set_random_seed(0)
    keras.mixed_precision.set_dtype_policy(precision)
    twin = fast_twin(build_model(net, 5, None))
    rates = np.full(1000, 1e-3, np.float32)
    compile_model(twin, build_optimizer(recipe_of(net, 32, 192).training, rates, twin))
    return twin


def recipe_of(net: str, batch: int, side_px: int) -> Any:
    """Return the codelab's recipe of a net, resolved to one epoch of this batch and side, from random weights."""
    from fireweed.recipe import read_recipe
    from fireweed.resolving import resolve

    settings = (f"training.batch={batch}", f"training.phases=[{{side={side_px}, epochs=1}}]", 'model.weights="none"')
    asked = read_recipe(f"{net}-codelab", settings)
    return resolve(asked, [batch * 10] * 5, batch, False, "float32").recipe


def step_times() -> Any:
    """Return the callback that keeps the seconds from the end of one step to the end of the next."""
    import keras

    class StepTimes(keras.callbacks.Callback):
        def __init__(self) -> None:
            super().__init__()
            self.seconds: list[float] = []
            self.first_step_seconds = self._before = 0.0
            self._last = -1

        def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
            self._before = time.perf_counter()

        def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
            now, steps = time.perf_counter(), batch - self._last  # more than 1 where one execution runs several
            self.seconds += [(now - self._before) / steps] * steps
            self._before, self._last = now, batch
            self.first_step_seconds = self.first_step_seconds or since_start_seconds()

    return StepTimes()


def ready_batch(photos: str, batch: int, side_px: int) -> Any:
    """Return one batch of photos without end, as the pipeline makes them: uint8, targets, weights."""
    import tensorflow as tf

    images, labels = read_squares(photos, batch, side_px)
    targets = np.eye(5, dtype=np.float32)[labels]
    return tf.data.Dataset.from_tensors((images, targets, np.ones(batch, np.float32))).cache().repeat()


if __name__ == "__main__":
    run_command({"step": step, "epoch": epoch, "input": read_input, "shards": write_shards, "predict": predict,
                 "prepare-bundle": prepare_bundle, "prepare-shards": prepare_shards})  # fmt: skip
