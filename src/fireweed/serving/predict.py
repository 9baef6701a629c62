"""Ask a trained model about photos: each photo gets an answer, or the reason why it has none."""

import csv
import io
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import natsort
import numpy as np

from fireweed.data.decode import as_photo, decode_square, looks_like_photo, to_square
from fireweed.data.folders import is_hidden
from fireweed.data.names import shown
from fireweed.data.parallel import processors
from fireweed.errors import DataError, PhotoError
from fireweed.serving.answering import outputs
from fireweed.text import spreadsheet_cell, spreadsheet_path

if TYPE_CHECKING:
    from fireweed.bundle import Bundle

MAX_PHOTO_BYTES = 256 << 20
MOST_WORKERS = 8
_SMALLEST = 1e-30  # a probability below it counts as it, where logarithms are taken

Photo = TypeVar("Photo")


@dataclass(frozen=True)
class Prediction:
    """What the model says of one photo: a probability for each class, in the bundle's order; else why not."""

    path: str
    probabilities: dict[str, float] | None = None
    error: str | None = None

    @property
    def name(self) -> str | None:
        """The most probable class; the first one where several are equal; None without an answer."""
        return max(self.probabilities, key=self.probabilities.__getitem__) if self.probabilities else None

    @property
    def probability(self) -> float | None:
        """The probability of that class."""
        return max(self.probabilities.values()) if self.probabilities else None

    def best(self, count: int) -> list[tuple[str, float]]:
        """Return the `count` most probable classes with their probabilities, the most probable first."""
        return sorted((self.probabilities or {}).items(), key=lambda item: -item[1])[:count]


def expand_paths(arguments: Sequence[str]) -> list[str]:
    """Return the files that the arguments name: files as given, of folders all photos in and below them.

    Within a folder the order is the natural one, files and folders whose names begin with a dot are left out, and so
    is what does not look like a photo.

    Raises:
        DataError: no such file or folder, or a folder without photos or that cannot be read.
    """
    files: list[str] = []
    for argument in arguments:
        try:
            is_folder = stat.S_ISDIR(Path(argument).stat().st_mode)
        except (OSError, ValueError) as error:  # ValueError: a name that no file can have
            reason = getattr(error, "strerror", None) or error
            raise DataError(f"no such photo or folder: {shown(argument) or repr('')} ({reason})") from None
        photos = _photos_below(argument) if is_folder else [argument]
        if not photos:
            raise DataError(f"no photos in the folder {shown(argument)}; give photos or a folder that holds some")
        files += photos
    return files


def predict_files(
    bundle: "Bundle", paths: Iterable[str | Path], batch_size: int = 32, workers: int | None = None,
    flips: bool = False,
) -> Iterator[Prediction]:  # fmt: skip
    """Yield an answer for each photo, in the order given; one that cannot be read gets the reason instead.

    Photos are read and decoded by `workers` threads (as many as cores, at most 8) while the model works on the batch
    before; at most two batches are in memory. The model's weights count as they are when it is first asked.

    flips: whether an answer is the mean of those about the photo and its mirror image.
    """

    def square_of(name: str) -> np.ndarray | str:
        return _square_or_reason(name, bundle.side_px, bundle.fit)

    names = [os.fspath(path) for path in paths]
    for name, answer in answer_each(bundle, names, square_of, batch_size, workers, flips):
        yield Prediction(name, error=answer) if isinstance(answer, str) else _prediction(bundle, name, answer)


def answer_each(
    bundle: "Bundle",
    photos: Sequence[Photo],
    square_of: Callable[[Photo], np.ndarray | str],
    batch_size: int = 32,
    workers: int | None = None,
    flips: bool = False,
) -> Iterator[tuple[Photo, np.ndarray | str]]:
    """Yield each photo, in the order given, with its probabilities (float32 of shape (classes,)) or why it has none.

    square_of: gives the photo's square, RGB uint8 of the bundle's side, or in words why there is none. It runs in
               `workers` threads while the model works on the batch before; at most two batches are in memory.
    flips:     whether they are the mean of those of the photo and of its mirror image.
    """
    groups = [photos[start : start + batch_size] for start in range(0, len(photos), batch_size)]
    pool = ThreadPoolExecutor(workers or min(MOST_WORKERS, processors()))

    def begin(group: Sequence[Photo]) -> list[Future[np.ndarray | str]]:
        return [pool.submit(square_of, photo) for photo in group]

    try:
        coming = begin(groups[0]) if groups else []
        for number, group in enumerate(groups):
            current, coming = coming, begin(groups[number + 1]) if number + 1 < len(groups) else []
            results = [future.result() for future in current]
            squares = [result for result in results if not isinstance(result, str)]
            rows = iter(_probabilities(bundle, squares, batch_size, flips))
            for photo, result in zip(group, results, strict=True):
                yield photo, result if isinstance(result, str) else next(rows)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def predict_arrays(bundle: "Bundle", arrays: Sequence[np.ndarray] | np.ndarray, batch_size: int = 32) -> np.ndarray:
    """Return the probabilities for photos given as arrays: float32 of shape (photos, classes).

    arrays: RGB uint8 of shape (height, width, 3) each; those that are not squares of the bundle's side are made so, by
            the bundle's fit.
    """
    side, answers = bundle.side_px, [np.zeros((0, len(bundle.classes)), np.float32)]
    for start in range(0, len(arrays), batch_size):
        photos = [as_photo(array) for array in arrays[start : start + batch_size]]
        batch = [photo if photo.shape[:2] == (side, side) else to_square(photo, side, bundle.fit) for photo in photos]  # type: ignore[arg-type]
        answers.append(_probabilities(bundle, batch, batch_size))
    return np.concatenate(answers)


