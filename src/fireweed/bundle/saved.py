"""The saved model: model.keras, opened by plain Keras anywhere, and fireweed.json, what people need to know of it."""

import contextlib
import dataclasses
import json
import math
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fireweed.bundle.check import check_keras_file, private_copy
from fireweed.bundle.rules import is_whole
from fireweed.bundle.shapes import Outline
from fireweed.bundle.strict_json import read_json
from fireweed.errors import BundleError
from fireweed.files import sha256_of, written_aside
from fireweed.version import __version__

MODEL_NAME = "model.keras"
FACTS_NAME = "fireweed.json"
FITS = ("crop", "pad", "squash")
MAX_SIDE = 4096
MAX_CLASSES = 10_000
MAX_FACTS_BYTES = 8 << 20


@dataclass(frozen=True)
class Bundle:
    """An opened bundle.

    model:   a plain Keras model: RGB 0..255 of shape (photos, side, side, 3) -> probabilities (photos, classes).
    classes: names in the order of the model's outputs.
    fit:     how a photo becomes a square: "crop", "pad" or "squash".
    facts:   all of fireweed.json.
    """

    model: Any
    classes: tuple[str, ...]
    side_px: int
    fit: str
    facts: dict[str, Any]


def write_bundle(folder: Path, model: Any, facts: dict[str, Any]) -> None:
    """Write model.keras and fireweed.json into `folder`, each whole or not at all, the facts last.

    model: a Keras model of fixed side and built-in layers; compile settings and optimizer are left out.
    facts: "classes", "side" and "fit", and what else belongs in fireweed.json, JSON-ready; the SHA-256 of model.keras
           and Fireweed's version are added.

    Raises:
        BundleError: the model or the facts are such as `open_bundle` would refuse; nothing was written.
        FireweedError: the folder cannot be written.
        ValueError: a fact is NaN or infinite.
    """
    facts = {"fireweed": __version__, **facts, "sha256": {MODEL_NAME: "0" * 64}}
    _checked_facts(_as_json(facts).encode())
    if model.compiled:  # keras.models.clone_model would compile its copy too
        plain = model.__class__.from_config(model.get_config())
        plain.set_weights(model.get_weights())
        model = plain
    # The inner file gets its name first: were the power lost in between, the old facts would not fit the new model.
    with written_aside(folder / FACTS_NAME) as facts_aside, written_aside(folder / MODEL_NAME) as model_aside:
        model.save(model_aside)
        _check_own(model_aside, facts)
        facts["sha256"] = {MODEL_NAME: sha256_of(model_aside)}
        facts_aside.write_text(_as_json(facts), encoding="utf-8", newline="\n")


def open_bundle(path: Path | str) -> Bundle:
    """Open a bundle: a run folder, a .keras file with fireweed.json beside it, or that fireweed.json.

    The model file is copied to a private place first; that copy is checked and loaded.

    Raises:
        BundleError: there is no bundle, it is damaged, or it holds what no model of ours holds; names the part.
    """
    import keras

    model_file, facts_file = bundle_files(Path(path))
    facts = _read_facts(facts_file)
    with checked_copy(model_file, facts) as (copy, implied):
        _check_agreement(implied, facts, model_file)
        try:
            model = keras.models.load_model(copy, compile=False, safe_mode=True)
        except Exception as error:  # Keras raises of every kind for a file that it cannot make sense of
            told = str(error).strip().splitlines() or [type(error).__name__]
            raise BundleError(f"{model_file}: Keras could not open it ({told[0][:300]})") from None
    if model.count_params() != implied.parameters or tuple(model.output_shape[1:]) != implied.output_shape:
        raise BundleError(f"{model_file}: the net that Keras made of it is not the one that was checked")
    return Bundle(model, tuple(facts["classes"]), facts["side"], facts["fit"], facts)


@contextlib.contextmanager
def checked_copy(model_file: Path, facts: dict[str, Any] | None) -> Iterator[tuple[Path, Outline]]:
    """Give a checked private copy of a .keras file and what its net implies; its weights lie beside the copy.

    With `facts`, the copy's SHA-256 must be the one they state.
    """
    with tempfile.TemporaryDirectory(prefix="fireweed-") as folder:
        copy = Path(folder, MODEL_NAME)
        digest = private_copy(model_file, copy)
        if facts is not None and digest != facts["sha256"][MODEL_NAME]:
            raise BundleError(
                f"{model_file} is damaged, or not the one that {FACTS_NAME} is about: its SHA-256 is {digest[:12]}..., "
                f"{FACTS_NAME} says {facts['sha256'][MODEL_NAME][:12]}...; copy both again from where they were made"
            )
        try:
            implied = check_keras_file(copy, weights_beside(copy))
        except BundleError as error:
            raise BundleError(f"{model_file} is refused: {error}") from None
        yield copy, implied


