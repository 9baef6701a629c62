"""A training as a value: frozen tables read from TOML, changed by `--set`, checked, written and hashed."""

import difflib
import hashlib
import json
import math
import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from fireweed.errors import RecipeError, nearest

MAX_RECIPE_BYTES = 100_000

Fit = Literal["crop", "pad", "squash"]
Compile = Literal["auto", "xla", "none"]
Precision = Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"]


class _Table(BaseModel):
    """A section of a recipe: frozen, with no key that is not written here."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DataSettings(_Table):
    """How the photos are split and made square.

    photos_per_class: training photos of each class that are used at most; 0 is all. To learn what fewer photos give.
    margin:           side of the cached training photo over the largest side trained on.
    """

    validation: float = Field(0.19, ge=0.01, le=0.8)
    test: float = Field(0.10, ge=0.0, le=0.8)
    fit: Fit = "crop"
    margin: float = Field(1.0, ge=1.0, le=2.0)
    photos_per_class: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _leaves_training(self) -> "DataSettings":
        if self.validation + self.test > 0.9:
            raise ValueError("validation and test together must leave at least a tenth for training")
        return self


class ModelSettings(_Table):
    """Which net, and from which weights."""

    name: str = "squeezenet"
    weights: str = "none"
    freeze: bool = False
    dropout: float = Field(0.0, ge=0.0, lt=1.0)


class AugmentSettings(_Table):
    """What is varied at random in the training photos. Ranges are factors; 0 or an empty range is off."""

    flip: bool = True
    saturation: tuple[float, float] = (1.0, 1.0)
    brightness: float = Field(0.0, ge=0.0, le=1.0)
    contrast: float = Field(0.0, ge=0.0, le=1.0)
    crop: tuple[float, float] = (1.0, 1.0)
    cutout: float = Field(0.0, ge=0.0, lt=1.0)
    mixup: float = Field(0.0, ge=0.0)
    cutmix: float = Field(0.0, ge=0.0)

    @field_validator("saturation")
    @classmethod
    def _factors(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not 0 <= value[0] <= value[1] <= 10:
            raise ValueError("must be two factors, low then high, from 0 to 10")
        return value

    @field_validator("crop")
    @classmethod
    def _areas(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not 0 < value[0] <= value[1] <= 1:
            raise ValueError("must be two shares of the area, low then high, above 0 and at most 1")
        return value

    @classmethod
    def off(cls) -> "AugmentSettings":
        return cls(flip=False)


class ScheduleSettings(_Table):
    """The learning rate over the training; see `training/schedules.py` for what each kind does."""

    kind: Literal["constant", "ramp-sustain-decay", "cosine", "one-cycle"] = "cosine"
    peak: float = Field(1e-3, gt=0, le=10)
    start: float = Field(1e-5, ge=0)
    floor: float = Field(0.0, ge=0)
    ramp_epochs: int = Field(5, ge=0)
    sustain_epochs: int = Field(0, ge=0)
    decay: float = Field(0.8, gt=0, le=1)
    warmup: float = Field(0.1, ge=0, lt=1)


class Phase(_Table):
    """Some epochs at one side."""

    side: int = Field(ge=8, le=2048)
    epochs: int = Field(ge=1, le=100_000)


class TrainingSettings(_Table):
    """The optimizer and how long it works.

    phases:   epochs and side of each; `epochs` scales them to so many in all, `side` replaces them by one phase.
    evaluation_scale: side of validation, prediction and the bundle over the last phase's. Random crops make what a
              photo shows larger in training, so that a somewhat larger side fits the net better (Touvron et al. 2019,
              https://arxiv.org/abs/1906.06423). Nets that flatten have one side only and leave it out.
    batch:    0 lets the number of photos decide.
    steps_at_least, steps_at_most: with neither `epochs` given, phases are scaled so that small sets
              get enough steps and large ones not too many; 0 is off.
    average:  decay of the moving average of the weights, updated every `average_every` steps; 0 is off.
    norm_photos: training photos, seen as evaluation sees them, from which the norm statistics of the weights that are
              kept are computed anew at the end; 0 keeps those that training gave. See `training/norms.py`.
    keep:     "final" keeps the last averaged weights; "best" those of the best validation accuracy.
    patience: stop after so many epochs without a better validation accuracy; 0 is off; implies keep = "best".
    compile:  whether XLA compiles the steps; "auto" goes by measurement, see `training/choices.py`.
    """

    phases: tuple[Phase, ...] = (Phase(side=96, epochs=10),)
    epochs: int | None = Field(None, ge=1, le=100_000)
    side: int | None = Field(None, ge=8, le=2048)
    evaluation_scale: float = Field(1.0, ge=0.5, le=2.0)
    batch: int = Field(0, ge=0, le=65_536)
    steps_at_least: int = Field(0, ge=0)
    steps_at_most: int = Field(0, ge=0)
    optimizer: Literal["adam", "adamw", "muon", "sgd"] = "adam"
    weight_decay: float = Field(0.0, ge=0, le=1)
    momentum: float = Field(0.9, ge=0, lt=1)
    clip_norm: float = Field(0.0, ge=0)
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    class_weights: Literal["auto", "none", "balanced"] = "auto"
    average: float = Field(0.0, ge=0, lt=1)
    average_every: int = Field(4, ge=1)
    norm_photos: int = Field(0, ge=0)
    keep: Literal["final", "best"] = "final"
    patience: int = Field(0, ge=0)
    precision: Precision = "auto"
    compile: Compile = "auto"
    seed: int = Field(0, ge=0, lt=2**32)
    schedule: ScheduleSettings = ScheduleSettings()

    @field_validator("phases")
    @classmethod
    def _some(cls, value: tuple[Phase, ...]) -> tuple[Phase, ...]:
        if not 1 <= len(value) <= 50:
            raise ValueError("must hold 1 to 50 phases")
        return value


class Recipe(_Table):
    """All that decides a training, apart from the photos and the machine."""

    name: str = "custom"
    description: str = ""
    data: DataSettings = DataSettings()
    model: ModelSettings = ModelSettings()
    augment: AugmentSettings = AugmentSettings()
    training: TrainingSettings = TrainingSettings()

    def hash(self) -> str:
        """Return a SHA-256 of every setting; name and description do not count."""
        plain = self.model_dump(mode="json", exclude={"name", "description"})
        return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()

    def to_toml(self) -> str:
        """Return the recipe as TOML that `read_recipe` reads back to an equal recipe."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))

    @property
    def total_epochs(self) -> int:
        return sum(phase.epochs for phase in self.training.phases)

    @property
    def evaluation_side(self) -> int:
        """The side of validation, prediction and the bundle: the last phase's times `evaluation_scale`."""
        training = self.training
        side, scale = training.side or training.phases[-1].side, training.evaluation_scale
        return side if scale == 1 else max(8, round(side * scale / 8) * 8)


def recipe_names() -> list[str]:
    """Return the names of the shipped recipes."""
    folder = resources.files("fireweed").joinpath("recipes")
    return sorted(Path(item.name).stem for item in folder.iterdir() if item.name.endswith(".toml"))


def recipe_text(name: str) -> str:
    """Return the text of a shipped recipe, or of a recipe file when `name` ends in .toml.

    Raises:
        RecipeError: there is none of that name.
    """
    if name.endswith(".toml"):
        path = Path(name)
        try:
            if path.exists() and not path.is_file():
                raise RecipeError(f"recipe {name} is no plain file")
            size = path.stat().st_size
            if size > MAX_RECIPE_BYTES:
                raise RecipeError(f"recipe {name} is {size:,} bytes; at most {MAX_RECIPE_BYTES:,} are read")
            return path.read_text(encoding="utf-8")
        except OSError as error:
            raise RecipeError(f"recipe {name} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise RecipeError(f"recipe {name} is not UTF-8 text") from error
    if name not in recipe_names():
        raise RecipeError(f"there is no recipe '{name}'; {nearest(name, recipe_names())}")
    return resources.files("fireweed").joinpath("recipes", f"{name}.toml").read_text(encoding="utf-8")


def read_recipe(name: str, settings: Iterable[str] = (), changes: Mapping[str, Any] | None = None) -> Recipe:
    """Return a shipped recipe, or one from a .toml file, with changes.

    settings: "section.key=value" strings as given to --set; the value is TOML, or text when it is not.
    changes:  dotted key -> value, applied before `settings`; None values are left out.

    Raises:
        RecipeError: no such recipe, not TOML, an unknown key (the nearest valid one is named) or a bad value.
    """
    try:
        tables = tomllib.loads(recipe_text(name))
    except (ValueError, RecursionError) as error:
        raise RecipeError(f"recipe {name} is not valid TOML: {error}") from error
    tables = tables.get("asked", tables)  # the recipe.toml of a run holds what was asked beside what became of it
    for key, value in (changes or {}).items():
        if value is not None:
            _put(tables, key, value)
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise RecipeError(f"--set wants section.key=value, received '{setting}'")
        _put(tables, key.strip(), _value(text.strip()))
    return checked(tables)


def checked(tables: Mapping[str, Any]) -> Recipe:
    """Return the recipe that plain tables describe.

    Raises:
        RecipeError: names the key, the value received and what is allowed, in one line.
    """
    try:
        return Recipe.model_validate(tables)
    except ValidationError as error:
        raise RecipeError(_explained(error)) from error


def with_epochs(phases: tuple[Phase, ...], epochs: int) -> tuple[Phase, ...]:
    """Share `epochs` among phases in proportion, by largest remainder, ties to the larger side.

    A phase whose share comes to nothing goes; the evaluation side is then that of the last one left.
    """
    total = sum(phase.epochs for phase in phases)
    shares = [epochs * phase.epochs / total for phase in phases]
    given = [math.floor(share) for share in shares]
    order = sorted(range(len(phases)), key=lambda i: (given[i] - shares[i], -phases[i].side))
    for i in order[: epochs - sum(given)]:
        given[i] += 1
    return tuple(Phase(side=p.side, epochs=n) for p, n in zip(phases, given, strict=True) if n)


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    except (ValueError, RecursionError) as error:  # thousands of digits or brackets
        raise RecipeError(f"'{text[:40]}...' is no value for a setting: {type(error).__name__}") from error


def _put(tables: dict[str, Any], key: str, value: Any) -> None:
    *sections, last = key.split(".")
    table: Any = tables
    for section in sections:
        table = table.setdefault(section, {})
        if not isinstance(table, dict):
            raise RecipeError(f"'{key}' is not a setting: '{section}' holds a value, not a section")
    table[last] = value


def _explained(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"unknown setting '{where}'; {_nearest_setting(where)}"
    reason = first["msg"].removeprefix("Value error, ")
    return f"setting '{where}': {reason}, received {first['input']!r}"


def _nearest_setting(where: str) -> str:
    section, _, word = where.rpartition(".")
    valid = list(setting_names())
    inside = [name.rpartition(".")[2] for name in valid if name.rpartition(".")[0] == section]
    close = difflib.get_close_matches(word, inside, n=1, cutoff=0.5)
    if close:
        return f"did you mean '{section + '.' if section else ''}{close[0]}'?"
    return nearest(where, valid)


def setting_names(table: type[BaseModel] = Recipe, prefix: str = "") -> Iterable[str]:
    """Yield the dotted names of all settings."""
    for name, field in table.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from setting_names(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"
