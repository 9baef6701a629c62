"""What is known about each epoch: its row of the history, the best so far, patience, and the progress shown."""

import csv
import io
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from fireweed.errors import RunError
from fireweed.files import write_text
from fireweed.recipe import Recipe
from fireweed.reporting import Bar, Reporter, duration
from fireweed.training.course import Course
from fireweed.training.pacing import Pace, queues_steps
from fireweed.training.speeds import SideSpeeds

if TYPE_CHECKING:
    from fireweed.training.train import TrainingInput

COLUMNS = ("epoch", "side", "steps", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate",
           "images_per_second", "seconds", "share_of_seconds_waited")  # fmt: skip


@dataclass
class PartOfEpoch:
    """What was done of an epoch by the processes before this one.

    steps:        of the epoch.
    is_trained:   whether these are all, so that it remains to be validated.
    seconds:      that they took.
    warm_steps:   steps without those that compiled; warm_seconds: what they took; waited: and waited of that.
    """

    steps: int = 0
    is_trained: bool = False
    seconds: float = 0.0
    warm_steps: int = 0
    warm_seconds: float = 0.0
    waited: float = 0.0


class Recorder(keras.callbacks.Callback):
    """Keeps the history and decides when to stop; shows progress."""

    def __init__(self, recipe: Recipe, data: "TrainingInput", course: Course, folder: Path, reporter: Reporter) -> None:
        super().__init__()
        self._recipe = recipe
        self._data = data
        self._course = course
        self._folder = folder
        self._reporter = reporter
        self.side = recipe.training.phases[0].side
        self.rows: list[dict[str, Any]] = []
        self.best_accuracy = -1.0
        self.best_epoch = 0
        self.is_best = False
        self.stopped_early = False
        self.steps_done = 0  # in whole epochs, and in such as a clock cut
        self.what_is_left = ""
        self.speeds = SideSpeeds()
        self._bar: Bar | None = None
        self._pace: Pace | None = None
        self._figures = ""
        self._figures_read = 0.0
        self._work_seconds = self._work_done = 0.0
        self._epoch_began = self._trained = self._warm_began = 0.0
        self.step = 0  # steps done in the epoch under way
        self.is_trained = False  # whether these are all of them
        self._before = PartOfEpoch()
        self._waited = self._step_began = 0.0

    @property
    def epochs_done(self) -> int:
        return len(self.rows)

    @property
    def keeps_best(self) -> bool:
        return self._recipe.training.keeps_best

    @property
    def kept_epoch(self) -> int:
        return self.best_epoch if self.keeps_best else self.epochs_done

    @property
    def has_ended(self) -> bool:
        return self.stopped_early

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint must hold of this."""
        return {"rows": self.rows, "best_accuracy": self.best_accuracy, "best_epoch": self.best_epoch,
                "stopped_early": self.stopped_early, "steps": self.steps_done,
                "part": asdict(self._part()), "course": self._course.state()}  # fmt: skip

    def restore(self, epochs: int, step: int, state: dict[str, Any]) -> None:
        self.rows = state["rows"]
        self.best_accuracy, self.best_epoch = state["best_accuracy"], state["best_epoch"]
        self.stopped_early = state["stopped_early"]
        self.steps_done = state.get("steps", epochs * self._data.steps)  # older versions counted whole epochs only
        self.what_is_left = self._course.restore(state.get("course", {}))
        self._before = PartOfEpoch(**state.get("part", {}))
        self.step, self.is_trained = step, self._before.is_trained
        if len(self.rows) != epochs:
            raise RunError(f"the checkpoint is of epoch {epochs} but holds {len(self.rows)} rows of history")

    def write_history(self) -> None:
        """Write history.csv, a row an epoch; a figure that was not taken stays empty."""
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(self._folder / "history.csv", text.getvalue())

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._warm_began = self._step_began = time.monotonic()
        self._epoch_began = self._warm_began - self._before.seconds
        self._waited = self._before.waited
        title = f"epoch {self._course.epoch_name(epoch + 1)} {self.side} px"
        self._bar = self._reporter.bar(title, self._course.epoch_steps)
        self._bar.__enter__()
        self._pace = Pace() if queues_steps() else None

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        self._step_began = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        sent_at = time.monotonic()
        # where steps are queued the device may not even have begun this one; it was free when the one before ended
        free_at = 0.0 if self._pace is None else self._pace.sent(logs)
        now = time.monotonic()
        self.step += 1
        waited = self._wait(batch, free_at, sent_at)
        if self._steps_here == 1:
            self._warm_began = now  # the first step of a phase, or after a resume, traces and compiles
        elif self._bar is not None:
            self._waited += waited
            words = f"{self._rate(now):.1f} images/s, {duration(self._left(now))} left"
            self._bar.update(self.step, words + self._shown(now, logs))

    def on_test_begin(self, logs: dict | None = None) -> None:
        self._end_steps()

    def _end_steps(self) -> None:
        self._end_pace()
        self._trained = time.monotonic()
        self.is_trained = True

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        is_validated = "val_accuracy" in (logs or {})
        if not is_validated:
            self._end_steps()
        self.close()
        values = {name: float(value) for name, value in (logs or {}).items()}
        now = time.monotonic()
        part = self._part()
        self._work_seconds += part.warm_seconds + now - self._trained
        self._work_done += self.side**2
        row: dict[str, Any] = {"epoch": epoch + 1, "side": self.side, "steps": self.step}
        row |= {name: values[name] for name in COLUMNS if name in values}
        row["learning_rate"] = self._course.rate_of_epoch(epoch)
        photos = self._data.photos / self._data.steps
        row["images_per_second"] = round(photos * self.step / max(part.seconds, 1e-9), 2)
        row["seconds"] = round(now - self._epoch_began, 2)
        row["share_of_seconds_waited"] = round(part.waited / max(part.warm_seconds, 1e-9), 4)
        self.rows.append(row)
        self.speeds.add(self.side, part.warm_steps, part.warm_steps * photos, part.warm_seconds)
        self.steps_done += self.step
        self.step, self.is_trained, self._before = 0, False, PartOfEpoch()
        if is_validated:
            self._judge(values["val_accuracy"])
        judged = f"validation {row['val_accuracy']:.3f}  " if is_validated else ""
        self._reporter.say(
            f"epoch {self._course.epoch_name(epoch + 1)}  {self.side} px  loss {row['loss']:.3f}  accuracy "
            f"{row['accuracy']:.3f}  {judged}{row['images_per_second']:.0f} images/s  "
            f"{duration(row['seconds'])}, {duration(self._left_after())} left"
        )

    @property
    def _steps_here(self) -> int:
        """Steps of the epoch under way that this process made."""
        return self.step - self._before.steps

    def _part(self) -> PartOfEpoch:
        """Return what is done of the epoch under way."""
        before, here = self._before, self._steps_here
        if not self.step:
            return PartOfEpoch()
        now = self._trained if self.is_trained else time.monotonic()
        has_ended = self.is_trained or self.model.stop_training or self.step >= self._course.epoch_steps
        warm_seconds = now - self._warm_began if here else 0.0
        return PartOfEpoch(
            self.step, has_ended, now - self._epoch_began, before.warm_steps + max(0, here - 1),
            before.warm_seconds + warm_seconds, self._waited,
        )  # fmt: skip

    def close(self) -> None:
        self._end_pace()
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
            self._bar = None

    def _end_pace(self) -> None:
        if self._pace is not None:
            self._pace.close()
            self._pace = None

    def _shown(self, now: float, logs: dict | None) -> str:
        """Return the step's figures in words; read a few times a second at most, since reading waits for the step."""
        if self._reporter.is_live and now - self._figures_read > 0.25:
            self._figures = "".join(f", {name} {float(value):.3f}" for name, value in (logs or {}).items())
            self._figures_read = now
        return self._figures

    def _judge(self, accuracy: float) -> None:
        self.is_best = accuracy > self.best_accuracy
        if self.is_best:
            self.best_accuracy, self.best_epoch = accuracy, self.epochs_done
        patience = self._recipe.training.patience
        if patience and self.epochs_done - max(self.best_epoch, self._last_rise()) >= patience:
            self.stopped_early = True
            self.model.stop_training = True

    def _last_rise(self) -> int:
        """Return the last epoch that began at a higher rate than the one before: while it rises nothing is judged."""
        rates = [row["learning_rate"] for row in self.rows]
        return max((epoch for epoch in range(2, len(rates) + 1) if rates[epoch - 1] > rates[epoch - 2]), default=0)

    def _wait(self, batch: int, free_at: float, sent_at: float) -> float:
        """Return the seconds for which the device had nothing to do because photos were not there.

        Keras takes a batch within the step, after on_train_batch_begin. Where JAX computes on a GPU or TPU, this step's
        is on the device already, but Keras takes the next one before it sends the step. So the device waits from when
        it is free and Keras asks, until that batch is made; whatever else delays the step is no waiting.

        free_at: when the device ended the step before, where steps are queued.
        sent_at: when Keras had sent this one.
        """
        step = self.steps_done + self._before.steps + batch
        made_at = self._data.made_at(step)
        if self._pace is not None:
            made_at = max(made_at, self._data.made_at(step + 1))
        return max(0.0, min(made_at, sent_at) - max(self._step_began, free_at))

    def _rate(self, now: float) -> float:
        return (self._steps_here - 1) * self._data.photos / self._data.steps / max(now - self._warm_began, 1e-9)

    def _left(self, now: float) -> float:
        """Seconds left: by the clock; else work is counted in pixels, priced by this epoch's steps so far."""
        by_clock = self._course.seconds_left()
        if by_clock is not None:
            return by_clock
        work = self.side**2 / self._data.steps
        done, timed = (self.step - 1) * work, (self._steps_here - 1) * work
        return (self._remaining_work() - done) * (now - self._warm_began) / timed

    def _left_after(self) -> float:
        by_clock = self._course.seconds_left()
        return self._remaining_work() * self._work_seconds / self._work_done if by_clock is None else by_clock

    def _remaining_work(self) -> float:
        sides = self._recipe.side_of_epochs
        return float(sum(side**2 for side in sides[self.epochs_done :]))
