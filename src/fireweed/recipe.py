"""A training as a value: frozen tables read from TOML, changed by `--set`, checked, written and hashed."""

import difflib
import hashlib
import json
import math
import re
import reprlib
import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import BaseModel, Field, ValidationError

from fireweed.errors import RecipeError, nearest
from fireweed.settings import AugmentSettings, DataSettings, ModelSettings, Phase, Table, TrainingSettings
from fireweed.text import shortened

MAX_RECIPE_BYTES = 32_000
MAX_CLASSES_BYTES = 64_000_000  # of the names of the classes, which a run's recipe.toml has, and nobody reads there
MAX_DOTS = 40  # in one line: the time to read a key of many parts grows with the cube of their number
MAX_DEPTH = 8
_CLASS_LINE = re.compile(r'^    "(?:[^"\\\n]|\\.)*",\n', re.MULTILINE)
_SHOWN = reprlib.Repr()  # bounded, however deep or long a value is
_SHOWN.maxlevel, _SHOWN.maxstring, _SHOWN.maxother = 3, 80, 80


class Recipe(Table):
    """All that decides a training, apart from the photos and the machine."""

    name: str = Field("custom", max_length=60, pattern=r"^\w[\w .,+-]*$")  # of the run's folder too
    description: str = Field("", max_length=1000)
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

    def with_training(self, **changes: Any) -> "Recipe":
        """Return the recipe with some training settings changed; they are not checked again."""
        return self.model_copy(update={"training": self.training.model_copy(update=changes)})

    @property
    def side_of_epochs(self) -> list[int]:
        """The side of each epoch, in pixels."""
        return [phase.side for phase in self.training.phases for _ in range(phase.epochs)]

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
            return _bounded_text(path)
        except OSError as error:
            raise RecipeError(f"recipe {name} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise RecipeError(f"recipe {name} is not UTF-8 text") from error
    if name not in recipe_names():
        raise RecipeError(f"there is no recipe '{name}'; {nearest(name, recipe_names())}")
    return resources.files("fireweed").joinpath("recipes", f"{name}.toml").read_text(encoding="utf-8")


def read_recipe(name: str, settings: Iterable[str] = (), changes: Mapping[str, Any] | None = None) -> Recipe:
    """Return a shipped recipe, or one from a .toml file, with changes.

    Where they name another net, or freeze other layers of it, the description is left out: it is not of that.

    settings: "section.key=value" strings as given to --set; the value is TOML, or text when it is not.
    changes:  dotted key -> value, applied before `settings`; None values are left out.

    Raises:
        RecipeError: no such recipe, not TOML, an unknown key (the nearest valid one is named), a bad value, or a weight
            file that does not lie in the recipe's own folder.
    """
    tables = _tables(name)
    described = _net_of(tables)
    settings, changes = list(settings), changes or {}
    has_own = changes.get("model.weights") is not None or any(one.startswith("model.weights=") for one in settings)
    if name.endswith(".toml") and not has_own:
        _keep_to_folder(tables, Path(name).parent)
    for key, value in changes.items():
        if value is not None:
            _put(tables, key, value)
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise RecipeError(f"--set wants section.key=value, received '{setting}'")
        _put(tables, key.strip(), _value(text.strip()))
    if _net_of(tables) != described:
        tables.pop("description", None)
    return checked(tables)


def _tables(name: str) -> dict[str, Any]:
    """Return what a recipe's text holds, its size and depth bounded."""
    tables = _bounded_tables(recipe_text(name), name)
    tables = tables.get("asked", tables)  # the recipe.toml of a run holds what was asked beside what became of it
    if not isinstance(tables, dict):
        raise RecipeError(f"recipe {name}: 'asked' is {_SHOWN.repr(tables)}, expected the sections of a recipe")
    return tables


def _net_of(tables: dict[str, Any]) -> tuple[Any, Any]:
    """Return the net of a recipe and what of it is frozen, unchecked."""
    model, usual = tables.get("model"), ModelSettings()
    given = model if isinstance(model, dict) else {}
    return given.get("name", usual.name), given.get("freeze", usual.freeze)


def read_run_tables(path: Path) -> dict[str, Any]:
    """Return what the recipe.toml of a run holds, the names of the classes left out, bounded as a recipe is.

    Raises:
        RecipeError: it is too large, too deep, or not TOML. OSError, UnicodeDecodeError: it cannot be read.
    """
    return _bounded_tables(_bounded_text(path), path.name)


def _bounded_text(path: Path) -> str:
    """Return the text of a recipe file without the names of classes, of which a run's may have thousands."""
    with open(path, "rb") as file:
        data = file.read(MAX_CLASSES_BYTES + 1)
    text = data.decode("utf-8") if len(data) <= MAX_RECIPE_BYTES else _CLASS_LINE.sub("", data.decode("utf-8"))
    if len(data) > MAX_CLASSES_BYTES or len(text) > MAX_RECIPE_BYTES:
        raise RecipeError(f"recipe {path.name} is {len(data):,} bytes; at most {MAX_RECIPE_BYTES:,} are read")
    return text


def _bounded_tables(text: str, name: str) -> dict[str, Any]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.count(".") > MAX_DOTS:
            raise RecipeError(
                f"recipe {name} has more than {MAX_DOTS} dots in line {number}; write its keys in sections"
            )
    try:
        tables = tomllib.loads(text)
    except RecursionError as error:
        raise RecipeError(f"recipe {name} is nested too deeply") from error
    except ValueError as error:
        raise RecipeError(f"recipe {name} is not valid TOML: {shortened(str(error), 200)}") from error
    if _depth(tables) > MAX_DEPTH:
        raise RecipeError(f"recipe {name} is nested more than {MAX_DEPTH} levels deep; a recipe has sections and keys")
    return tables


def _depth(value: Any) -> int:
    level, depth = [value], 0
    while level := [
        child
        for item in level
        if isinstance(item, dict | list)
        for child in (item.values() if isinstance(item, dict) else item)
    ]:
        depth += 1
    return depth


def _keep_to_folder(tables: dict[str, Any], folder: Path) -> None:
    """Make the weight file that a recipe names absolute; refuse one outside the recipe's own folder.

    A recipe may come from anyone, and what it names is opened. The user's own --weights go anywhere.
    """
    model = tables.get("model")
    weights = model.get("weights") if isinstance(model, dict) else None
    if not isinstance(model, dict) or not isinstance(weights, str) or weights in ("none", "imagenet"):
        return
    try:
        top = folder.resolve()
        place = (top / weights).resolve()
        is_inside = place != top and place.is_relative_to(top) and "\\" not in weights
    except (OSError, ValueError):  # a NUL in it, or links in a circle
        is_inside = False
    if not is_inside:
        raise RecipeError(
            f"setting 'model.weights': a recipe names weights in its own folder only, received {_SHOWN.repr(weights)}; "
            "leave them out of the recipe and give --weights"
        )
    model["weights"] = str(place)


def checked(tables: Mapping[str, Any]) -> Recipe:
    """Return the recipe that plain tables describe.

    Raises:
        RecipeError: names the key, the value received and what is allowed, in one line.
    """
    try:
        recipe = Recipe.model_validate(tables)
    except ValidationError as error:
        raise RecipeError(_explained(error)) from error
    if recipe.training.views and not recipe.model.freeze:
        raise RecipeError(
            f"setting 'training.views': a net that is not frozen sees new photos in every epoch, received "
            f"{recipe.training.views}; freeze it (--freeze) or leave the views out (--set training.views=0)"
        )
    if recipe.training.norms == "frozen" and recipe.model.weights == "none":
        raise RecipeError(
            "setting 'training.norms': a net with random weights has no statistics to keep, received 'frozen'; give it "
            "weights (--weights imagenet) or let the norms learn (--set training.norms=global)"
        )
    return recipe


def with_epochs(phases: tuple[Phase, ...], epochs: int) -> tuple[Phase, ...]:
    """Share `epochs` among phases in proportion, by largest remainder, ties to the larger side.

    Each phase has one at least; where there are not enough for that those of the smallest share go, and the evaluation
    side is that of the last one left.
    """
    total = sum(phase.epochs for phase in phases)
    shares = [epochs * phase.epochs / total for phase in phases]
    given = [max(math.floor(share), 1 if epochs >= len(phases) else 0) for share in shares]
    while sum(given) != epochs:
        change = 1 if sum(given) < epochs else -1
        possible = [i for i, count in enumerate(given) if change > 0 or count > 1]
        i = max(possible, key=lambda i: (change * (shares[i] - given[i]), change * phases[i].side))
        given[i] += change
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


def where_wrong(error: ValidationError) -> str:
    """Return where the first thing that is wrong stands: section.key."""
    return ".".join(str(part) for part in error.errors()[0]["loc"])


def _explained(error: ValidationError) -> str:
    first, where = error.errors()[0], shortened(where_wrong(error), 80)
    if first["type"] == "extra_forbidden":
        return f"unknown setting '{where}'; {_nearest_setting(where)}"
    reason = first["msg"].removeprefix("Value error, ")
    return f"setting '{where}': {reason}, received {_SHOWN.repr(first['input'])}"


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
