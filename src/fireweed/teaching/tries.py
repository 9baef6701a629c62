"""A table of nets that were tried: what each reached and what it costs."""

import html
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fireweed.teaching.language import pick
from fireweed.teaching.lesson_photos import LessonPhotos

LAST_EPOCHS = 5
BATCH = 32
# TensorFlow draws a graph of the training step for as long as some ten steps take without one (5 s of CPU, measured).
STEPS_WITHOUT_GRAPH = 8
Change = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Try:
    """One net that was trained.

    accuracy:      on the validation photos, the mean of the last five epochs: a single one is more noise.
    multiply_adds: for one photo.
    seconds:       of the training.
    history:       of each epoch: accuracy, loss, val_accuracy, val_loss, as Keras's `fit` tells them.
    """

    name: str
    line: str
    accuracy: float
    parameters: int
    multiply_adds: int
    seconds: float
    history: dict[str, list[float]] = field(repr=False)
    model: Any = field(repr=False, compare=False)


class Tries:
    """Train nets written as lines of text on the same photos, equally long, and keep what came of them.

    photos: for all tries.
    epochs: of each try.
    """

    def __init__(self, photos: LessonPhotos, epochs: int) -> None:
        self._photos = photos
        self._epochs = epochs
        self.rows: list[Try] = []

    def add(self, line: str, name: str = "", change: Change | None = None, learning_rate: float = 0.001) -> Try:
        """Train a net with Adam and keep it in the table; its random numbers begin as those of every other try.

        line:   the net, as `fireweed.build_model` takes it.
        name:   what the table calls it; the line where it is left out.
        change: makes other training photos of the training photos, uint8, anew in each epoch.

        Raises:
            ModelError: an error in the line.
        """
        import keras

        from fireweed.api import build_model
        from fireweed.models.cost import total_cost

        photos = self._photos
        keras.utils.set_random_seed(0)
        model = build_model(line, classes=len(photos.classes), side=photos.train.shape[1])
        model.compile(
            optimizer=keras.optimizers.Adam(learning_rate),
            loss="sparse_categorical_crossentropy",
            metrics=["accuracy"],
            **self._ways_to_run(keras.backend.backend()),
        )
        start = time.perf_counter()
        history = self._trained(model, change)
        cost = total_cost(model)
        row = Try(
            name or line,
            line,
            float(np.mean(history["val_accuracy"][-LAST_EPOCHS:])),
            cost.parameters,
            cost.multiply_adds,
            time.perf_counter() - start,
            history,
            model,
        )
        self.rows.append(row)
        return row

    def _ways_to_run(self, backend: str) -> dict[str, Any]:
        """Return what `compile` is to be told: what would take longer to prepare than it saves is left out."""
        if backend == "jax":
            return {"jit_compile": "auto"}  # JAX cannot do without XLA
        steps = self._epochs * max(1, len(self._photos.train) // BATCH)
        return {"jit_compile": False, "run_eagerly": backend == "tensorflow" and steps <= STEPS_WITHOUT_GRAPH}

    def _trained(self, model: Any, change: Change | None) -> dict[str, list[float]]:
        """Train epoch by epoch; photos that fill no batch wait for another epoch, since TensorFlow would build the
        step anew for a batch of another size.
        """
        photos, history, random = self._photos, dict[str, list[float]](), np.random.default_rng(0)
        count = len(photos.train) // BATCH * BATCH or len(photos.train)
        for _ in range(self._epochs):
            order = random.permutation(len(photos.train))[:count]
            told = model.fit(
                (change(photos.train) if change else photos.train)[order],
                photos.train_labels[order],
                validation_data=(photos.validation, photos.validation_labels),
                batch_size=BATCH,
                validation_batch_size=min(len(photos.validation), 512),
                shuffle=False,
                verbose=0,
            ).history
            for key, values in told.items():
                history.setdefault(key, []).extend(values)
        return history

    def sorted(self, by: str = "accuracy") -> "Tries":
        """Return the same tries in another order: the best first by "accuracy", else the least first.

        by: "accuracy", "parameters", "multiply_adds" or "seconds".

        Raises:
            ValueError: no such column.
        """
        columns = ("accuracy", "parameters", "multiply_adds", "seconds")
        if by not in columns:
            raise ValueError(f"tries are sorted by {', '.join(columns)}, not by {by!r}")
        other = Tries(self._photos, self._epochs)
        other.rows = sorted(self.rows, key=lambda row: getattr(row, by), reverse=by == "accuracy")
        return other

    def __getitem__(self, name: str) -> Try:
        """Return the last try of that name."""
        return next(row for row in reversed(self.rows) if row.name == name)

    def _heads(self) -> tuple[str, ...]:
        return (
            pick("net", "網路"),
            pick("accuracy", "準確率"),
            pick("parameters", "參數"),
            pick("multiply-adds", "乘加運算"),
            pick("seconds", "秒"),
        )

    def _cells(self, row: Try) -> tuple[str, ...]:
        return (
            row.name,
            f"{row.accuracy:.1%}",
            f"{row.parameters:,}",
            f"{row.multiply_adds / 1e6:,.1f} M",
            f"{row.seconds:.0f}",
        )

    def __repr__(self) -> str:
        rows = [self._heads(), *map(self._cells, self.rows)]
        return "\n".join(f"{accuracy:>10}{one:>12}{two:>14}{seconds:>8}  {name}"
                         for name, accuracy, one, two, seconds in rows)  # fmt: skip

    def _repr_html_(self) -> str:
        def line(tag: str, cells: tuple[str, ...]) -> str:
            left = "text-align:left;padding:.2em .8em;overflow-wrap:anywhere"
            right = "text-align:right;padding:.2em .8em;white-space:nowrap"
            told = [
                f'<{tag} style="{right if number else left}">{html.escape(cell)}</{tag}>'
                for number, cell in enumerate(cells)
            ]
            return f"<tr>{''.join(told)}</tr>"

        body = "".join(line("td", self._cells(row)) for row in self.rows)
        return f"<table>{line('th', self._heads())}{body}</table>"
