"""When a training's state is saved, what belongs to it, and how it is put back."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from fireweed.devices.hosts import Hosts
from fireweed.errors import RunError
from fireweed.stopping import Stops
from fireweed.training.averaging import Averaging
from fireweed.training.checkpoints import (
    Checkpoint,
    newest_checkpoint,
    read_checkpoint,
    shared_checkpoint,
    write_checkpoint,
)
from fireweed.training.health import Health
from fireweed.training.holding import as_arrays, values_now
from fireweed.training.recording import Recorder
from fireweed.training.shared_stops import SharedStops

MINUTES_BETWEEN = 5.0  # two checkpoints within an epoch, where nobody says otherwise
MOST_SHARE = 0.01  # of the time that they may take then


def found_checkpoint(folder: Path, hosts: Hosts) -> tuple[Checkpoint | None, list[str]]:
    """Return the newest readable checkpoint, on every host the one of host 0, and what to say about damaged ones."""
    found: list[Checkpoint | None] = [None]

    def read() -> tuple[bool, list[str]]:
        found[0], notes = newest_checkpoint(folder)
        return found[0] is not None, notes

    is_there, notes = hosts.settle(read)
    return (shared_checkpoint(found[0], hosts) if is_there else None), notes


class Saver(keras.callbacks.Callback):
    """Writes a checkpoint at the end of each epoch, every few minutes within one, and when a signal asks to stop.

    It comes after all callbacks that count a step or an epoch. On several hosts host 0 alone reads and writes, and does
    so too when a signal has asked another one to stop (`shared_stops.py`).

    lowered:      the epochs in which the training diverged before, and went on at half the rate.
    saved:        called when a checkpoint, and the history up to it, have been written.
    minutes:      between checkpoints within an epoch; 0 for none; None for the default, with a limit on their share of
                  the time.
    metrics:      in which the loss and the accuracy of an epoch add up; set when the net is compiled.
    """

    def __init__(
        self, folder: Path, twin: keras.Model, optimizer: Any, averaging: Averaging, recorder: Recorder, health: Health,
        hosts: Hosts, stops: Stops, lowered: list[int], saved: Callable[[], None], minutes: float | None,
    ) -> None:  # fmt: skip
        super().__init__()
        self._folder = folder
        self._twin = twin
        self._optimizer = optimizer
        self._averaging = averaging
        self._recorder = recorder
        self._health = health
        self._hosts = hosts
        self._stops = stops
        self._shared_stops = SharedStops(hosts, stops)
        self._lowered = lowered
        self._saved = saved
        self._minutes = minutes
        self.writes = hosts.is_first
        self.metrics: list[keras.Metric] = []
        self._accumulated: list[np.ndarray] = []  # of the steps of an epoch that is validated
        self._to_put_back: list[np.ndarray] = []
        self._saved_at = time.monotonic()
        self._last_took = 0.0

    @property
    def _seeds(self) -> list[Any]:
        return [v for layer in self._twin.layers for v in layer.variables if not any(v is w for w in layer.weights)]

    @property
    def _best_name(self) -> str:
        return f"best-{self._recorder.best_epoch:06d}.npz"

    @property
    def _accumulators(self) -> list[Any]:
        return [variable for metric in self.metrics for variable in metric.variables]

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        if self._to_put_back:  # only now: Keras begins an epoch with metrics at zero
            for variable, value in zip(self._accumulators, self._to_put_back, strict=True):
                variable.assign(value)
            self._to_put_back = []

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self._stop_if_asked()
        if self._is_due():
            self._save_within_epoch()

    def on_test_begin(self, logs: dict | None = None) -> None:
        self._accumulated = as_arrays(self._accumulators)
        self._stop_if_asked()

    def on_test_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self._stop_if_asked()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self._accumulated = []
        if not self._hosts.settle(self._save_epoch):  # all go back together, or none
            raise self._health.diverged()
        self._health.check_learning()
        if self._shared_stops.is_due():
            self._stops.carry_out()

    def _save_epoch(self) -> bool:
        """Write checkpoint and history at the end of an epoch; return False where the weights are lost."""
        if not self._save(with_best=self._recorder.keeps_best and self._recorder.is_best):
            return False
        self._recorder.write_history()
        self._saved()
        return True

    def _stop_if_asked(self) -> None:
        if self._shared_stops.is_due():
            self._save_within_epoch()
            self._stops.carry_out()

    def _save_within_epoch(self) -> None:
        if self.writes and self._save():
            self._saved()

    def _is_due(self) -> bool:
        waited = time.monotonic() - self._saved_at
        if self._minutes is None:
            return waited >= max(60 * MINUTES_BETWEEN, self._last_took / MOST_SHARE)
        return self._minutes > 0 and waited >= 60 * self._minutes

    def _save(self, with_best: bool = False) -> bool:
        """Write a checkpoint of this moment; return False where there is none worth having, since weights are lost."""
        began = time.monotonic()
        checkpoint = self._state()
        if not checkpoint.is_finite:
            return False
        if with_best:
            best = Checkpoint(self._recorder.epochs_done)
            best.put("weights", as_arrays(self._averaging.values()))
            write_checkpoint(self._folder, best, self._best_name)
        write_checkpoint(self._folder, checkpoint)
        # the generation before may be gone back to, with the best of that time
        for old in self._bests()[:-2]:
            old.unlink(missing_ok=True)
        self._saved_at = time.monotonic()
        self._last_took = self._saved_at - began
        return True

    def _state(self) -> Checkpoint:
        recorder, averaging = self._recorder, self._averaging
        checkpoint = Checkpoint(recorder.epochs_done, facts=recorder.state(), step=recorder.step)
        checkpoint.facts["average"] = {"updates": averaging.updates, "steps": averaging.steps}
        checkpoint.facts["lowered"] = self._lowered
        checkpoint.put("weights", as_arrays(averaging.trained_values()))
        checkpoint.put("optimizer", as_arrays(values_now(self._twin, self._optimizer.variables)))
        checkpoint.put("seeds", as_arrays(values_now(self._twin, self._seeds)))
        if averaging.is_on:
            checkpoint.put("average", as_arrays(averaging.values()))
        if recorder.step:
            added = self._accumulated or as_arrays(values_now(self._twin, self._accumulators))
            checkpoint.put("accumulators", added)
        return checkpoint

    def put_back(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint.

        Raises:
            RunError: it is of another net or recipe.
        """
        try:
            self._put_back(checkpoint)
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(
                f"the checkpoint of epoch {checkpoint.epoch} in {self._folder} is of another net or recipe than "
                "recipe.toml says; one of the two was changed: train into another folder"
            ) from error
        if self.writes:
            self._recorder.write_history()
            for best in self._bests():  # of epochs that a damaged checkpoint took with it
                if best.name > f"best-{checkpoint.epoch:06d}.npz":
                    best.unlink(missing_ok=True)

    def _put_back(self, checkpoint: Checkpoint) -> None:
        average = checkpoint.facts["average"]
        if self._averaging.is_on:
            self._averaging.restore(self._twin, checkpoint.group("average"), average["updates"], average["steps"])
        groups = {"weights": self._twin.weights, "optimizer": self._optimizer.variables, "seeds": self._seeds}
        for name, variables in groups.items():
            for variable, value in zip(variables, checkpoint.group(name), strict=True):
                variable.assign(value)
        self._recorder.restore(checkpoint.epoch, checkpoint.step, checkpoint.facts)
        self._to_put_back = checkpoint.group("accumulators")

    def put_kept_weights_in(self, model: keras.Model, is_best: bool) -> None:
        """Give `model`, wherever it lies, the weights to keep: of the best epoch, or the average at the end."""
        values = (
            read_checkpoint(self._folder / self._best_name).group("weights") if is_best
            else as_arrays(self._averaging.values())
        )  # fmt: skip
        for variable, value in zip(model.weights, values, strict=True):
            variable.assign(value)

    def _bests(self) -> list[Path]:
        return sorted(self._folder.glob("best-*.npz"))
