"""The training, readable from top to bottom: twin, optimizer, average, then Keras's own `fit` once a phase.

With a budget of time the course of the training follows the clock, else it is the recipe's epochs.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from fireweed.devices.backends import computes_on_cpu, quietly
from fireweed.devices.hosts import ALONE, Hosts
from fireweed.devices.layout import apart
from fireweed.errors import FireweedError, RunError, out_of_memory
from fireweed.files import disk_full
from fireweed.recipe import Recipe
from fireweed.reporting import Reporter
from fireweed.settings import TrainingSettings
from fireweed.training.averaging import Averaging
from fireweed.training.checkpoints import (
    Checkpoint,
    newest_checkpoint,
    read_checkpoint,
    shared_checkpoint,
    write_checkpoint,
)
from fireweed.training.clock import Budget, ClockCourse
from fireweed.training.course import Course
from fireweed.training.engine import copy_variables, fast_twin
from fireweed.training.metrics import PhotoAccuracy
from fireweed.training.norms import photos_for_norms, recompute_norms
from fireweed.training.optimizers import build_optimizer
from fireweed.training.pacing import PromptCallbacks, queues_steps
from fireweed.training.recording import Recorder, interrupts_noted
from fireweed.training.schedules import learning_rates
from fireweed.training.seeding import set_seeds


@dataclass
class TrainingInput:
    """The batches of a training: what the pipeline makes, as the training needs it.

    photos, steps: photos trained on, and steps an epoch has.
    batches:       (side, first step, last step) -> a data set of (images, targets, weights) that Keras takes, steps
                   counted from the start of the training.
    validation:    a finite one of the same at the evaluation side.
    failure:       the error that stopped the input, if one did (tf.data would show it as its own).
    unchanged:     number -> batches of at most so many training photos, as evaluation has them.
    made_at:       step -> when its batch was ready, by time.monotonic(); 0 where that is not known.
    """

    photos: int
    steps: int
    batches: Callable[[int, int, int], Any]
    validation: Any
    failure: Callable[[], FireweedError | None] = lambda: None
    unchanged: Callable[[int], Iterable[np.ndarray]] = lambda number: ()
    made_at: Callable[[int], float] = lambda step: 0.0


@dataclass
class Outcome:
    """What a training gave."""

    history: list[dict[str, Any]]
    learning_rates: np.ndarray
    kept_epoch: int  # counted from 1
    is_best: bool  # whether the kept epoch was picked on validation
    stopped_early: bool
    resumed_at: int | None
    model: keras.Model  # with the weights to keep: the one passed in, or on several hosts host 0's own copy
    notes: list[str] = field(default_factory=list)
    ended_at: float = 0.0  # when the last epoch did, by time.monotonic()
    images_per_second: dict[int, float] = field(default_factory=dict)  # of this process's steps, by side


def train(
    model: keras.Model, recipe: Recipe, data: TrainingInput, folder: Path, reporter: Reporter,
    budget: Budget | None = None, hosts: Hosts = ALONE, saved: Callable[[], None] = lambda: None,
) -> Outcome:  # fmt: skip
    """Train `model` in place by a resolved recipe, going on from the newest checkpoint where there is one.

    model:  a plain Keras model that takes the sides of all phases; ends with the weights to keep (averaged, or best).
            On several hosts it belongs to all of them, and a copy that host 0 has alone gets these weights.
    folder: the run's folder; history.csv, checkpoints/ and logs/ are written there, by host 0.
    budget: the time in which all has to be done; None: the recipe's epochs are made, however long they take.
    saved:  called on host 0 when a checkpoint and the history up to it have been written.

    Raises:
        RunError: the checkpoints are damaged, the disk is full, or the loss is not a number.
    """
    settings = recipe.training
    course = (
        Course(recipe, data.steps, learning_rates(recipe, data.steps)) if budget is None
        else ClockCourse(recipe, data.steps, budget)
    )  # fmt: skip
    set_seeds(settings.seed)  # the twin's drop-outs draw their seeds when they are made
    twin = fast_twin(model, settings.compile, settings.norms)
    optimizer = build_optimizer(settings, course.learning_rate, twin)
    averaging = Averaging(settings.average, settings.average_every)
    recorder = Recorder(recipe, data, course, folder, reporter)
    save = Saver(folder / "checkpoints", twin, optimizer, averaging, recorder, hosts, saved)

    averaging.start(twin)
    notes = save.restore()
    resumed_at = recorder.epochs_done or None
    if resumed_at:
        reporter.say(f"resuming after epoch {resumed_at} {recorder.what_is_left}")
    for note in notes:
        reporter.warn(note)

    with interrupts_noted(recorder):
        _fit_stretches(twin, optimizer, settings, data, folder, (course, averaging, recorder, save))
    ended_at = time.monotonic()

    def keep_in(net: keras.Model) -> None:
        save.put_kept_weights_in(net, recorder.keeps_best)
        if photos := photos_for_norms(net, settings, data.photos):
            recompute_norms(net, data.unchanged(photos), photos, reporter)

    if hosts.count == 1:
        keep_in(twin)
        if twin is not model:
            copy_variables(twin, model)
    elif hosts.is_first:
        with apart():  # the others do not take part in what follows, and on their devices nothing goes without them
            with quietly():  # Keras imports TensorFlow here, where it is installed
                model = type(model).from_config(model.get_config())
            keep_in(model)
    notes += course.notes(recorder.epochs_done, recorder.stopped_early)
    return Outcome(
        recorder.rows, course.rates_taken(), recorder.kept_epoch, recorder.keeps_best, recorder.stopped_early,
        resumed_at, model, notes, ended_at, recorder.speeds.images_per_second(),
    )  # fmt: skip


def _fit_stretches(
    twin: keras.Model, optimizer: Any, settings: TrainingSettings, data: TrainingInput, folder: Path,
    watchers: tuple[Course, Averaging, Recorder, "Saver"],
) -> None:  # fmt: skip
    """Run Keras's own `fit` once a stretch of the course, from where the recorder says the training is."""
    course, averaging, recorder, save = watchers
    phase = None
    while (stretch := course.next_stretch(recorder.epochs_done)) and not recorder.has_ended:
        recorder.side = stretch.side
        if stretch.phase != phase:
            compile_model(twin, optimizer, settings.compile)
            phase = stretch.phase
        callbacks = [course, averaging, recorder, save]
        if save.writes:
            callbacks.append(tensorboard(folder / "logs", lambda: course.rate_after(recorder.steps_done)))
        steps = (stretch.last_epoch - recorder.epochs_done) * stretch.epoch_steps
        try:
            twin.fit(
                data.batches(stretch.side, recorder.steps_done, recorder.steps_done + steps),
                initial_epoch=recorder.epochs_done,
                epochs=stretch.last_epoch,
                steps_per_epoch=stretch.epoch_steps,
                validation_data=data.validation,
                shuffle=False,  # the plan has seen to it
                verbose=0,
                callbacks=PromptCallbacks(callbacks, add_history=True, model=twin) if queues_steps() else callbacks,
            )
        except Exception as error:
            raise data.failure() or disk_full(error, folder) or out_of_memory(error) or error from error
        finally:
            recorder.close()


