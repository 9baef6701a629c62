"""A training gives the weights to keep, records what it did, and goes on where it was stopped."""

import csv
import functools
import itertools
import time
from typing import ClassVar

import keras
import numpy as np
import pytest
import tensorflow as tf

from fireweed.errors import RunError
from fireweed.recipe import checked
from fireweed.reporting import Reporter
from fireweed.run import TIME_COLUMNS
from fireweed.training import train as training
from fireweed.training.checkpoints import newest_checkpoint, write_checkpoint
from fireweed.training.clock import Budget, ClockCourse
from fireweed.training.train import TrainingInput, train

STEPS, BATCH = 3, 4
VALIDATION = (np.random.default_rng(7).integers(0, 256, (8, 12, 12, 3), np.uint8),
              np.eye(2, dtype=np.float32)[[0, 1] * 4], np.ones(8, np.float32))  # fmt: skip


def net() -> keras.Model:
    keras.utils.set_random_seed(3)
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(4, 3, activation="relu")(x)
    x = keras.layers.BatchNormalization(momentum=0.9)(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dropout(0.3, seed=5)(x)
    return keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(x))


def recipe(**training):
    return checked({"training": {
        "phases": [{"side": 8, "epochs": 2}, {"side": 12, "epochs": 2}], "batch": BATCH, "average": 0.9,
        "average_every": 1, "schedule": {"kind": "cosine", "peak": 1e-2}, **training}})  # fmt: skip


class StoppedError(Exception):
    pass


def data(stop_at: int | None = None, seconds: float = 0.0) -> TrainingInput:
    """Batches that are a function of the step, as a plan's are; `stop_at`: the step at which the process dies.

    seconds: how long each takes to make.
    """
    made_at: dict[int, float] = {}

    def make(step, side):
        if step == stop_at:
            raise StoppedError
        time.sleep(seconds)
        made_at[int(step)] = time.monotonic()
        rng = np.random.default_rng(int(step))
        photos = rng.integers(0, 256, (BATCH, side, side, 3)).astype(np.uint8)
        labels = rng.integers(0, 2, BATCH)
        photos[labels == 1, :, :, 0] //= 4
        return photos, np.eye(2, dtype=np.float32)[labels], np.ones(BATCH, np.float32)

    def batches(side, first, last):
        def one(step):
            photos, targets, weights = tf.numpy_function(
                lambda s: make(s, side), [step], (tf.uint8, tf.float32, tf.float32)
            )
            return (tf.ensure_shape(photos, (BATCH, side, side, 3)), tf.ensure_shape(targets, (BATCH, 2)),
                    tf.ensure_shape(weights, (BATCH,)))  # fmt: skip

        return tf.data.Dataset.range(first, last).map(one)

    validation = tf.data.Dataset.from_tensor_slices(VALIDATION).batch(4)
    return TrainingInput(BATCH * STEPS, STEPS, batches, validation, made_at=lambda step: made_at.get(step, 0.0))


def run(folder, asked, model=None, stop_at=None, budget=None, **options):
    folder.mkdir(exist_ok=True)
    model = model or net()
    return train(model, asked, data(stop_at), folder, Reporter(is_silent=True), budget, **options), model


def by_clock(patch, course=ClockCourse):
    """Let a clock be that goes on by a second each time it is asked; return a budget for `recipe()` by it.

    patch: sets an attribute of a module.
    """
    ticks = itertools.count()
    patch(training, "ClockCourse", functools.partial(course, now=lambda: float(next(ticks))))
    return Budget(seconds=200.0, began=0.0, finishing=20.0, between=3.0, steps=(6.0, 6.0))


def lasting(rows):
    return [{k: v for k, v in row.items() if k not in TIME_COLUMNS} for row in rows]


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    """A training that nothing stopped, and its net: what came of it is read, and left as it is."""
    return run(tmp_path_factory.mktemp("whole"), recipe())


