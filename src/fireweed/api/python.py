"""The same from Python: a training and its result in a few lines."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fireweed.api.run_folders import local_path
from fireweed.api.starting import start_framework
from fireweed.api.training import TrainRequest, train_run
from fireweed.api.using import evaluate_run, open_model
from fireweed.files import absolute
from fireweed.models import registry
from fireweed.models.registry import find_entry
from fireweed.reporting import Reporter
from fireweed.run import RunFolder, open_run

if TYPE_CHECKING:
    from fireweed.bundle import Bundle


class Run:
    """A finished training: its folder, its history, and its model to ask."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._bundle: Bundle | None = None  # opened and checked once

    @property
    def path(self) -> Path:
        """The run's folder."""
        return self._folder.path

    @property
    def history(self) -> list[dict[str, float]]:
        """One dict an epoch: epoch, side, loss, accuracy, val_loss, val_accuracy, learning_rate, ..."""
        return self._folder.history()

    @property
    def report(self) -> Path:
        """The report, an HTML file."""
        return self._folder.file("report.html")

    def predict(self, photos: str | Path | Sequence[str | Path], flips: bool = False) -> list[Any]:
        """Return a Prediction (path, name, probability, probabilities, error) for each photo.

        photos: a photo, a folder of photos, or several of these.
        flips:  whether an answer is the mean of those about the photo and its mirror image.

        Answers go by the weights that the model has at the first call; those changed after that may not be seen.
        """
        from fireweed.serving.predict import expand_paths, predict_files

        several = [photos] if isinstance(photos, str | Path) else list(photos)
        paths = expand_paths([str(absolute(photo)) for photo in several])
        return list(predict_files(self._opened(), paths, flips=flips))

    def evaluate(self, data: str | Path | None = None, part: str | None = None, flips: bool = False) -> dict[str, Any]:
        """Return accuracy, interval_95, confusion, per_class ... of a part of the run's photos, or of other data.

        part:  "validation" (None) or "test"; with `data`, the run's own photos are looked for there.
        flips: whether it is judged by the mean of its answers about a photo and its mirror image.
        """
        return evaluate_run(self.path, None if data is None else str(data), part, Reporter(is_silent=True), flips)[0]

    def model(self) -> Any:
        """Return the plain Keras model: RGB 0..255 of its fixed side in, probabilities out.

        `predict` may not see weights that are changed after its first answer.
        """
        return self._opened().model

    def _opened(self) -> "Bundle":
        if self._bundle is None:
            self._bundle = open_model(self.path, Reporter(is_silent=True))
        return self._bundle

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"


def train(data: str | Path, *, quiet: bool = False, settings: Sequence[str] = (), **options: Any) -> Run:
    """Train on photos as `fireweed train` does and return the finished run; the same call goes on with a stopped one.

    data:     what `open_data` takes.
    quiet:    print nothing.
    settings: as given to --set: ("training.batch=16",).
    options:  the command's other options by name: recipe, model, weights, freeze, epochs, side, minutes, seed,
              augment, flip, out, deterministic, compile, device, devices, backend, precision, coordinator, hosts, host,
              resident, tpu, zone, project, checkpoint_minutes, start_over.

    Raises:
        FireweedError: whatever is wrong with the photos, the options or the machine, in one sentence.
    """
    request = TrainRequest(data=str(data), settings=tuple(settings), **options)
    return Run(train_run(request, Reporter(is_silent=quiet)))


def build_model(
    name_or_line: str, classes: int = 5, side: int | None = None, *, weights: str = "none", freeze: bool | str = False,
    dropout: float = 0.0,
) -> Any:  # fmt: skip
    """Build a Keras model, random weights by default; see `fireweed.models.registry.build_model` for the arguments.

    The device is chosen and the process prepared first, unless Keras was imported already.

    Raises:
        ModelError: no such net, an error in the line, or a setting that this net cannot have.
    """
    find_entry(name_or_line)
    if "keras" not in sys.modules:
        start_framework(Reporter(is_silent=True))
    return registry.build_model(name_or_line, classes, side, weights=weights, freeze=freeze, dropout=dropout)


def open_trained(path: str | Path) -> Run:
    """Return the run in a folder, or in an object store, from which it is fetched.

    Raises:
        RunError: there is none.
    """
    return Run(open_run(local_path(path)))