def weights_beside(copy: Path) -> Path:
    """Return where the checked weights of a private copy lie."""
    return copy.with_name("model.weights.h5")


def read_facts_beside(model_file: Path) -> dict[str, Any] | None:
    """Return the checked fireweed.json beside a .keras file, or None where there is none."""
    facts_file = model_file.with_name(FACTS_NAME)
    return _read_facts(facts_file) if facts_file.is_file() else None


def _check_own(model_file: Path, facts: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory(prefix="fireweed-") as folder:
        try:
            implied = check_keras_file(model_file, Path(folder, "model.weights.h5"))
        except BundleError as error:
            raise BundleError(f"this model cannot be kept as a bundle, {error}") from None
        _check_agreement(implied, facts, model_file.with_name(MODEL_NAME))


def _check_agreement(implied: Outline, facts: dict[str, Any], model_file: Path) -> None:
    side, classes = facts["side"], facts["classes"]
    if implied.input_shape != (side, side, 3):
        raise BundleError(f"{model_file} takes inputs of {implied.input_shape}, {FACTS_NAME} says side {side}")
    if implied.output_shape != (len(classes),):
        raise BundleError(f"{model_file} gives {implied.output_shape} numbers, {FACTS_NAME} has {len(classes)} classes")


def bundle_files(path: Path) -> tuple[Path, Path]:
    """Return where the model and its facts lie, given a run's folder or one of the two files.

    Raises:
        BundleError: one of them is missing.
    """
    if path.is_dir():
        model_file, facts_file = path / MODEL_NAME, path / FACTS_NAME
    elif path.name == FACTS_NAME:
        model_file, facts_file = path.with_name(MODEL_NAME), path
    elif path.suffix == ".keras":
        model_file, facts_file = path, path.with_name(FACTS_NAME)
    else:
        what = "is no bundle" if path.exists() else "is not there"
        raise BundleError(f"{path} {what}; give a run folder or a .keras file with {FACTS_NAME} beside it")
    for file in (model_file, facts_file):
        if not file.is_file():
            if not path.is_dir():
                hint = "a bundle is both files together"
            elif (path / "recipe.toml").is_file():
                hint = "its training has not ended"
            else:
                hint = "this is not a run's folder"
            raise BundleError(f"there is no {file.name} in {file.parent}; {hint}")
    return model_file, facts_file


def _read_facts(path: Path) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            return _checked_facts(file.read(MAX_FACTS_BYTES + 1))
    except OSError as error:
        raise BundleError(f"{path} could not be read: {error.strerror or error}") from None
    except BundleError as error:
        raise BundleError(f"{path} is refused: {error}") from None


def _checked_facts(data: bytes) -> dict[str, Any]:
    """Return the facts that `data` holds, those that opening relies on checked."""
    facts = read_json(data, FACTS_NAME, MAX_FACTS_BYTES)
    if not isinstance(facts, dict):
        raise BundleError(f"{FACTS_NAME} is not an object")
    classes = facts.get("classes")
    if not isinstance(classes, list) or not all(isinstance(name, str) and 0 < len(name) <= 1000 for name in classes):
        raise BundleError("classes is not a list of names")
    if not 1 <= len(classes) <= MAX_CLASSES or len(set(classes)) != len(classes):
        raise BundleError(f"classes has {len(classes)} names, expected 1 to {MAX_CLASSES:,}, each once")
    if not is_whole(facts.get("side"), 1, MAX_SIDE):
        raise BundleError(f"side is {str(facts.get('side'))[:80]!r}, expected a whole number within 1..{MAX_SIDE}")
    if facts.get("fit") not in FITS:
        raise BundleError(f"fit is {str(facts.get('fit'))[:80]!r}, expected one of {', '.join(FITS)}")
    temperature = facts.get("temperature")
    if temperature is not None and not _is_temperature(temperature):
        raise BundleError(f"temperature is {str(temperature)[:80]!r}, expected null or a number above 0")
    digest = facts["sha256"].get(MODEL_NAME) if isinstance(facts.get("sha256"), dict) else None
    if not isinstance(digest, str) or len(digest) != 64 or set(digest) - set("0123456789abcdef"):
        raise BundleError(f"sha256 does not state the SHA-256 of {MODEL_NAME}")
    return facts


def _is_temperature(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and 0 < value <= 1000


def _as_json(facts: dict[str, Any]) -> str:
    text = json.dumps(facts, allow_nan=False, ensure_ascii=False, indent=2, default=_plain)
    try:
        text.encode()
    except UnicodeEncodeError:  # a folder's name that is not UTF-8 became a class name
        text = json.dumps(facts, allow_nan=False, indent=2, default=_plain)
    return text + "\n"


def _plain(value: Any) -> Any:
    """Turn what JSON does not know into what it knows: NumPy's numbers and arrays, dataclasses, paths."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"a fact of the bundle is a {type(value).__name__}, which JSON cannot hold: {value!r}")
