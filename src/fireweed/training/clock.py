"""The course of a training that has to end at a time (`--minutes`): learning rate and sides follow the clock.

How far a training is, is the share of its time that is used. The schedule's curve and the order of the sides are
functions of that share alone, so that a machine that slows down makes fewer steps of the same curve, and the rate comes
to its end when the time does. No speed that was measured before decides more than what the plan looked like.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from fireweed.errors import RunError
from fireweed.recipe import Recipe
from fireweed.reporting import duration
from fireweed.text import counted
from fireweed.training.course import Course, Stretch
from fireweed.training.schedules import learning_rates

CURVE_STEPS = 2000  # of the sampled schedule
SECONDS_BETWEEN_RATES = 1.0  # setting the rate makes JAX hand all variables back and forth
SHORTEST_EPOCH = 0.5  # of an epoch: what is left is not made an epoch of its own when shorter
NOT_WORTH_AN_EPOCH = 0.01  # of the whole time, and what ends early with it
RECENT_STEPS = 9  # whose median says how fast the machine is: one that something else delayed must not
FIRST_STEPS = 25  # whose median says how fast it was when a phase began
MOST_PACE = 2.0  # by which the machine is taken to be slower, or faster, than expected when the end is reckoned
MANY_EPOCHS = 1_000_000
MUCH_OF_PLAN = 0.5  # of the planned steps: a training that made fewer says so


@dataclass(frozen=True)
class Budget:
    """The time of a training, and what is expected of the parts of it that are no steps.

    seconds:   from the command's start to the last file written.
    began:     when it started, by time.monotonic().
    finishing: seconds from the end of the last epoch to the last file.
    between:   seconds from the last step of an epoch that is validated to the next one: validation and checkpoint.
    saving:    the part of them that is no validation, which is all that lies between where an epoch is not validated.
    steps:     seconds of a step in each phase.
    decoding:  seconds by which the first time between epochs is longer, since validation photos are decoded.
    epochs:    that were expected to fit, in parts too; 0: not known.
    is_guess:  whether `finishing` was reckoned from `steps`, so that it is as wrong as they are; else it was measured,
               and only a machine that becomes slower within the run makes it longer.
    """

    seconds: float
    began: float
    finishing: float
    between: float
    steps: tuple[float, ...]
    saving: float = 0.0
    decoding: float = 0.0
    is_guess: bool = False
    epochs: float = 0.0


class ClockCourse(Course):
    """Goes through the phases by the clock: each phase has a share of the time, as its epochs and pixels say.

    An epoch is cut where its phase ends, or the time; it is stretched, to at most twice its steps, where what is left
    would make a last one of less than half.
    """

    def __init__(
        self, recipe: Recipe, steps: int, budget: Budget, validate_every: int = 1,
        now: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        super().__init__(recipe, steps, learning_rates(recipe, -(-CURVE_STEPS // recipe.total_epochs)), validate_every)
        self._budget = budget
        self._now = now
        work = np.cumsum([phase.epochs * phase.side**2 for phase in self._phases], dtype=np.float64)
        epochs = np.cumsum([phase.epochs for phase in self._phases], dtype=np.float64)
        self._ends = [0.0, *(work / work[-1])]  # of the phases, in shares of the time
        self._curve_ends = [0.0, *(epochs / epochs[-1])]  # and in shares of the schedule
        self._seconds = budget.seconds
        self.deadline: float = budget.began + budget.seconds
        self._used = 0.0  # share of the time for steps
        self._phase = 0
        self._step_seconds = budget.steps[0]
        self._between = {True: budget.between, False: budget.saving}  # by whether the epoch before is validated
        self._is_validated = self.is_validated(1)  # the epoch under way, or the next one
        self._decoding = budget.decoding
        self._starting = 0.0  # seconds by which the first step of a phase is longer than others
        self._recent: deque[float] = deque(maxlen=FIRST_STEPS)
        self._usual_step = budget.steps[0] if budget.is_guess else 0.0  # seconds at a pace of 1; 0: not known yet
        self._pace = 1.0  # times what a step usually takes
        self._is_new_phase = True
        self._step_began = self._trained_at = 0.0
        self._rate = self._epoch_rate = self._rate_now()
        self._rate_set_at = float("-inf")
        self._taken: list[list[float]] = []  # [steps, rate], as they were made
        self.learning_rate = self._rate

    def next_stretch(self, epochs_done: int, step: int = 0) -> Stretch | None:
        if step:
            return Stretch(self._phase, self._phases[self._phase].side, epochs_done + 1, self.epoch_steps)
        self._note_what_lay_between(epochs_done)
        while not self._is_last_phase and self._steps_left() < self._steps * SHORTEST_EPOCH / 2:
            self._begin_phase(self._phase + 1)
        steps = self._steps_left()
        least = max(1.0, NOT_WORTH_AN_EPOCH * self._seconds / self._step_seconds)
        if self._is_last_phase and steps < least and epochs_done:  # without any epoch there is nothing to keep
            return None
        side = self._phases[self._phase].side
        self.epoch_steps = self._steps
        if steps < self._steps * (1 + SHORTEST_EPOCH):
            self.epoch_steps = min(max(1, round(steps)), 2 * self._steps)
            return Stretch(self._phase, side, epochs_done + 1, 2 * self._steps)
        return Stretch(self._phase, side, epochs_done + MANY_EPOCHS, self._steps)

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._note_what_lay_between(epoch)
        self._step_began = self._now()
        self._epoch_rate = self._rate_now()

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        if self._now() - self._rate_set_at >= SECONDS_BETWEEN_RATES:
            self._set_rate()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        now = self._now()
        seconds = now - self._step_began
        if self._is_new_phase:  # it traced and compiled: no measure of the steps to come, and no part of their time
            self._starting, self._is_new_phase = max(0.0, seconds - self._step_seconds), False
        else:
            self._advance(seconds, now)
        self._step_began = self._trained_at = now
        if self._taken and self._taken[-1][1] == self._rate:
            self._taken[-1][0] += 1
        else:
            self._taken.append([1, self._rate])
        if self._steps_left() < 0.5:
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        # what is left may suit one longer epoch, or the next phase: the next stretch sees to it
        if self._steps_left() < self._steps * (1 + SHORTEST_EPOCH):
            self.model.stop_training = True

    def rate_of_epoch(self, epoch: int) -> float:
        return self._epoch_rate

    def rate_after(self, steps: int) -> float:
        return self._rate

    def epoch_name(self, epoch: int) -> str:
        return str(epoch)

    def seconds_left(self) -> float | None:
        return max(0.0, self.deadline - self._now())

    def rates_taken(self) -> np.ndarray:
        steps, rates = zip(*self._taken, strict=True) if self._taken else ((1,), (self._rate,))
        return np.repeat(np.asarray(rates, np.float32), np.asarray(steps, np.int64))

    def notes(self, epochs_done: int, stopped_early: bool) -> list[str]:
        planned = ", ".join(f"{phase.epochs} at {phase.side} px" for phase in self._phases)
        epochs, given = f"{counted(epochs_done, 'epoch')}, whole and in part,", duration(self._seconds)
        if stopped_early:
            used = f"after {epochs} in {duration(self._seconds_used)} of {given}"
            return [f"patience ended the training {used}; the plan was {planned}"]
        note = f"the clock decided: {epochs} in {given}; the plan was {planned}"
        made, expected = sum(int(steps) for steps, _ in self._taken), round(self._budget.epochs * self._steps)
        if made >= expected * MUCH_OF_PLAN:
            return [note]
        return [
            f"{note}. The time sufficed for {counted(made, 'step')} of {expected:,} only, since this machine was "
            "slower than expected, or busy: more minutes, or a smaller net, will give a better result"
        ]

    def state(self) -> dict[str, Any]:
        return {"share_used": self._used, "seconds": self._seconds, "seconds_used": round(self._seconds_used, 3),
                "phase": self._phase, "rates": self._taken, "epoch_steps": self.epoch_steps}  # fmt: skip

    def restore(self, state: dict[str, Any]) -> str:
        """Go on with the time that was left, counted from the start of this command; the time between takes none.

        Raises:
            RunError: the state is that of an older version, which does not say how much time was left.
        """
        self.epoch_steps = state.get("epoch_steps", self._steps)  # older versions stopped between epochs only
        if not state.keys() >= self.state().keys() - {"epoch_steps"}:
            raise RunError("this run was begun by an older version of Fireweed; train into another folder")
        self._used, self._taken, self._seconds = state["share_used"], state["rates"], state["seconds"]
        left = self._seconds - state["seconds_used"]
        self.deadline = self._budget.began + left
        self._begin_phase(state["phase"])
        return f"with {duration(max(0.0, left))} of {duration(self._seconds)} left"

    @property
    def _seconds_used(self) -> float:
        return self._seconds - (self.deadline - self._now())

    @property
    def _is_last_phase(self) -> bool:
        return self._phase == len(self._phases) - 1

    @property
    def _end_of_steps(self) -> float:
        pace = min(max(self._pace, 1 / MOST_PACE), MOST_PACE)
        return self.deadline - self._budget.finishing * pace - self._between[self._is_validated] - self._decoding

    def _begin_phase(self, number: int) -> None:
        """Let the pace so far hold until the phase's own steps say more: what they usually take, they show first."""
        self._step_seconds *= self._budget.steps[number] / self._budget.steps[self._phase]
        self._usual_step = self._budget.steps[number] if self._budget.is_guess else 0.0
        self._phase = number
        self._recent.clear()
        self._is_new_phase = True

    def is_validated(self, epoch: int) -> bool:
        return epoch % self._validate_every == 0  # which one is the last shows too late

    @property
    def validated(self) -> int:
        return self._validate_every

    def _note_what_lay_between(self, epochs_done: int) -> None:
        if self._trained_at:
            seconds, self._trained_at = self._now() - self._trained_at, 0.0
            if self._is_validated:
                seconds, self._decoding = max(0.0, seconds - self._decoding), 0.0
            self._between[self._is_validated] = seconds
        self._is_validated = self.is_validated(epochs_done + 1)

    def _advance(self, seconds: float, now: float) -> None:
        """Count a step that took so many seconds until now, in shares of the time that was left before it."""
        self._recent.append(seconds)
        self._step_seconds = median(list(self._recent)[-RECENT_STEPS:])
        if not self._usual_step and len(self._recent) == FIRST_STEPS:
            self._usual_step = median(self._recent) / self._pace
        if self._usual_step:
            self._pace = self._step_seconds / self._usual_step
        left = self._seconds_for_steps(now - seconds)
        self._used += (1 - self._used) * (seconds / left if seconds < left else 1.0)

    def _seconds_for_steps(self, at: float) -> float:
        """Return the seconds that steps still have from `at` on, without what will lie between epochs and phases."""
        phases = len(self._phases) - 1 - self._phase + self._is_new_phase
        left = self._end_of_steps - at - phases * self._starting
        epoch = self._steps * self._step_seconds
        between = self._between[False] + (self._between[True] - self._between[False]) / self._validate_every
        return left - between * max(0.0, left / (epoch + between) - 0.5)

    def _steps_left(self) -> float:
        """Return about how many steps the phase still has; those of the last phase end with the time."""
        left = max(0.0, self._seconds_for_steps(self._now()))
        if not self._is_last_phase:
            left *= max(0.0, self._ends[self._phase + 1] - self._used) / max(1 - self._used, 1e-9)
        return left / max(self._step_seconds, 1e-9)

    def _rate_now(self) -> float:
        share = float(np.interp(self._used, self._ends, self._curve_ends))
        return float(self._rates[min(int(share * len(self._rates)), len(self._rates) - 1)])

    def _set_rate(self) -> None:
        """Set the optimizer's rate; JAX's trainer holds the variables and has to hand them back for that."""
        self._rate, self._rate_set_at = self._rate_now(), self._now()
        hand_back = getattr(self.model, "jax_state_sync", None)
        if hand_back is not None:
            hand_back()
        self.model.optimizer.learning_rate = self._rate
