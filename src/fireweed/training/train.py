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
from fireweed.errors import FireweedError, out_of_memory
from fireweed.files import disk_full
from fireweed.recipe import Recipe
from fireweed.reporting import Reporter
from fireweed.resolving import validate_every
from fireweed.settings import TrainingSettings
from fireweed.stopping import Stops, signals_noted
from fireweed.text import counted
from fireweed.training.averaging import Averaging
from fireweed.training.checkpoints import Checkpoint
from fireweed.training.clock import Budget, ClockCourse
from fireweed.training.course import Course, Stretch
from fireweed.training.engine import copy_variables, fast_twin
from fireweed.training.health import DivergedError, FailedTrainingError, Health
from fireweed.training.metrics import PhotoAccuracy
from fireweed.training.norms import photos_for_norms, recompute_norms
from fireweed.training.optimizers import build_optimizer
from fireweed.training.pacing import PromptCallbacks, queues_steps
from fireweed.training.recording import Recorder
from fireweed.training.saving import Saver, found_checkpoint
from fireweed.training.schedules import learning_rates
from fireweed.training.seeding import set_seeds
from fireweed.training.validating import validate


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
    chance:        0..1, the share of the most frequent class in what is trained on; 0 where that is not known.
    chance_loss:   the least loss of answers that are the same for all photos; 0 where that is not known.
    validated:     validation photos.
    """

    photos: int
    steps: int
    batches: Callable[[int, int, int], Any]
    validation: Any
    failure: Callable[[], FireweedError | None] = lambda: None
    unchanged: Callable[[int], Iterable[np.ndarray]] = lambda number: ()
    made_at: Callable[[int], float] = lambda step: 0.0
    chance: float = 0.0
    chance_loss: float = 0.0
    validated: int = 0


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
    checkpoint_minutes: float | None = None,
) -> Outcome:  # fmt: skip
    """Train `model` in place by a resolved recipe, going on from the newest checkpoint where there is one.

    model:  a plain Keras model that takes the sides of all phases; ends with the weights to keep (averaged, or best).
            On several hosts it belongs to all of them, and a copy that host 0 has alone gets these weights.
    folder: the run's folder; history.csv, checkpoints/ and logs/ are written there, by host 0.
    budget: the time in which all has to be done; None: the recipe's epochs are made, however long they take.
    saved:  called on host 0 when a checkpoint and the history up to it have been written.
    checkpoint_minutes: between checkpoints within an epoch; 0 for none, None for the default.

    A loss that is not a number lets the training go back to its last checkpoint, at half the rate, as often as
    `training.retries` says.

    Raises:
        RunError: the checkpoints are damaged, or the disk is full.
        FailedTrainingError: the loss is not a number, or the net does not learn; `model` has then the weights of the
            last checkpoint, where there is one, and the error its outcome.
        KeyboardInterrupt, Terminated: a signal asked to stop, and a checkpoint was written.
    """
    lowered: list[int] = []
    deadline: float | None = None  # of the start that falls back: what it did in vain is part of its time
    first_weights = model.get_weights() if recipe.training.retries else []
    with signals_noted() as stops:
        while True:
            found, notes = found_checkpoint(folder / "checkpoints", hosts)
            if found is None and lowered:
                model.set_weights(first_weights)
            lowered = max(lowered, found.facts.get("lowered", []) if found else [], key=len)
            work = _Work(
                model, recipe, data, folder, reporter, budget, hosts, stops, lowered, saved, checkpoint_minutes
            )
            work.begin(found, notes, deadline)
            found = None  # it is as large as all that it was put back into
            try:
                with stops.deferred():
                    work.fit()
                break
            except FailedTrainingError as error:
                if not isinstance(error, DivergedError) or len(lowered) >= recipe.training.retries:
                    error.outcome = _last_good(work, hosts)
                    raise
                lowered, deadline = [*lowered, error.epoch], work.course.deadline
                reporter.warn(f"the loss is not a number in epoch {error.epoch}; going back, at half the rate")
        return work.outcome()


def _last_good(work: "_Work", hosts: Hosts) -> Outcome | None:
    """Return what the newest checkpoint gives, its weights put into the model; None where there is none."""
    found, _ = found_checkpoint(work.folder / "checkpoints", hosts)
    if found is None or (work.recorder.keeps_best and not found.epoch):
        return None
    work.save.put_back(found)
    return work.outcome()


class _Work:
    """A training from one start, or one fall back to a lower rate, to its end: what learns, and what watches it."""

    def __init__(
        self, model: keras.Model, recipe: Recipe, data: TrainingInput, folder: Path, reporter: Reporter,
        budget: Budget | None, hosts: Hosts, stops: Stops, lowered: list[int], saved: Callable[[], None],
        checkpoint_minutes: float | None,
    ) -> None:  # fmt: skip
        self._model, self._data, self._reporter, self._hosts, self.folder = model, data, reporter, hosts, folder
        self._settings = settings = recipe.training
        recipe = _at_lower_rate(recipe, 0.5 ** len(lowered))
        every = validate_every(settings, data.photos, data.validated)
        self.course = (
            Course(recipe, data.steps, learning_rates(recipe, data.steps), every) if budget is None
            else ClockCourse(recipe, data.steps, budget, every)
        )  # fmt: skip
        set_seeds(settings.seed)  # the twin's drop-outs draw their seeds when they are made
        self._twin = fast_twin(model, settings.compile, settings.norms)
        self._optimizer = build_optimizer(settings, self.course.learning_rate, self._twin)
        self._averaging = Averaging(settings.average, settings.average_every)
        self.recorder = Recorder(recipe, data, self.course, folder, reporter)
        health = Health(recipe, data, self.recorder)
        self.save = Saver(
            folder / "checkpoints", self._twin, self._optimizer, self._averaging, self.recorder, health, hosts, stops,
            lowered, saved, checkpoint_minutes,
        )  # fmt: skip
        self._watchers = (self.course, self._averaging, self.recorder, self.save, health)
        self._lowered = lowered
        self._resumed_at: int | None = None
        self._notes: list[str] = []

    def begin(self, found: Checkpoint | None, notes: list[str], deadline: float | None) -> None:
        """Go on from a checkpoint, or begin; notes: of damaged ones; deadline: of the start that this one fell from."""
        self._averaging.start(self._twin)
        self._notes = notes
        for note in notes:
            self._reporter.warn(note)
        if found is None:
            return
        self.save.put_back(found)
        self.course.deadline = deadline or self.course.deadline
        self._resumed_at = found.epoch
        where = f"{counted(found.step, 'step')} of epoch {found.epoch + 1}" if found.step else f"epoch {found.epoch}"
        self._reporter.say(f"resuming after {where} {self.recorder.what_is_left}")

    def fit(self) -> None:
        """Train to the end."""
        if self.course.validated != 1:
            self._reporter.say(
                f"not every epoch is validated, the weights at the end are: for {self._data.photos:,} photos to train "
                f"on, {self._data.validated:,} of validation are many"
            )
        _fit_stretches(self._twin, self._optimizer, self._settings, self._data, self.folder, self._watchers)

    def outcome(self) -> Outcome:
        """Put the weights to keep into the model and return what the training gave."""
        ended_at = time.monotonic()
        model, recorder, course = self._model, self.recorder, self.course
        if self._hosts.count == 1:
            self._keep_in(self._twin)
            if self._twin is not model:
                copy_variables(self._twin, model)
        elif self._hosts.is_first:
            with apart():  # the others take no part in what follows, and on their devices nothing goes without them
                with quietly():  # Keras imports TensorFlow here, where it is installed
                    model = type(model).from_config(model.get_config())
                self._keep_in(model)
        lost = (f"the loss was not a number in epoch {epoch}; gone back, at half the rate" for epoch in self._lowered)
        notes = [*self._notes, *lost, *course.notes(recorder.epochs_done, recorder.stopped_early)]
        return Outcome(
            recorder.rows, course.rates_taken(), recorder.kept_epoch, recorder.keeps_best, recorder.stopped_early,
            self._resumed_at, model, notes, ended_at, recorder.speeds.images_per_second(),
        )  # fmt: skip

    def _keep_in(self, net: keras.Model) -> None:
        self.save.put_kept_weights_in(net, self.recorder.keeps_best)
        if photos := photos_for_norms(net, self._settings, self._data.photos):
            recompute_norms(net, self._data.unchanged(photos), photos, self._reporter)


def _at_lower_rate(recipe: Recipe, share: float) -> Recipe:
    """Return the recipe with its learning rates at a share of what they are."""
    if share == 1:
        return recipe
    plan = recipe.training.schedule
    return recipe.with_training(
        schedule=plan.model_copy(
            update={"peak": plan.peak * share, "start": plan.start * share, "floor": plan.floor * share}
        )
    )


def _fit_stretches(
    twin: keras.Model, optimizer: Any, settings: TrainingSettings, data: TrainingInput, folder: Path,
    watchers: tuple[Course, Averaging, Recorder, Saver, Health],
) -> None:  # fmt: skip
    """Run Keras's own `fit` once a stretch of the course, from where the recorder says the training is."""
    course, averaging, recorder, save, health = watchers
    health.check_learning()
    phase = None
    while not recorder.has_ended and (stretch := course.next_stretch(recorder.epochs_done, recorder.step)):
        recorder.side = stretch.side
        if stretch.phase != phase:
            save.metrics = compile_model(twin, optimizer, settings.compile)
            phase = stretch.phase
        callbacks: list[keras.callbacks.Callback] = [course, averaging, health, recorder, save]
        if save.writes:
            callbacks.append(tensorboard(folder / "logs", lambda: course.rate_after(recorder.steps_done)))
        try:
            if recorder.is_trained:
                validation = data.validation if course.is_validated(recorder.epochs_done + 1) else None
                validate(twin, validation, recorder.epochs_done, callbacks, save.metrics)
            else:
                _fit(twin, data, stretch, recorder, callbacks, course.validated)
        except Exception as error:
            raise data.failure() or disk_full(error, folder) or out_of_memory(error) or error from error
        finally:
            recorder.close()


