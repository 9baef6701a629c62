"""A training that goes wrong: a loss that is not a number, or an accuracy that stays at chance."""

import math
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from fireweed.errors import RunError
from fireweed.recipe import Recipe
from fireweed.text import counted

if TYPE_CHECKING:
    from fireweed.training.recording import Recorder
    from fireweed.training.train import Outcome, TrainingInput

STEPS_BETWEEN_LOOKS = 50  # at the loss, where looking would wait for the device
LEAST_STEPS = 500  # without a sign of learning, before a training is said to be stuck
SIGNIFICANT = 3.0  # standard errors above chance
FALLEN = 0.98  # share of what the loss was, or is where nothing is learned, from which on it has fallen


class FailedTrainingError(RunError):
    """A training stopped since it came to nothing.

    epoch:   in which it showed, counted from 1.
    outcome: what there is of the last good checkpoint; None where there was none.
    """

    def __init__(self, text: str, epoch: int) -> None:
        super().__init__(text)
        self.epoch = epoch
        self.outcome: Outcome | None = None


class DivergedError(FailedTrainingError):
    """The loss is not a number."""


class StuckError(FailedTrainingError):
    """The net does not learn."""


class Health(keras.callbacks.Callback):
    """Looks at the loss of the steps and at the figures of the epochs, and ends a training that has failed.

    Raises:
        DivergedError: the loss of a step or of an epoch is not a number.
    """

    def __init__(self, recipe: Recipe, data: "TrainingInput", recorder: "Recorder") -> None:
        super().__init__()
        self._recipe = recipe
        self._data = data
        self._recorder = recorder
        self._before: Any = 0.0
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._epoch, self._before = epoch, 0.0

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        loss, steps_before = (logs or {}).get("loss", 0.0), self._recorder.steps_done + self._recorder.step
        if isinstance(loss, float):
            self._check(loss, is_first=steps_before == 0)
        elif batch % STEPS_BETWEEN_LOOKS == 1:  # a step on a device: the one before has ended, looking at it is free
            self._check(float(self._before), is_first=steps_before == 1)
        self._before = loss

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        for value in (logs or {}).values():
            self._check(float(value))

    def diverged(self, is_first: bool = False) -> DivergedError:
        """Return the error that names the epoch and the likely cause.

        is_first: whether it showed in the first step of the training.
        """
        settings, epoch = self._recipe.training, self._epoch + 1
        words = f"the loss is not a number in epoch {epoch}: "
        if is_first:
            words += "that of the very first step, so the weights that it starts from are probably damaged"
            return DivergedError(f"{words}; start from others (--weights), in a new folder", epoch)
        words += "the learning rate is probably too high"
        if settings.precision == "mixed_float16":
            words += ", or numbers of 16 bits do not suffice (--precision float32)"
        if settings.schedule.warmup == 0 and settings.schedule.kind in ("cosine", "constant"):
            words += ", or it should warm up (--set training.schedule.warmup=0.1)"
        return DivergedError(
            f"{words}; try --set training.schedule.peak={settings.schedule.peak / 4:g} in a new folder, or "
            "--set training.retries=3, which goes back and halves the rate by itself",
            epoch,
        )

    def check_learning(self) -> None:
        """Make sure that the net has learned anything in the epochs so far.

        Raises:
            StuckError: for `training.chance_epochs` epochs both accuracies were at chance, and the loss was that of a
                net which has learned nothing and did not fall.
        """
        epochs, rows = self._recipe.training.chance_epochs, self._recorder.rows
        chance = self._data.chance
        if not epochs or not chance or len(rows) < epochs:
            return
        recent = rows[-epochs:]
        if is_stuck(recent, chance, self._data.chance_loss, self._data.photos, self._data.validated):
            raise StuckError(
                f"the net has learned nothing for {counted(epochs, 'epoch')}, up to epoch {len(rows)}: its accuracy "
                f"({max(row['accuracy'] for row in recent):.1%} at best) is that of always giving the most frequent "
                f"class ({chance:.1%}), and the loss does not fall. The learning rate is probably too high, so that "
                "the net is dead, or too low; or the labels do not fit the photos (look at them with `fireweed show`). "
                f"In a new folder, try --set training.schedule.peak={self._recipe.training.schedule.peak / 4:g}, or "
                "--set training.chance_epochs=0, which trains on regardless",
                len(rows),
            )

    def _check(self, figure: float, is_first: bool = False) -> None:
        if not math.isfinite(figure):
            raise self.diverged(is_first)


def is_stuck(
    rows: list[dict[str, Any]], chance: float, chance_loss: float, photos: int, validated: int
) -> bool:  # fmt: skip
    """Return whether epochs show no sign of learning.

    Where rare classes weigh more, a net that learns may have more photos wrong than one that always gives the most
    frequent class; its loss tells them apart.

    rows:        of the history.
    chance:      0..1, the share of the most frequent class.
    chance_loss: the least loss without looking at the photos, as resolving.loss_of_chance gives it; 0: not known.
    photos:      trained on in an epoch. validated: validation photos.
    """
    if sum(row["steps"] for row in rows) < LEAST_STEPS:
        return False

    def is_above(accuracy: float, count: int) -> bool:
        return accuracy > chance + SIGNIFICANT * math.sqrt(chance * (1 - chance) / max(count, 1))

    losses = np.array([row["loss"] for row in rows])
    has_fallen = losses[1:].min(initial=np.inf) < FALLEN * losses[0] or losses.min() < FALLEN * chance_loss
    learns = any(is_above(row["accuracy"], photos) or is_above(row.get("val_accuracy", 0.0), validated) for row in rows)
    return not (learns or has_fallen)