def compile_model(
    model: keras.Model, optimizer: keras.optimizers.Optimizer | None = None, compile: str = "auto"
) -> None:
    """Compile for batches of the pipeline, whose weights act on the loss and leave the accuracy alone.

    compile: "xla" or "none", as `training/choices.py` chose; "auto", in runs that were resolved before there was a
             choice, is none on a CPU. JAX has XLA only, also where a run goes on that TensorFlow began.
    """
    if keras.backend.backend() != "tensorflow":
        jit: bool | str = "auto"
    elif compile == "auto":
        jit = False if computes_on_cpu() else "auto"
    else:
        jit = compile == "xla"
    model.compile(
        optimizer=optimizer,
        loss=keras.losses.CategoricalCrossentropy(),
        weighted_metrics=[PhotoAccuracy(name="accuracy")],
        jit_compile=jit,
    )


def tensorboard(folder: Path, rate: Callable[[], float]) -> keras.callbacks.Callback:
    """Return what writes the figures of each epoch for TensorBoard; Keras's own can only with TensorFlow."""
    if keras.backend.backend() != "tensorflow":
        from fireweed.training.events import EpochEvents

        return EpochEvents(folder, rate)
    return keras.callbacks.TensorBoard(folder, write_graph=False, write_steps_per_second=False, profile_batch=0)