def as_json_rows(predictions: Iterable[Prediction]) -> list[dict[str, Any]]:
    """Return predictions ready for JSON: path, class, probability, probabilities (all, not rounded); or path, error."""
    return [
        {"path": _as_text(one.path), "error": one.error}
        if one.probabilities is None
        else {
            "path": _as_text(one.path),
            "class": one.name,
            "probability": one.probability,
            "probabilities": one.probabilities,
        }
        for one in predictions
    ]


def as_csv_text(predictions: Sequence[Prediction]) -> str:
    """Return predictions as CSV: path, class, probability, error, and a column "probability of NAME" for each class.

    A spreadsheet takes a cell that begins with = + - @ for a formula, and photos from strangers have such names: a
    path is then written as ./path, another text with an apostrophe before it, the way spreadsheets mark text.
    """
    classes = next((list(one.probabilities) for one in predictions if one.probabilities), [])
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["path", "class", "probability", "error", *(f"probability of {name}" for name in classes)])
    for one in predictions:
        path = _as_text(one.path)
        values = one.probabilities or {}
        writer.writerow(
            [
                spreadsheet_path(path),
                _cell(one.name),
                _cell(one.probability),
                _cell(one.error),
                *(_cell(values.get(name)) for name in classes),
            ]
        )
    return table.getvalue()


def as_lines(predictions: Iterable[Prediction], top: int = 1) -> list[str]:
    """Return a line for each photo, for a terminal: its path, its `top` classes with their probabilities.

    Whatever the names hold, a line is one line and holds no control characters. It is plain text, not rich's markup.
    """
    lines = []
    for one in predictions:
        told = "  ".join(f"{shown(name)} {_percent(p)}" for name, p in one.best(top)) or f"not read: {one.error}"
        lines.append(f"{shown(one.path)}  {shown(told)}")
    return lines


def _photos_below(folder: str) -> list[str]:
    def refuse(error: OSError) -> None:
        raise DataError(f"the folder {shown(str(error.filename))} cannot be read: {error.strerror}") from error

    found: list[str] = []
    for place, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not is_hidden(name)]
        paths = [Path(place, name) for name in files if not is_hidden(name)]
        found += [str(path) for path in paths if path.is_file() and looks_like_photo(path)]
    by_parts: Callable[[str], Any] = natsort.natsort_keygen(key=lambda path: Path(path).parts)
    return sorted(sorted(found), key=by_parts)


def _square_or_reason(path: str, side_px: int, fit: str) -> np.ndarray | str:
    try:
        return decode_square(_read(path), side_px, fit)  # type: ignore[arg-type]
    except PhotoError as error:
        return str(error)
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        return f"cannot be opened: {getattr(error, 'strerror', None) or error}"
    except MemoryError:
        return "needs more memory than there is"


def _read(path: str) -> bytes:
    # O_NONBLOCK: opening a named pipe would wait for its writer
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise PhotoError("is not a file")
        if status.st_size > MAX_PHOTO_BYTES:
            raise PhotoError(f"has {status.st_size:,} bytes, at most {MAX_PHOTO_BYTES:,} are read")
        return file.read(MAX_PHOTO_BYTES)


def _prediction(bundle: "Bundle", path: str, row: np.ndarray) -> Prediction:
    if not np.isfinite(row).all():
        return Prediction(path, error="the model gives no finite probabilities; its weights are unusable")
    return Prediction(path, {name: float(p) for name, p in zip(bundle.classes, row, strict=True)})


def _probabilities(bundle: "Bundle", squares: Sequence[np.ndarray], batch_size: int, flips: bool = False) -> np.ndarray:
    """Return float32 (len(squares), classes)."""
    if not squares:
        return np.zeros((0, len(bundle.classes)), np.float32)
    if flips:
        both = (squares, [square[:, ::-1] for square in squares])
        return np.mean([_probabilities(bundle, side, batch_size) for side in both], axis=0)
    answers = outputs(bundle.model, squares, batch_size)
    temperature = bundle.facts.get("temperature")
    return answers if temperature is None else _tempered(answers, temperature)


def _tempered(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return softmax(log p / T), in float32 (Guo et al., arXiv 1706.04599): the same order, surer or less sure."""
    logits = np.log(np.maximum(probabilities.astype(np.float64), _SMALLEST)) / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


def _as_text(path: str) -> str:
    """Return a path that any encoding of Unicode can hold: bytes of a file's name that are not UTF-8 become U+FFFD."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _cell(value: str | float | None) -> str:
    if value is None:
        return ""
    return spreadsheet_cell(value) if isinstance(value, str) else str(value)


def _percent(probability: float) -> str:
    return f"{100 * probability:.1f}%"
