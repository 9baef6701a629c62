"""The run folder: what lies where, who may write, and what a run was asked for."""

import csv
import io
import itertools
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fireweed.data.catalog import Catalog
from fireweed.errors import RecipeError, RunError
from fireweed.files import explained, held_alone, remove_scraps, write_text
from fireweed.recipe import Recipe, checked, read_run_tables, where_wrong

FILES = ("recipe.toml", "photos.csv", "history.csv", "report.html", "model.keras", "fireweed.json", "environment.json",
         "repeat.json")  # fmt: skip
LOCK = ".lock"
FOLDERS = ("checkpoints", "logs", "features")
TIME_COLUMNS = ("images_per_second", "seconds", "share_of_seconds_waited")  # of the history: no two runs have the same
PHOTO_COLUMNS = ("name", "class", "part", "key", "group")
MAX_JSON_BYTES = 16_000_000


@dataclass(frozen=True)
class RunFacts:
    """What a run was started for; equal facts mean the same run.

    asked:  the recipe as asked for, all changes applied.
    data:   what the user called the data, as a path that holds from anywhere.
    digest: of the photos, `Catalog.digest`.
    options: what else was asked and changes the result (deterministic, minutes).
    """

    asked: Recipe
    data: str
    digest: str
    options: dict[str, Any]

    @property
    def hash(self) -> str:
        return self.asked.hash()