class Saver(keras.callbacks.Callback):
    """Writes a checkpoint at the end of each epoch, after the recorder has counted it, and restores the newest.

    On several hosts host 0 alone reads and writes, and tells the others what it read.
    """

    def __init__(
        self, folder: Path, twin: keras.Model, optimizer: Any, averaging: Averaging, recorder: Recorder, hosts: Hosts,
        saved: Callable[[], None],
    ) -> None:  # fmt: skip
        super().__init__()
        self._folder = folder
        self._twin = twin
        self._optimizer = optimizer
        self._averaging = averaging
        self._recorder = recorder
        self._hosts = hosts
        self._saved = saved
        self.writes = hosts.is_first

    @property
    def _seeds(self) -> list[Any]:
        return [v for layer in self._twin.layers for v in layer.variables if not any(v is w for w in layer.weights)]

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if not self.writes:
            return
        self._folder.mkdir(exist_ok=True)
        if self._recorder.is_best:
            best = Checkpoint(epoch + 1)
            best.put("weights", _arrays(self._averaging.values()))
            write_checkpoint(self._folder, best, self._best_name)
        checkpoint = Checkpoint(epoch + 1, facts=self._recorder.state())
        checkpoint.facts["average"] = {"updates": self._averaging.updates, "steps": self._averaging.steps}
        checkpoint.put("weights", _arrays(self._twin.weights))
        checkpoint.put("optimizer", _arrays(self._optimizer.variables))
        checkpoint.put("seeds", _arrays(self._seeds))
        if self._averaging.is_on:
            checkpoint.put("average", _arrays(self._averaging.values()))
        write_checkpoint(self._folder, checkpoint)
        # only now: until this epoch's checkpoint is there, a resume goes by the one before and its best
        for old in self._folder.glob("best-*.npz"):
            if old.name != self._best_name:
                old.unlink()
        self._recorder.write_history()
        self._saved()

    @property
    def _best_name(self) -> str:
        return f"best-{self._recorder.best_epoch:06d}.npz"

    def restore(self) -> list[str]:
        """Put the newest readable checkpoint in place; return what there is to say about damaged ones."""
        found: list[Checkpoint | None] = [None]

        def read() -> tuple[bool, list[str]]:
            found[0], notes = newest_checkpoint(self._folder)
            return found[0] is not None, notes

        is_there, notes = self._hosts.settle(read)
        if not is_there:
            return notes
        checkpoint = shared_checkpoint(found[0], self._hosts)
        try:
            self._put_back(checkpoint)
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(
                f"the checkpoint of epoch {checkpoint.epoch} in {self._folder} is of another net or recipe than "
                "recipe.toml says; one of the two was changed: train into another folder"
            ) from error
        if self.writes:
            self._recorder.write_history()
        return notes

    def _put_back(self, checkpoint: Checkpoint) -> None:
        average = checkpoint.facts.pop("average")
        if self._averaging.is_on:
            self._averaging.restore(self._twin, checkpoint.group("average"), average["updates"], average["steps"])
        groups = {"weights": self._twin.weights, "optimizer": self._optimizer.variables, "seeds": self._seeds}
        for name, variables in groups.items():
            for variable, value in zip(variables, checkpoint.group(name), strict=True):
                variable.assign(value)
        self._recorder.restore(checkpoint.epoch, checkpoint.facts)

    def put_kept_weights_in(self, model: keras.Model, is_best: bool) -> None:
        """Give `model`, wherever it lies, the weights to keep: of the best epoch, or the average at the end."""
        values = (
            read_checkpoint(self._folder / self._best_name).group("weights") if is_best
            else _arrays(self._averaging.values())
        )  # fmt: skip
        for variable, value in zip(model.weights, values, strict=True):
            variable.assign(value)


def _arrays(values: Iterable[Any]) -> list[np.ndarray]:
    """Return variables or tensors as arrays; of copies on several devices, which are alike, the first."""
    return [np.asarray(keras.ops.convert_to_tensor(value)) for value in values]
