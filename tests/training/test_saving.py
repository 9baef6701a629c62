"""A training is saved at any step, also when a signal stops it, and goes on there as if it had never stopped."""

import os
import signal
import time

import numpy as np
import pytest
import test_train as t

from fireweed.stopping import Terminated
from fireweed.training import saving
from fireweed.training.checkpoints import newest_checkpoint
from fireweed.training.recording import Recorder

EACH_STEP = 1e-9  # minutes


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    outcome, model = t.run(tmp_path_factory.mktemp("whole"), t.recipe())
    return t.lasting(outcome.history), model


def ends_alike(folder, whole):
    resumed, model = t.run(folder, t.recipe())
    assert t.lasting(resumed.history) == whole[0]
    assert all(np.array_equal(a, b) for a, b in zip(model.weights, whole[1].weights, strict=True))
    return resumed


@pytest.mark.parametrize("stop_at", [1, 5, 7])
def test_a_killed_training_goes_on_at_the_very_step(tmp_path, whole, stop_at):
    with pytest.raises(Exception):  # noqa: B017 - tf.data makes its own kind of it
        t.run(tmp_path, t.recipe(), stop_at=stop_at, checkpoint_minutes=EACH_STEP)
    found, _ = newest_checkpoint(tmp_path / "checkpoints")
    assert (found.epoch, found.step) == divmod(stop_at, t.STEPS)
    assert ends_alike(tmp_path, whole).resumed_at == found.epoch


def signalled(monkeypatch, moment, steps, number):
    """Let a signal come when so many steps are done: after a step, or in the validation that follows."""
    before = getattr(Recorder, moment, lambda *given: None)

    def and_signal(self, *given, **named):
        before(self, *given, **named)
        if self.steps_done + self.step == steps:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(Recorder, moment, and_signal, raising=False)


@pytest.mark.skipif(os.name != "posix", reason="signals of Unix")
@pytest.mark.parametrize(
    ("moment", "steps", "number", "kind"),
    [
        ("on_train_batch_end", 4, signal.SIGTERM, Terminated),
        ("on_train_batch_end", 2 * t.STEPS, signal.SIGINT, KeyboardInterrupt),
        ("on_test_begin", 3 * t.STEPS, signal.SIGTERM, Terminated),
        ("on_test_batch_begin", t.STEPS, signal.SIGINT, KeyboardInterrupt),
    ],
)
def test_a_signal_lets_the_step_end_saves_and_stops(tmp_path, whole, monkeypatch, moment, steps, number, kind):
    signalled(monkeypatch, moment, steps, number)
    with pytest.raises(kind):
        t.run(tmp_path, t.recipe(), checkpoint_minutes=0)
    monkeypatch.undo()
    found, _ = newest_checkpoint(tmp_path / "checkpoints")
    assert found.epoch * t.STEPS + found.step == steps and found.step
    assert found.facts["part"]["is_trained"] is (steps % t.STEPS == 0)
    ends_alike(tmp_path, whole)


def test_the_seconds_of_an_epoch_that_was_stopped_add_up(tmp_path, monkeypatch):
    begin = Recorder.on_train_batch_begin

    def slow_begin(self, *given, **named):
        begin(self, *given, **named)
        time.sleep(0.15)

    def slow(stop_at=None):
        given = t.data(stop_at)
        return t.train(t.net(), t.recipe(), given, tmp_path, t.Reporter(is_silent=True), checkpoint_minutes=EACH_STEP)

    monkeypatch.setattr(Recorder, "on_train_batch_begin", slow_begin)

    with pytest.raises(Exception):  # noqa: B017 - tf.data makes its own kind of it
        slow(t.STEPS + 2)
    part = newest_checkpoint(tmp_path / "checkpoints")[0].facts["part"]
    assert part["steps"] == 2 and part["warm_steps"] == 1 and part["seconds"] >= 0.3
    row = slow().history[1]
    assert row["steps"] == t.STEPS and row["seconds"] >= part["seconds"] + 0.15
    assert row["images_per_second"] <= t.BATCH * t.STEPS / (0.15 * t.STEPS)


def test_a_training_by_the_clock_goes_on_within_its_epoch(tmp_path, monkeypatch):
    with pytest.raises(Exception):  # noqa: B017 - tf.data makes its own kind of it
        t.run(tmp_path, t.recipe(), stop_at=4, budget=t.by_clock(monkeypatch.setattr), checkpoint_minutes=EACH_STEP)
    outcome, _ = t.run(tmp_path, t.recipe(), budget=t.by_clock(monkeypatch.setattr))
    assert sum(row["steps"] for row in outcome.history) == len(outcome.learning_rates)
    assert [row["epoch"] for row in outcome.history] == list(range(1, len(outcome.history) + 1))


def test_checkpoints_within_an_epoch_keep_to_their_minutes_and_their_share(monkeypatch):
    saver = saving.Saver.__new__(saving.Saver)
    times = iter([60.0, 300.0, 400.0, 900.0, 60.0, 120.0, 1e9])
    monkeypatch.setattr(saving.time, "monotonic", lambda: next(times))
    saver._saved_at, saver._minutes, saver._last_took = 0.0, None, 0.1
    assert [saver._is_due(), saver._is_due()] == [False, True]
    saver._last_took = 8.0  # a slow disk
    assert [saver._is_due(), saver._is_due()] == [False, True]
    saver._minutes = 1.5
    assert [saver._is_due(), saver._is_due()] == [False, True]
    saver._minutes = 0
    assert not saver._is_due()


def test_a_damaged_checkpoint_does_not_count_as_a_generation(tmp_path, whole):
    with pytest.raises(Exception):  # noqa: B017 - tf.data makes its own kind of it
        t.run(tmp_path, t.recipe(), stop_at=8, checkpoint_minutes=EACH_STEP)
    folder = tmp_path / "checkpoints"
    newest = folder / "epoch-000002-step-00000002.npz"
    newest.write_bytes(newest.read_bytes()[:-100])
    with pytest.raises(Exception):  # noqa: B017
        t.run(tmp_path, t.recipe(), stop_at=8, checkpoint_minutes=EACH_STEP)
    assert (folder / f"damaged-{newest.name}").exists()
    assert newest_checkpoint(folder)[0].step == 2
    ends_alike(tmp_path, whole)