@pytest.mark.parametrize("stop_at", [4, 7, 10])
def test_a_stopped_training_ends_like_one_never_stopped(tmp_path, whole_run, stop_at):
    whole, never_stopped = whole_run
    with pytest.raises(Exception):  # noqa: B017 - tf.data makes its own kind of it
        run(tmp_path / "stopped", recipe(), stop_at=stop_at)
    resumed, model = run(tmp_path / "stopped", recipe())
    assert resumed.resumed_at == stop_at // STEPS
    assert lasting(resumed.history) == lasting(whole.history) and len(whole.history) == 4
    assert [row["side"] for row in whole.history] == [8, 8, 12, 12]
    for ours, theirs in zip(never_stopped.weights, model.weights, strict=True):
        assert np.array_equal(ours, theirs), ours.path


def test_a_training_by_the_clock_ends_with_it_and_goes_on_with_the_time_that_was_left(tmp_path, monkeypatch):
    whole, _ = run(tmp_path / "whole", recipe(), budget=by_clock(monkeypatch.setattr))
    rates, steps = whole.learning_rates, len(whole.learning_rates)
    assert [row["side"] for row in whole.history] == sorted(row["side"] for row in whole.history)
    assert {row["side"] for row in whole.history} == {8, 12}
    assert rates.max() > 0.8e-2 and rates[-1] < 2e-3 and rates.argmax() < steps / 2
    assert f"{len(whole.history)} epochs" in whole.notes[-1]
    with pytest.raises(Exception):  # noqa: B017 - tf.data makes its own kind of it
        run(tmp_path / "stopped", recipe(), stop_at=steps // 2, budget=by_clock(monkeypatch.setattr))
    resumed, _ = run(tmp_path / "stopped", recipe(), budget=by_clock(monkeypatch.setattr))
    assert 0 < resumed.resumed_at < len(resumed.history)
    assert len(resumed.learning_rates) == pytest.approx(steps, abs=3) and resumed.learning_rates[-1] < 2e-3
    again, _ = run(tmp_path / "stopped", recipe(), budget=by_clock(monkeypatch.setattr))
    assert len(again.history) == len(resumed.history) and len(again.learning_rates) == len(resumed.learning_rates)


def without(folder, *facts):
    """Leave facts out of a run's newest checkpoint, as an older version did."""
    kept, _ = newest_checkpoint(folder / "checkpoints")
    kept.facts = {name: value for name, value in kept.facts.items() if name not in facts}
    for row in kept.facts["rows"]:
        del row["steps"]
    write_checkpoint(folder / "checkpoints", kept)


def test_what_an_older_version_began_goes_on_or_is_told_to_be_of_one(tmp_path, whole_run, monkeypatch):
    whole, _ = whole_run
    for name, budget in (("planned", None), ("timed", by_clock(monkeypatch.setattr))):
        with pytest.raises(Exception):  # noqa: B017 - tf.data makes its own kind of it
            run(tmp_path / name, recipe(), stop_at=7, budget=budget)
        without(tmp_path / name, "steps", "course")
    resumed, _ = run(tmp_path / "planned", recipe())
    assert resumed.resumed_at == 2 and lasting(resumed.history)[2:] == lasting(whole.history)[2:]
    with pytest.raises(RunError, match="begun by an older version of Fireweed; train into another folder"):
        run(tmp_path / "timed", recipe(), budget=by_clock(monkeypatch.setattr))


def test_every_epoch_counts_its_steps(tmp_path, whole_run, monkeypatch):
    planned, _ = whole_run
    assert [row["steps"] for row in planned.history] == [STEPS] * 4
    timed, _ = run(tmp_path / "timed", recipe(), budget=by_clock(monkeypatch.setattr))
    steps = [row["steps"] for row in timed.history]
    assert sum(steps) == len(timed.learning_rates) and set(steps) != {STEPS}
    with open(tmp_path / "timed" / "history.csv", newline="") as file:
        assert [int(row["steps"]) for row in csv.DictReader(file)] == steps


def test_where_patience_ended_it_the_clock_is_not_said_to_have(tmp_path, monkeypatch):
    asked = recipe(patience=1, schedule={"kind": "constant", "peak": 1e-9})
    outcome, _ = run(tmp_path, asked, budget=by_clock(monkeypatch.setattr))
    assert outcome.stopped_early and outcome.notes[-1].startswith("patience ended the training after 2 epochs")


class Once(ClockCourse):
    """A clock whose rate is 1e-2 for the first step and 0 for all others."""

    _taken: ClassVar[list[list[float]]] = []

    def _rate_now(self):
        return 0.0 if self._taken else 1e-2


def moved_once(folder, patch):
    """Train with such a clock; return the weights before, after it, and after one step of plain Keras."""
    budget = by_clock(patch, Once)
    outcome, model = run(folder, recipe(optimizer="sgd", average=0.0, momentum=0.0), budget=budget)
    assert len(outcome.learning_rates) > 5 and list(outcome.learning_rates[:2]) == [np.float32(1e-2), 0.0]
    return [[np.array(v) for v in found.trainable_variables] for found in (net(), model, one_step())]


def test_the_rate_that_the_clock_sets_is_the_one_that_steps_take(tmp_path, monkeypatch):
    before, after, once = moved_once(tmp_path, monkeypatch.setattr)
    assert not all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    assert all(np.allclose(a, b, atol=1e-6) for a, b in zip(once, after, strict=True))


def one_step():
    """Return the net after one step at a rate of 1e-2."""
    model = net()
    model.compile(keras.optimizers.SGD(1e-2), "categorical_crossentropy")
    photos, targets, weights = (np.array(part) for part in next(iter(data().batches(8, 0, 1))))
    model.train_on_batch(photos, targets, sample_weight=weights)
    return model


def test_norm_statistics_are_computed_anew_from_unchanged_photos_where_asked(tmp_path):
    asked, models = [], {}
    for photos in (0, 6):
        folder = tmp_path / str(photos)
        folder.mkdir()
        given = data()
        given.unchanged = lambda number: asked.append(number) or [np.full((3, 12, 12, 3), 128, np.uint8)] * 2
        models[photos] = net()
        train(models[photos], recipe(norm_photos=photos), given, folder, Reporter(is_silent=True))
    assert asked == [6]
    for plain, anew in zip(models[0].weights, models[6].weights, strict=True):
        is_statistic = "moving" in plain.path
        assert np.array_equal(plain, anew) is not is_statistic, plain.path
    norm = next(layer for layer in models[6].layers if isinstance(layer, keras.layers.BatchNormalization))
    assert np.allclose(norm.moving_variance, 0, atol=1e-5)  # the photos are grey all over


def test_history_file_holds_every_epoch_and_the_rate_in_force(tmp_path):
    asked = recipe(phases=[{"side": 8, "epochs": 8}],
                   schedule={"kind": "ramp-sustain-decay", "start": 1e-5, "peak": 4e-4, "floor": 1e-5})  # fmt: skip
    with pytest.raises(Exception):  # noqa: B017 - tf.data makes its own kind of it
        run(tmp_path, asked, stop_at=3 * STEPS + 1)
    run(tmp_path, asked)
    with open(tmp_path / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == list(range(1, 9))
    expected = [1e-5, 8.8e-5, 1.66e-4, 2.44e-4, 3.22e-4, 4e-4, 3.22e-4, 2.596e-4]
    assert np.allclose([float(row["learning_rate"]) for row in rows], expected, rtol=1e-5)


def test_the_history_says_how_long_the_steps_waited_for_their_photos(tmp_path):
    for seconds in (0.3, 0.0):
        folder = tmp_path / str(seconds)
        folder.mkdir()
        outcome = train(net(), recipe(), data(seconds=seconds), folder, Reporter(is_silent=True))
        shares = [row["share_of_seconds_waited"] for row in outcome.history]
        assert all(0 <= share <= 1 for share in shares)
        assert min(shares) > 0.5 if seconds else np.median(shares) < 0.5


def test_best_epoch_is_kept_even_when_training_runs_to_its_end(tmp_path, monkeypatch):
    from fireweed.training import train as module

    rates = np.repeat(np.array([3e-2, 3e-2, 3e-2, 30.0, 30.0], np.float32), STEPS)
    monkeypatch.setattr(module, "learning_rates", lambda *arguments: rates)
    asked = recipe(phases=[{"side": 12, "epochs": 5}], keep="best", patience=5, average=0.0, optimizer="sgd")
    outcome, model = run(tmp_path, asked)
    accuracies = [row["val_accuracy"] for row in outcome.history]
    assert outcome.is_best and outcome.kept_epoch == int(np.argmax(accuracies)) + 1
    kept = float(np.mean(np.argmax(model(VALIDATION[0]), -1) == VALIDATION[1].argmax(-1)))
    assert kept == pytest.approx(max(accuracies))


def test_patience_stops_early_and_a_resume_does_not_go_past_it(tmp_path):
    asked = recipe(phases=[{"side": 12, "epochs": 9}], patience=2, schedule={"kind": "constant", "peak": 1e-9})
    outcome, _ = run(tmp_path, asked)
    assert outcome.stopped_early and len(outcome.history) == 3 and outcome.kept_epoch == 1
    again, _ = run(tmp_path, asked)
    assert len(again.history) == 3 and again.stopped_early


@pytest.mark.parametrize(("keep", "files"), [
    ("final", ["epoch-000001.npz"]), ("best", ["best-000001.npz", "epoch-000001.npz"]),
])  # fmt: skip
def test_a_loss_that_is_no_number_ends_the_run_with_the_last_good_checkpoint(keep, files, tmp_path, monkeypatch):
    from fireweed.training import train as module

    rates = np.repeat(np.array([1e-3, np.inf, 1e-3, 1e-3], np.float32), STEPS)
    monkeypatch.setattr(module, "learning_rates", lambda *arguments: rates)
    with pytest.raises(RunError, match="epoch 2: the learning rate is probably too high"):
        run(tmp_path, recipe(optimizer="sgd", average=0.0, keep=keep))
    left = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert left == files


def test_patience_begins_when_the_rate_has_risen(tmp_path):
    warm = {"kind": "ramp-sustain-decay", "start": 1e-9, "peak": 4e-9, "ramp_epochs": 3, "floor": 0.0}
    outcome, _ = run(tmp_path, recipe(phases=[{"side": 12, "epochs": 9}], patience=2, schedule=warm))
    rates = [row["learning_rate"] for row in outcome.history]
    assert rates[:4] == sorted(rates[:4]) and outcome.kept_epoch == 1
    assert outcome.stopped_early and len(outcome.history) == 4 + 2


def test_kept_weights_are_the_average_that_was_validated(whole_run):
    outcome, model = whole_run
    model.compile(loss="categorical_crossentropy")
    loss = model.evaluate(VALIDATION[0], VALIDATION[1], verbose=0)
    assert loss == pytest.approx(outcome.history[-1]["val_loss"], rel=1e-5)


def test_class_weights_act_on_the_loss_and_not_on_the_accuracy():
    """A photo that weighs 3 pulls three times as hard; the accuracy counts it once, and fillers of weight 0 never."""
    from fireweed.training.train import compile_model

    gradients, accuracies = [], []
    for weights in ([1.0, 1.0, 0.0], [3.0, 1.0, 0.0]):
        keras.utils.set_random_seed(1)
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, activation="softmax")])
        before = np.array(model.weights[1])
        compile_model(model, keras.optimizers.SGD(1.0))
        inputs, targets = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), np.eye(2)[[0, 1, 1]]
        probabilities = np.array(model(inputs))
        result = model.train_on_batch(inputs, targets, np.array(weights), return_dict=True)
        gradients.append(before - np.array(model.weights[1]))
        right = (probabilities.argmax(1) == targets.argmax(1))[:2]
        accuracies.append((result["accuracy"], right.mean()))
        expected = (np.array(weights)[:, None] * (probabilities - targets)).sum(0) / 3
        assert np.allclose(gradients[-1], expected, atol=1e-5)
    assert all(got == pytest.approx(expected) for got, expected in accuracies)


def test_a_checkpoint_of_another_net_is_told(tmp_path):
    run(tmp_path, recipe(phases=[{"side": 8, "epochs": 1}]))
    other = keras.Sequential([keras.Input((None, None, 3)), keras.layers.GlobalAveragePooling2D(),
                              keras.layers.Dense(2, activation="softmax")])  # fmt: skip
    with pytest.raises(RunError, match="another net"):
        run(tmp_path, recipe(phases=[{"side": 8, "epochs": 2}]), other)