class RunFolder:
    """A folder that holds one run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def file(self, name: str) -> Path:
        return self.path / name

    @property
    def is_started(self) -> bool:
        return self.file("recipe.toml").is_file()

    @property
    def is_finished(self) -> bool:
        """Whether the last file a training writes is there, and the model."""
        return self.is_started and all(
            self.file(name).is_file() for name in ("report.html", "fireweed.json", "model.keras")
        )

    @property
    def has_checkpoint(self) -> bool:
        return any(self.file("checkpoints").glob("epoch-*.npz"))

    @property
    def has_features(self) -> bool:
        return self.file("features").is_dir()

    def drop_features(self) -> None:
        """Remove the features that a frozen net's head was trained on; a finished run has no use for them."""
        shutil.rmtree(self.file("features"), ignore_errors=True)

    def check_usable(self, facts: RunFacts) -> None:
        """Make sure that a run with these facts may begin or go on here. Writes nothing.

        Raises:
            RunError: the folder holds another run, other data, or files of others.
        """
        if not self.path.exists():
            return
        self._check_ours()
        if not self.is_started:
            # photos.csv alone is what a start leaves that did not get as far as recipe.toml
            if any(not item.name.startswith(".") and item.name != "photos.csv" for item in self.path.iterdir()):
                raise RunError(f"{self.path} holds parts of a run but no recipe.toml; give --out another folder")
            return
        there = self.facts()
        if there.asked.hash() != facts.asked.hash() or there.options != facts.options:
            raise RunError(
                f"{self.path} holds a run that was asked for otherwise ({_difference(there, facts)}); "
                "give --out another folder, ask for what that run was asked, or begin beside it with --start-over"
            )
        if there.digest != facts.digest:
            raise RunError(f"{self.path} holds a run on other photos ({there.data}); give --out another folder")

    def _check_ours(self) -> None:
        if not self.path.is_dir():
            raise RunError(f"{self.path} is a file, not a folder; give --out another name")
        foreign = [item.name for item in sorted(self.path.iterdir()) if not self._is_ours(item)]
        if foreign:
            raise RunError(f"{self.path} holds other files ({foreign[0]}); give --out a folder of its own")

    def make(self) -> None:
        """Make the folder.

        Raises:
            FireweedError: it cannot be made.
        """
        if self.path.is_symlink() and not self.path.exists():
            raise RunError(f"{self.path} is a link to {self.path.readlink()}, which is not there; make that folder")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise explained(error, self.path) from error

    def drop_if_empty(self) -> None:
        """Remove the folder where it holds nothing but the mark of who trains there."""
        with suppress(OSError):
            if [item.name for item in self.path.iterdir()] == [LOCK]:
                self.file(LOCK).unlink()
                self.path.rmdir()

    def set_aside(self) -> Path | None:
        """Give the run that is here another name beside it, NAME-before-1 and so on; return its new folder.

        None: there is nothing here.

        Raises:
            RunError: another process is training here, or the folder holds files of others.
        """
        if not self.path.exists():
            return None
        self._check_ours()
        if all(item.name.startswith(".") for item in self.path.iterdir()):
            return None
        with self.alone():
            pass
        numbers, path = itertools.count(1), self.path.resolve()  # a link goes on leading to where runs are to lie
        kept = next(kept for n in numbers if not (kept := path.with_name(f"{path.name}-before-{n}")).exists())
        try:
            path.rename(kept)
            if self.path.is_symlink():
                path.mkdir()
        except OSError as error:
            raise explained(error, self.path) from error
        return kept

    def start(self, facts: RunFacts, resolved: Recipe, catalog: Catalog, groups: Any) -> None:
        """Freeze what was asked, what became of it, and which photo is in which part.

        recipe.toml comes last: a folder without it holds no run.
        """
        write_text(self.file("photos.csv"), photos_text(catalog, groups))
        tables = {
            "run": {"data": facts.data, "digest": facts.digest, "hash": facts.hash, "options": facts.options,
                    "classes": list(catalog.classes)},
            "asked": facts.asked.model_dump(mode="json", exclude_none=True),
            "resolved": resolved.model_dump(mode="json", exclude_none=True),
        }  # fmt: skip
        write_text(self.file("recipe.toml"), tomli_w.dumps(tables))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes from training here, and remove what killed ones left half written.

        Raises:
            RunError: another process is training here.
        """
        with held_alone(self.file(LOCK)) as is_ours:
            if not is_ours:
                raise RunError(f"another process is training in {self.path}; wait for it, or give --out another folder")
            for folder in (self.path, self.file("checkpoints")):
                remove_scraps(folder)
            yield

    def facts(self) -> RunFacts:
        """Return what the run here was started for."""
        tables = self._tables()
        return RunFacts(checked(tables.asked), tables.run.data, tables.run.digest, tables.run.plain_options)

    def resolved(self) -> Recipe:
        """Return the recipe as it was resolved at the first start."""
        return checked(self._tables().resolved)

    def rows(self) -> list[dict[str, str]]:
        """Return the rows of photos.csv."""
        return self._csv("photos.csv", PHOTO_COLUMNS)

    def history(self) -> list[dict[str, float]]:
        """Return the rows of history.csv as numbers, without figures that were not taken."""
        rows = self._csv("history.csv", ("epoch",))
        try:
            return [{name: float(value) for name, value in row.items() if value != ""} for row in rows]
        except (TypeError, ValueError) as error:
            raise RunError(f"{self.file('history.csv')} is damaged ({error})") from error

    def write_json(self, name: str, value: Any) -> None:
        write_text(self.file(name), json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")

    def read_json(self, name: str) -> Any:
        """Return the value in a JSON file of the run.

        Raises:
            RunError: it is not there, too large, or no JSON.
        """
        path = self.file(name)
        try:
            with open(path, "rb") as file:
                data = file.read(MAX_JSON_BYTES + 1)
            if len(data) > MAX_JSON_BYTES:
                raise RunError(f"{path} has more than {MAX_JSON_BYTES:,} bytes; no run writes such a file")
            return json.loads(data)
        except (OSError, ValueError, RecursionError) as error:
            raise RunError(f"{path} cannot be read ({error}); is {self.path} a run folder?") from error

    def _tables(self) -> "_Tables":
        path = self.file("recipe.toml")
        try:
            return _Tables.model_validate(read_run_tables(path))
        except ValidationError as error:
            raise RunError(f"{path} is not the recipe of a run, or damaged: look at '{where_wrong(error)}'") from error
        except (OSError, ValueError, RecipeError) as error:
            raise RunError(f"{path} cannot be read ({error}); is {self.path} a run folder?") from error

    def _csv(self, name: str, columns: Sequence[str]) -> list[dict[str, str]]:
        path = self.file(name)
        try:
            with open(path, encoding="utf-8", newline="") as file:
                reader = csv.DictReader(file, restval="")
                if not set(columns) <= set(reader.fieldnames or ()):
                    raise RunError(f"{path} is damaged: it has no columns {', '.join(columns)}")
                return list(reader)
        except (OSError, ValueError, csv.Error) as error:
            raise RunError(f"{path} cannot be read ({error})") from error

    def _is_ours(self, path: Path) -> bool:
        name = path.name
        is_evaluation = name.startswith("evaluation-") and name.endswith(".json")
        if name in FOLDERS:
            return path.is_dir()
        return name.startswith(".") or ((name in FILES or is_evaluation) and path.is_file())


class _Options(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)

    deterministic: bool = False
    minutes: float | None = Field(None, gt=0, allow_inf_nan=False)


class _RunTable(BaseModel):
    data: str = Field(pattern=r"^[^\x00]*$")
    digest: str
    options: _Options

    @property
    def plain_options(self) -> dict[str, Any]:
        """The options that were asked for, as a run is compared by them."""
        return self.options.model_dump(exclude_unset=True)


class _Tables(BaseModel):
    """recipe.toml of a run; the tables of the recipes are checked as recipes."""

    run: _RunTable
    asked: dict[str, Any]
    resolved: dict[str, Any]


def open_run(path: str | Path) -> RunFolder:
    """Return the run folder at `path`.

    Raises:
        RunError: there is no run there.
    """
    folder = RunFolder(Path(path))
    if not folder.path.exists():
        raise RunError(f"there is no run folder {path}")
    if not folder.is_started:
        raise RunError(f"{path} is not a run folder: it has no recipe.toml")
    return folder


def photos_text(catalog: Catalog, groups: Any) -> str:
    """Return photos.csv: which photo was in which part, under which key and twin group."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(PHOTO_COLUMNS)
    for photo, group in zip(catalog.photos, groups, strict=True):
        writer.writerow([photo.name or photo.path, catalog.classes[photo.label], photo.part, photo.key, int(group)])
    return text.getvalue()


def _difference(there: RunFacts, here: RunFacts) -> str:
    ours, theirs = here.asked.model_dump(mode="json"), there.asked.model_dump(mode="json")
    for key, value, other in _walk(ours, theirs):
        return f"{key} was {other}, now {value}"
    name = next(name for name in {**there.options, **here.options} if there.options.get(name) != here.options.get(name))
    return f"{name} was {there.options.get(name, 'not given')}, now {here.options.get(name, 'not given')}"


def _walk(ours: Any, theirs: Any, prefix: str = "") -> Any:
    for key, value in ours.items():
        if key in ("name", "description") and not prefix:
            continue
        if isinstance(value, dict):
            yield from _walk(value, theirs[key], f"{prefix}{key}.")
        elif value != theirs[key]:
            yield f"{prefix}{key}", value, theirs[key]