def _fit(
    twin: keras.Model, data: TrainingInput, stretch: Stretch, recorder: Recorder,
    callbacks: list[keras.callbacks.Callback], validated: int | list[int],
) -> None:  # fmt: skip
    """Train whole epochs up to the end of a stretch, or the rest of one."""
    epoch_steps = stretch.epoch_steps - recorder.step
    steps = (stretch.last_epoch - recorder.epochs_done) * epoch_steps
    first = recorder.steps_done + recorder.step
    twin.fit(
        data.batches(stretch.side, first, first + steps),
        initial_epoch=recorder.epochs_done,
        epochs=stretch.last_epoch,
        steps_per_epoch=epoch_steps,
        validation_data=data.validation,
        validation_freq=validated,
        shuffle=False,  # the plan has seen to it
        verbose=0,
        callbacks=PromptCallbacks(callbacks, add_history=True, model=twin) if queues_steps() else callbacks,
    )


def compile_model(
    model: keras.Model, optimizer: keras.optimizers.Optimizer | None = None, compile: str = "auto"
) -> list[keras.Metric]:
    """Compile for batches of the pipeline, whose weights act on the loss and leave the accuracy alone.

    Returns the metrics in which the loss and the accuracy of an epoch add up.

    compile: "xla" or "none", as `training/choices.py` chose; "auto", in runs that were resolved before there was a
             choice, is none on a CPU. JAX has XLA only, also where a run goes on that TensorFlow began.
    """
    if keras.backend.backend() != "tensorflow":
        jit: bool | str = "auto"
    elif compile == "auto":
        jit = False if computes_on_cpu() else "auto"
    else:
        jit = compile == "xla"
    accuracy = PhotoAccuracy(name="accuracy")
    model.compile(
        optimizer=optimizer, loss=keras.losses.CategoricalCrossentropy(), weighted_metrics=[accuracy], jit_compile=jit
    )
    return [model.metrics[0], accuracy]


def tensorboard(folder: Path, rate: Callable[[], float]) -> keras.callbacks.Callback:
    """Return what writes the figures of each epoch for TensorBoard; Keras's own can only with TensorFlow."""
    if keras.backend.backend() != "tensorflow":
        from fireweed.training.events import EpochEvents

        return EpochEvents(folder, rate)
    return keras.callbacks.TensorBoard(folder, write_graph=False, write_steps_per_second=False, profile_batch=0)
