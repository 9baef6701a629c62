"""The course of a training whose epochs were planned: a phase is one stretch of so many whole epochs."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from fireweed.recipe import Recipe


@dataclass(frozen=True)
class Stretch:
    """Epochs that Keras's `fit` makes in one go.

    phase:        its number; another one has another side, and is compiled anew.
    side:         in pixels.
    last_epoch:   epochs of the training that are done at its end, at most.
    epoch_steps:  steps of each of its epochs, at most.
    """

    phase: int
    side: int
    last_epoch: int
    epoch_steps: int


class Course(keras.callbacks.Callback):
    """Goes through the phases of a resolved recipe, epoch by epoch, at rates that are a table made beforehand.

    learning_rate: what the optimizer takes: a rate for every step, float32 of shape (steps,), or the first rate.
    epoch_steps:   steps that the epoch under way, or the next one, is expected to have.
    deadline:      when all has to be done, by time.monotonic(); None where no clock says it.

    validate_every: epochs from one validation to the next; after the last epoch there is always one.
    """

    learning_rate: np.ndarray | float
    deadline: float | None = None

    def __init__(self, recipe: Recipe, steps: int, rates: np.ndarray, validate_every: int = 1) -> None:
        super().__init__()
        self._phases = recipe.training.phases
        self._total = recipe.total_epochs
        self._steps = self.epoch_steps = steps
        self._rates = self.learning_rate = rates
        self._validate_every = validate_every

    def next_stretch(self, epochs_done: int, step: int = 0) -> Stretch | None:
        """Return what comes after so many epochs; None after the last.

        step: steps that are done of the next epoch; where there are any, the stretch is the rest of it.
        """
        end = 0
        for number, phase in enumerate(self._phases):
            end += phase.epochs
            if epochs_done < end:
                return Stretch(number, phase.side, epochs_done + 1 if step else end, self._steps)
        return None

    def rate_of_epoch(self, epoch: int) -> float:
        """Return the rate of the first step of the epoch under way, the one after `epoch` others."""
        return float(self._rates[epoch * self._steps])

    def rate_after(self, steps: int) -> float:
        """Return the rate of the step that comes after so many; after the last one it stays."""
        return float(self._rates[min(steps, len(self._rates) - 1)])

    def is_validated(self, epoch: int) -> bool:
        """Return whether the net is validated after an epoch, counted from 1."""
        return epoch % self._validate_every == 0 or epoch == self._total

    @property
    def validated(self) -> int | list[int]:
        """The epochs after which the net is validated, as Keras's `fit` takes them; 1: all."""
        if self._validate_every == 1:
            return 1
        return [epoch for epoch in range(1, self._total + 1) if self.is_validated(epoch)]

    def epoch_name(self, epoch: int) -> str:
        """Return the epoch's number, counted from 1, as people read it."""
        return f"{epoch}/{self._total}"

    def seconds_left(self) -> float | None:
        """Return the seconds that are left; None where no clock says it, but the speed of the epochs."""
        return None

    def rates_taken(self) -> np.ndarray:
        """Return the rate of every step of the whole training, float32 of shape (steps,)."""
        return self._rates

    def notes(self, epochs_done: int, stopped_early: bool) -> list[str]:
        """Return sentences on what went otherwise than planned."""
        return []

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint must hold of this, JSON-ready."""
        return {}

    def restore(self, state: dict[str, Any]) -> str:
        """Go on from what `state` gave, {} where an older version wrote it; return a phrase on what is left."""
        return f"of {self._total}"
