"""The same from Python: a training and its result in a few lines."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fireweed.api.training import TrainRequest, train_run
from fireweed.api.using import evaluate_run, predict
from fireweed.reporting import Reporter
from fireweed.run import RunFolder, open_run


class Run:
    """A finished training: its folder, its history, and its model to ask."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder

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

    def predict(self, photos: str | Path | Sequence[str | Path]) -> list[Any]:
        """Return a Prediction (path, name, probability, probabilities, error) for each photo.

        photos: a photo, a folder of photos, or several of these.
        """
        several = [photos] if isinstance(photos, str | Path) else list(photos)
        return list(predict(self.path, [str(photo) for photo in several]))

    def evaluate(self, data: str | Path | None = None, part: str = "validation") -> dict[str, Any]:
        """Return accuracy, interval_95, confusion, per_class ... of a part of the run's photos, or of other data."""
        return evaluate_run(self.path, None if data is None else str(data), part, Reporter(is_silent=True))[0]

    def model(self) -> Any:
        """Return the plain Keras model: RGB 0..255 of its fixed side in, probabilities out."""
        from fireweed.bundle import open_bundle

        return open_bundle(self.path).model

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"


def train(data: str | Path, *, quiet: bool = False, settings: Sequence[str] = (), **options: Any) -> Run:
    """Train on photos as `fireweed train` does and return the finished run; the same call goes on with a stopped one.

    data:     what `open_data` takes.
    quiet:    print nothing.
    settings: as given to --set: ("training.batch=16",).
    options:  the command's other options by name: recipe, model, weights, freeze, epochs, side, minutes, seed,
              augment, flip, out, deterministic, device, backend, precision.

    Raises:
        FireweedError: whatever is wrong with the photos, the options or the machine, in one sentence.
    """
    request = TrainRequest(data=str(data), settings=tuple(settings), **options)
    return Run(train_run(request, Reporter(is_silent=quiet)))


def open_trained(path: str | Path) -> Run:
    """Return the run in a folder.

    Raises:
        RunError: there is none.
    """
    return Run(open_run(path))
